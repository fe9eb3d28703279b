# The daemon instead of the functions: an ECS service on Fargate that works through the same queues.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

variable "cluster_arn" {
  description = "The cluster that the daemon runs in; it may notify others"
  type        = string
}

variable "image" {
  description = "The image that `make image` builds, in a registry that the cluster can pull from, by digest"
  type        = string
}

variable "signing_secret_arn" {
  description = "The secret with the keys that `ecs-task-notifier keygen` made"
  type        = string
}

variable "vpc_id" {
  description = "The VPC that the tasks are in"
  type        = string
}

variable "subnet_ids" {
  description = "Subnets from which the tasks and AWS's endpoints can be reached"
  type        = list(string)
}

data "aws_region" "current" {}
data "aws_vpc" "this" {
  id = var.vpc_id
}

locals {
  stages = ["services", "tasks", "notify"]
}

module "notifier" {
  source = "../.."

  create_functions = false
  worker_role_arns = [aws_iam_role.daemon.arn]
}

resource "aws_cloudwatch_log_group" "daemon" {
  #checkov:skip=CKV_AWS_158:CloudWatch's own encryption suffices for an example
  #checkov:skip=CKV_AWS_338:A month is enough for operating
  name              = "/ecs/ecs-task-notifier"
  retention_in_days = 30
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

# What the daemon itself may do.
resource "aws_iam_role" "daemon" {
  name_prefix        = "ecs-task-notifier-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

data "aws_iam_policy_document" "daemon" {
  #checkov:skip=CKV_AWS_356:Some of these actions know no resource; the module's own roles are narrower still
  statement {
    sid       = "LookIntoClusters"
    actions   = module.notifier.discovery_actions
    resources = ["*"]
  }

  statement {
    sid       = "KeepLedger"
    actions   = module.notifier.ledger_actions
    resources = [module.notifier.ledger_arn]
  }

  statement {
    sid       = "ReadSigningSecret"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.signing_secret_arn]
  }

  statement {
    sid = "WorkThroughQueues"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
    ]
    resources = [for stage in local.stages : module.notifier.queue_arns[stage]]
  }

  statement {
    sid       = "PublishToNextStage"
    actions   = ["sqs:SendMessage"]
    resources = [module.notifier.queue_arns["tasks"], module.notifier.queue_arns["notify"]]
  }

  statement {
    sid       = "BuryDeadLetters"
    actions   = ["sqs:GetQueueUrl", "sqs:SendMessage"]
    resources = [for stage in local.stages : module.notifier.dead_letter_queue_arns[stage]]
  }
}

resource "aws_iam_role_policy" "daemon" {
  name   = "daemon"
  role   = aws_iam_role.daemon.id
  policy = data.aws_iam_policy_document.daemon.json
}

# What ECS does on the daemon's behalf before it runs: pull the image, open the log.
resource "aws_iam_role" "execution" {
  name_prefix        = "ecs-task-notifier-run-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

data "aws_partition" "current" {}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

# The tasks' own security groups must let this group in, on the ports that their labels name.
resource "aws_security_group" "daemon" {
  name_prefix = "ecs-task-notifier-"
  description = "The daemon of ecs-task-notifier"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "tasks" {
  security_group_id = aws_security_group.daemon.id
  description       = "Any port of the VPC: bridge mode gives host ports by chance"
  cidr_ipv4         = data.aws_vpc.this.cidr_block
  ip_protocol       = "tcp"
  from_port         = 1024
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

resource "aws_ecs_task_definition" "daemon" {
  family                   = "ecs-task-notifier"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  task_role_arn            = aws_iam_role.daemon.arn
  execution_role_arn       = aws_iam_role.execution.arn

  runtime_platform {
    cpu_architecture        = "ARM64"
    operating_system_family = "LINUX"
  }

  container_definitions = jsonencode([{
    name                   = "daemon"
    image                  = var.image
    command                = ["serve"]
    essential              = true
    readonlyRootFilesystem = true
    # Longer than the grace time of `serve`, so that what is in flight is finished or handed back.
    stopTimeout = 60
    environment = [
      for name, value in {
        NOTIFIER_OBSERVER_QUEUE_URL = module.notifier.queue_urls["services"]
        NOTIFIER_SERVICES_QUEUE_URL = module.notifier.queue_urls["tasks"]
        NOTIFIER_TASKS_QUEUE_URL    = module.notifier.queue_urls["notify"]
        NOTIFIER_ALLOW_NETWORKS     = data.aws_vpc.this.cidr_block
        NOTIFIER_LEDGER             = module.notifier.ledger
        NOTIFIER_LOG_FORMAT         = "json"
        NOTIFIER_SIGNING_SECRET     = "secretsmanager:${var.signing_secret_arn}"
      } : { name = name, value = value }
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.daemon.name
        awslogs-region        = data.aws_region.current.region
        awslogs-stream-prefix = "daemon"
      }
    }
  }])
}

resource "aws_ecs_service" "daemon" {
  name            = "ecs-task-notifier"
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.daemon.arn
  desired_count   = 1
  launch_type     = "FARGATE"

  # Two at a time do no harm: each message is worked on by one of them.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  network_configuration {
    subnets         = var.subnet_ids
    security_groups = [aws_security_group.daemon.id]
  }

  # The daemon ends at the start when it may not read its queues.
  depends_on = [aws_iam_role_policy.daemon]
}

output "observer_queue_url" {
  description = "Where `ecs-task-notifier publish` sends to"
  value       = module.notifier.observer_queue_url
}
