# Permissions of the daemon, and of ECS on its behalf.

data "aws_partition" "current" {}

locals {
  # AWS cannot limit these by the condition `ecs:cluster`.
  without_cluster = ["ec2:DescribeInstances", "ecs:DescribeClusters", "ecs:DescribeTaskDefinition", "ecs:ListClusters"]
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

# Permissions of the daemon itself.
resource "aws_iam_role" "daemon" {
  name_prefix        = "ecs-task-notifier-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

data "aws_iam_policy_document" "daemon" {
  #checkov:skip=CKV_AWS_356:These actions support no resource, or are limited by a condition
  statement {
    sid       = "ReadClusters"
    actions   = setsubtract(module.notifier.discovery_actions, local.without_cluster)
    resources = ["*"]

    condition {
      test     = "ArnLike"
      variable = "ecs:cluster"
      values   = length(var.cluster_arns) > 0 ? var.cluster_arns : [var.cluster_arn]
    }
  }

  statement {
    sid       = "ReadDefinitionsAndHosts"
    actions   = local.without_cluster
    resources = ["*"]
  }

  statement {
    sid       = "KeepLedger"
    actions   = module.notifier.ledger_actions
    resources = [module.notifier.ledger_arn]
  }

  dynamic "statement" {
    for_each = length(var.cluster_roles) > 0 ? [var.cluster_roles] : []

    content {
      sid       = "AssumeClusterRoles"
      actions   = ["sts:AssumeRole"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = var.routes == null ? [] : [module.notifier.routes_parameter_arn]

    content {
      sid       = "ReadRoutes"
      actions   = ["ssm:GetParameter"]
      resources = [statement.value]
    }
  }

  statement {
    sid       = "ReadSigningSecret"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.signing_secret_arn]
  }

  statement {
    sid = "ProcessQueues"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
    ]
    resources = [for stage in local.processed : module.notifier.queue_arns[stage]]
  }

  # To the observer and the registry queue too: their stages divide a message with several clusters or records.
  statement {
    sid       = "Publish"
    actions   = ["sqs:SendMessage"]
    resources = [for stage in local.processed : module.notifier.queue_arns[stage]]
  }

  statement {
    sid       = "SendDeadLetters"
    actions   = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"]
    resources = [for stage in local.processed : module.notifier.dead_letter_queue_arns[stage]]
  }
}

resource "aws_iam_role_policy" "daemon" {
  name   = "daemon"
  role   = aws_iam_role.daemon.id
  policy = data.aws_iam_policy_document.daemon.json
}

# Permissions of ECS before the daemon runs: pull the image, open the log.
resource "aws_iam_role" "execution" {
  name_prefix        = "ecs-task-notifier-run-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}
