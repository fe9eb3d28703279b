# Networks that the daemon may connect to.

data "aws_vpc" "this" {
  id = var.vpc_id
}

locals {
  # A VPC may have several ranges, and tasks may be in any of them.
  ipv4_networks = [for it in data.aws_vpc.this.cidr_block_associations : it.cidr_block if it.state == "associated"]
  ipv6_networks = var.ipv6 ? [data.aws_vpc.this.ipv6_cidr_block] : []
}

# The tasks' security groups must allow ingress from this group, on the ports in their labels.
resource "aws_security_group" "daemon" {
  name_prefix = "ecs-task-notifier-"
  description = "The daemon of ecs-task-notifier"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

# From port 1: a label may name any port, and bridge mode assigns random host ports.
resource "aws_vpc_security_group_egress_rule" "ipv4" {
  for_each = toset(local.ipv4_networks)

  security_group_id = aws_security_group.daemon.id
  description       = "Tasks in the VPC"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 1
  to_port           = 65535
}

resource "aws_vpc_security_group_egress_rule" "ipv6" {
  for_each = toset(local.ipv6_networks)

  security_group_id = aws_security_group.daemon.id
  description       = "Tasks in the VPC"
  cidr_ipv6         = each.value
  ip_protocol       = "tcp"
  from_port         = 1
  to_port           = 65535
}

resource "aws_vpc_security_group_egress_rule" "aws" {
  security_group_id = aws_security_group.daemon.id
  description       = "AWS and the registry of the image"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
