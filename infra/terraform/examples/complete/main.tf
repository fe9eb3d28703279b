# The serverless form in a VPC without NAT: a security group, endpoints for AWS, and alarms by mail.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

variable "vpc_id" {
  description = "The VPC that the tasks are in"
  type        = string
}

variable "subnet_ids" {
  description = "Two subnets from which the tasks can be reached"
  type        = list(string)
}

variable "route_table_ids" {
  description = "The route tables of these subnets"
  type        = list(string)
}

variable "signing_secret_arn" {
  description = "The secret with the keys that `ecs-task-notifier keygen` made"
  type        = string
}

variable "mail" {
  description = "Who is told of alarms"
  type        = string
}

data "aws_vpc" "this" {
  id = var.vpc_id
}

# The tasks' own security groups must let this group in, on the ports that their labels name.
resource "aws_security_group" "notify" {
  name_prefix = "ecs-task-notifier-"
  description = "The notify function of ecs-task-notifier"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "tasks" {
  security_group_id = aws_security_group.notify.id
  description       = "Any port of the VPC: bridge mode gives host ports by chance"
  cidr_ipv4         = data.aws_vpc.this.cidr_block
  ip_protocol       = "tcp"
  from_port         = 1024
  to_port           = 65535
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  security_group_id = aws_security_group.notify.id
  description       = "EC2, ECS and SQS, by their endpoints"
  cidr_ipv4         = data.aws_vpc.this.cidr_block
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
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
  allow_networks     = [data.aws_vpc.this.cidr_block]
  alarm_topic_arns   = [aws_sns_topic.alarms.arn]
  signing_secret_arn = var.signing_secret_arn

  create_vpc_endpoints = true
  vpc_id               = var.vpc_id
  route_table_ids      = var.route_table_ids

  tags = { Environment = "production" }
}

output "observer_queue_url" {
  description = "Where `ecs-task-notifier publish` sends to"
  value       = module.notifier.observer_queue_url
}
