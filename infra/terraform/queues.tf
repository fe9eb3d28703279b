resource "aws_sqs_queue" "this" {
  for_each = local.queues

  name                       = each.value.queue
  visibility_timeout_seconds = each.value.visibility_s
  # An event of a task that is older than a day is ignored: a sweep knows better.
  message_retention_seconds = each.key == "registry" ? min(var.message_retention_s, 86400) : var.message_retention_s
  receive_wait_time_seconds = 20
  max_message_size          = 1048576

  sqs_managed_sse_enabled           = var.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == null ? null : 3600

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[each.key].arn
    maxReceiveCount     = each.value.receives_max
  })

  tags = merge(local.tags, { Stage = each.key })

  lifecycle {
    precondition {
      condition     = !var.create_functions || each.value.visibility_s >= 6 * each.value.timeout_s + each.value.batching_window_s
      error_message = "Stage ${each.key}: visibility_s must be at least six times timeout_s, plus batching_window_s. Source: AWS Lambda Developer Guide, \"Using Lambda with Amazon SQS\"."
    }
    precondition {
      condition     = each.key != "services" || !var.create_functions || sum([for name, stage in local.queues : stage.budget_share_percent if name != "registry"]) <= 100
      error_message = "The sum of budget_share_percent of the three stages exceeds 100: the functions would use more than aws_budget_percent of AWS's request rate."
    }
  }
}

resource "aws_sqs_queue" "dead_letters" {
  for_each = local.queues

  name                      = "${each.value.queue}_dead_letters"
  message_retention_seconds = var.dead_letter_retention_s
  max_message_size          = 1048576

  sqs_managed_sse_enabled           = var.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == null ? null : 3600

  tags = merge(local.tags, { Stage = each.key })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  for_each = local.queues

  queue_url = aws_sqs_queue.dead_letters[each.key].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this[each.key].arn]
  })
}

data "aws_iam_policy_document" "queue" {
  for_each = local.queues

  source_policy_documents = each.key == "services" ? var.publisher_policy_documents : []

  statement {
    sid       = "OnlyByTls"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.this[each.key].arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # For a session of a role, `aws:PrincipalArn` is the ARN of the role.
  dynamic "statement" {
    for_each = contains(keys(local.inner_senders), each.key) ? [local.inner_senders[each.key]] : []

    content {
      sid       = each.key == "registry" ? "OnlyFromRuleAndOwnRoles" : "OnlyFromPreviousStage"
      effect    = "Deny"
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.this[each.key].arn]

      principals {
        type        = "*"
        identifiers = ["*"]
      }

      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        values   = statement.value
      }

      # Excludes calls by SQS itself, and by EventBridge. Services need a statement that allows them, and only the registry
      # queue has one, for its rule.
      condition {
        test     = "Bool"
        variable = "aws:PrincipalIsAWSService"
        values   = ["false"]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "services" && length(var.publisher_arns) > 0 ? [var.publisher_arns] : []

    content {
      sid       = "Publishers"
      actions   = ["sqs:GetQueueUrl", "sqs:SendMessage"]
      resources = [aws_sqs_queue.this[each.key].arn]

      principals {
        type        = "AWS"
        identifiers = statement.value
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "services" ? local.publishers : each.key == "registry" ? local.registry_publishers : {}

    content {
      sid       = statement.key
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.this[each.key].arn]

      principals {
        type        = "Service"
        identifiers = [statement.value.service]
      }

      condition {
        test     = "ArnLike"
        variable = "aws:SourceArn"
        values   = statement.value.source_arns
      }

      condition {
        test     = statement.value.account_test
        variable = "aws:SourceAccount"
        values   = [statement.value.source_account]
      }
    }
  }
}

data "aws_iam_policy_document" "dead_letters" {
  for_each = local.queues

  statement {
    sid       = "OnlyByTls"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.dead_letters[each.key].arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  dynamic "statement" {
    for_each = contains(keys(local.dead_letter_senders), each.key) ? [local.dead_letter_senders[each.key]] : []

    content {
      sid       = "OnlyFromItsStage"
      effect    = "Deny"
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.dead_letters[each.key].arn]

      principals {
        type        = "*"
        identifiers = ["*"]
      }

      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        values   = statement.value
      }

      # As above: SQS itself must be able to move messages here after their last receive.
      condition {
        test     = "Bool"
        variable = "aws:PrincipalIsAWSService"
        values   = ["false"]
      }
    }
  }

  # Events that a rule or a topic could not deliver to the queue. They are whole, so they can be redriven.
  dynamic "statement" {
    for_each = each.key == "services" ? local.undelivered : each.key == "registry" ? local.registry_publishers : {}

    content {
      sid       = statement.key
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.dead_letters[each.key].arn]

      principals {
        type        = "Service"
        identifiers = [statement.value.service]
      }

      condition {
        test     = "ArnLike"
        variable = "aws:SourceArn"
        values   = statement.value.source_arns
      }

      condition {
        test     = statement.value.account_test
        variable = "aws:SourceAccount"
        values   = [statement.value.source_account]
      }
    }
  }
}

resource "aws_sqs_queue_policy" "this" {
  for_each = local.queues

  queue_url = aws_sqs_queue.this[each.key].id
  policy    = data.aws_iam_policy_document.queue[each.key].json

  lifecycle {
    # Source: Amazon SQS Developer Guide, "Amazon SQS policy quotas".
    precondition {
      condition = (
        length(jsonencode(jsondecode(data.aws_iam_policy_document.queue[each.key].json))) <= 8192 &&
        length(jsondecode(data.aws_iam_policy_document.queue[each.key].json).Statement) <= 20
      )
      error_message = "Stage ${each.key}: the queue's policy exceeds SQS's limit of 8,192 characters or 20 statements. Set fewer publishers, workers, redrivers and sources; one entry of publisher_services may have several source_arns, and an ARN may contain `*`."
    }
  }
}

resource "aws_sqs_queue_policy" "dead_letters" {
  for_each = local.queues

  queue_url = aws_sqs_queue.dead_letters[each.key].id
  policy    = data.aws_iam_policy_document.dead_letters[each.key].json
}
