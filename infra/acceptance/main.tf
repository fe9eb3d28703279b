# Resources of the acceptance run: a small VPC without NAT, a cluster with a host, sample services, and the module.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.8"
    }
  }
}

provider "aws" {
  default_tags {
    tags = { AcceptanceRun = var.run }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  name = "acc-${var.run}"
}

resource "aws_ecs_cluster" "this" {
  #checkov:skip=CKV_AWS_65:It exists for an hour
  name = local.name
}

# The policies of this run allow no access to this cluster.
resource "aws_ecs_cluster" "other" {
  #checkov:skip=CKV_AWS_65:It exists for an hour
  name = "${local.name}-other"
}

# For the services with Service Connect, so that broadcasts to the first cluster do not target them.
resource "aws_ecs_cluster" "connected" {
  #checkov:skip=CKV_AWS_65:It exists for an hour
  name = "${local.name}-connected"
}

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:A key's policy applies to that key alone, and without its account nobody could manage it
  #checkov:skip=CKV_AWS_111:A key's policy applies to that key alone, and without its account nobody could manage it
  #checkov:skip=CKV_AWS_356:A key's policy applies to that key alone, and without its account nobody could manage it
  statement {
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }

  statement {
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${data.aws_region.current.region}.amazonaws.com"]
    }
  }
}

resource "aws_kms_key" "this" {
  description             = "ecs-task-notifier, acceptance run ${var.run}"
  deletion_window_in_days = 7
  enable_key_rotation     = true
  policy                  = data.aws_iam_policy_document.key.json
}

# run.py writes its value, so that no state contains it.
resource "aws_secretsmanager_secret" "signing" {
  #checkov:skip=CKV2_AWS_57:It exists for an hour
  name                    = local.name
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = 0
}

module "notifier" {
  source = "../terraform"

  name_prefix  = "${local.name}-"
  architecture = var.architecture
  archives     = var.archives
  kms_key_arn  = aws_kms_key.this.arn

  signing_secret_arn         = aws_secretsmanager_secret.signing.arn
  signing_secret_kms_key_arn = aws_kms_key.this.arn

  cluster_arns   = [aws_ecs_cluster.this.arn, aws_ecs_cluster.connected.arn]
  redriver_arns  = var.operator_arn == null ? [] : [var.operator_arn]
  allow_networks = [aws_vpc.this.cidr_block]

  vpc_id               = aws_vpc.this.id
  subnet_ids           = values(aws_subnet.this)[*].id
  security_group_ids   = [aws_security_group.notify.id]
  route_table_ids      = [aws_route_table.this.id]
  create_vpc_endpoints = true

  # A delivery to a task that does not answer ends within minutes, because a user waits.
  horizon_minutes  = 2
  log_level        = "debug"
  create_alarms    = false
  create_dashboard = false
  stages           = { notify = { batching_window_s = var.batching_window_s, visibility_s = 400 } }
}

# A principal of the account with permissions to send to every queue, but without a role of the module.
data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
}

data "aws_iam_policy_document" "stranger" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = concat(values(module.notifier.queue_arns), [aws_sqs_queue.probe.arn])
  }

  statement {
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
  }
}

resource "aws_iam_role" "stranger" {
  name               = "${local.name}-stranger"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "stranger" {
  name   = "send"
  role   = aws_iam_role.stranger.id
  policy = data.aws_iam_policy_document.stranger.json
}

# A person with the module's policy `plan`.
resource "aws_iam_role" "planner" {
  name               = "${local.name}-planner"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "planner" {
  name   = "plan"
  role   = aws_iam_role.planner.id
  policy = module.notifier.policies["plan"]
}

resource "aws_sqs_queue" "probe" {
  name                    = "${local.name}-probe"
  sqs_managed_sse_enabled = true
}
