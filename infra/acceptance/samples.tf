# Which sample services there are. What runs them is in services.tf and service_connect.tf, which an emulator cannot apply.

locals {
  # On Fargate, on a host in bridge mode, and one that refuses what it sees for the first time.
  services = {
    fargate = { path = "/notify", tasks = 2, launch = "FARGATE", network = "awsvpc" }
    host    = { path = "/notify", tasks = 2, launch = "EC2", network = "bridge" }
    refuses = { path = "/refuse-once", tasks = 1, launch = "FARGATE", network = "awsvpc" }
  }

  # In a cluster of their own, with Service Connect and TLS. The proxy of `proxied` listens at the container's port, as it
  # does by default; that of `bypassed` at another, so that the container's port is the container's.
  connected = {
    proxied  = { path = "/notify", launch = "FARGATE", network = "awsvpc", ingress_port = null }
    bypassed = { path = "/notify", launch = "FARGATE", network = "awsvpc", ingress_port = 8443 }
  }
}

resource "aws_cloudwatch_log_group" "samples" {
  #checkov:skip=CKV_AWS_158:It lives for an hour
  #checkov:skip=CKV_AWS_338:It lives for an hour
  name              = "/ecs/${local.name}"
  retention_in_days = 1
}
