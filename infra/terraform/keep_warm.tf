# AWS sets a function in a VPC to `Inactive` after weeks without a call. A message that notifies no task keeps all three
# active. Scheduler has its own role, so neither the queue's policy nor the key's policy must name a service.

locals {
  keep_warm_count = length(local.functions) > 0 && var.keep_warm_schedule != null ? 1 : 0
}

data "aws_iam_policy_document" "keep_warm_assume" {
  count = local.keep_warm_count

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

data "aws_iam_policy_document" "keep_warm" {
  count = local.keep_warm_count

  statement {
    sid       = "PublishToObserverQueue"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.this["services"].arn]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role" "keep_warm" {
  count = local.keep_warm_count

  name                 = "${var.name_prefix}ecs-task-notifier-keep-warm_${local.region}${var.name_suffix}"
  description          = "Allows a schedule to send to the observer queue in ${local.region}"
  assume_role_policy   = data.aws_iam_policy_document.keep_warm_assume[0].json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = local.tags
}

resource "aws_iam_role_policy" "keep_warm" {
  count = local.keep_warm_count

  name   = "keep-warm"
  role   = aws_iam_role.keep_warm[0].id
  policy = data.aws_iam_policy_document.keep_warm[0].json
}

resource "aws_scheduler_schedule" "keep_warm" {
  #checkov:skip=CKV_AWS_297:The schedule contains no secret

  count = local.keep_warm_count

  name                = "${var.name_prefix}ecs-task-notifier-keep-warm${var.name_suffix}"
  description         = "Keeps the functions of ecs-task-notifier active"
  schedule_expression = var.keep_warm_schedule

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }

  target {
    arn      = aws_sqs_queue.this["services"].arn
    role_arn = aws_iam_role.keep_warm[0].arn
    input    = jsonencode({ keep_warm = true })
  }

  depends_on = [aws_iam_role_policy.keep_warm]
}
