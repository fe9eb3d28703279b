# The serverless form in a VPC without NAT: a security group, endpoints for AWS, and alarms by mail.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.8"
    }
  }
}

data "aws_vpc" "this" {
  id = var.vpc_id
}

locals {
  # A VPC may have several ranges, and tasks may be in any of them.
  ipv4_networks = [for it in data.aws_vpc.this.cidr_block_associations : it.cidr_block if it.state == "associated"]
  ipv6_networks = var.ipv6 ? [data.aws_vpc.this.ipv6_cidr_block] : []
}

# The tasks' security groups must allow ingress from this group, on the ports in their labels.
resource "aws_security_group" "notify" {
  name_prefix = "ecs-task-notifier-"
  description = "The notify function of ecs-task-notifier"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

# From port 1: a label may name any port, and bridge mode assigns random host ports. This includes the endpoints' port.
resource "aws_vpc_security_group_egress_rule" "ipv4" {
  for_each = toset(local.ipv4_networks)

  security_group_id = aws_security_group.notify.id
  description       = "Tasks and endpoints in the VPC"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 1
  to_port           = 65535
}

resource "aws_vpc_security_group_egress_rule" "ipv6" {
  for_each = toset(local.ipv6_networks)

  security_group_id = aws_security_group.notify.id
  description       = "Tasks in the VPC"
  cidr_ipv6         = each.value
  ip_protocol       = "tcp"
  from_port         = 1
  to_port           = 65535
}

resource "aws_vpc_security_group_egress_rule" "ledger" {
  security_group_id = aws_security_group.notify.id
  description       = "DynamoDB, by its gateway endpoint"
  prefix_list_id    = module.notifier.dynamodb_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish with AWS's own key for SNS, and alarms name queues and functions, nothing secret
  name_prefix = "ecs-task-notifier-alarms-"
}

resource "aws_sns_topic_subscription" "mail" {
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.mail
}

module "notifier" {
  source = "../.."

  subnet_ids         = var.subnet_ids
  security_group_ids = [aws_security_group.notify.id]
  allow_networks     = concat(local.ipv4_networks, local.ipv6_networks)
  ipv6               = var.ipv6
  alarm_topic_arns   = [aws_sns_topic.alarms.arn]
  signing_secret_arn = var.signing_secret_arn
  architecture       = var.architecture
  archives           = var.archives
  keep_warm_schedule = "rate(1 day)"
  registry           = length(var.registry_clusters) == 0 ? null : { clusters = var.registry_clusters }

  create_vpc_endpoints = true
  vpc_id               = var.vpc_id
  route_table_ids      = var.route_table_ids

  tags = { Environment = "production" }
}
