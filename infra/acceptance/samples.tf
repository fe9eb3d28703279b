# The sample services. services.tf and service_connect.tf run them; an emulator cannot apply these.

locals {
  # On Fargate, on a host in bridge mode, and one that refuses each notification once.
  services = {
    fargate = { path = "/notify", tasks = 2, launch = "FARGATE", network = "awsvpc" }
    host    = { path = "/notify", tasks = 2, launch = "EC2", network = "bridge" }
    refuses = { path = "/refuse-once", tasks = 1, launch = "FARGATE", network = "awsvpc" }
  }

  # In a separate cluster, with Service Connect and TLS. The proxy of `proxied` listens at the container's port, the default.
  # The proxy of `bypassed` listens at another port, so that the container itself has its port.
  connected = {
    proxied  = { path = "/notify", launch = "FARGATE", network = "awsvpc", ingress_port = null }
    bypassed = { path = "/notify", launch = "FARGATE", network = "awsvpc", ingress_port = 8443 }
  }
}

resource "aws_cloudwatch_log_group" "samples" {
  #checkov:skip=CKV_AWS_158:It exists for an hour
  #checkov:skip=CKV_AWS_338:It exists for an hour
  name              = "/ecs/${local.name}"
  retention_in_days = 1
}
