# Policies for people and pipelines. The module attaches them to no role.

locals {
  people = {
    plan    = { discovers = true, publishes = false, looks = false, redrives = false, ledger = [] }
    publish = { discovers = false, publishes = true, looks = true, redrives = false, ledger = local.ledger_read }
    report  = { discovers = false, publishes = false, looks = true, redrives = false, ledger = local.ledger_read }
    redrive = { discovers = false, publishes = false, looks = true, redrives = true, ledger = local.ledger_write }
    cancel  = { discovers = false, publishes = false, looks = false, redrives = false, ledger = local.ledger_write }
  }

  ledger_read  = ["dynamodb:BatchGetItem", "dynamodb:Query"]
  ledger_write = concat(local.ledger_read, ["dynamodb:BatchWriteItem", "dynamodb:PutItem"])

  discovery_actions = sort(distinct(flatten([for stage in local.all_stages : stage.actions])))
}

data "aws_iam_policy_document" "people" {
  for_each = { for task, may in local.people : task => may if var.create }

  dynamic "statement" {
    for_each = each.value.discovers ? toset(local.discovery_actions) : []

    content {
      sid       = join("", [for word in split(":", statement.value) : title(word)])
      actions   = [statement.value]
      resources = local.scopes[statement.value].resources

      dynamic "condition" {
        for_each = local.scopes[statement.value].cluster && length(var.cluster_arns) > 0 ? [true] : []

        content {
          test     = "ArnLike"
          variable = "ecs:cluster"
          values   = var.cluster_arns
        }
      }
    }
  }

  dynamic "statement" {
    for_each = each.value.discovers && length(var.cluster_roles) > 0 ? [var.cluster_roles] : []

    content {
      sid       = "AssumeClusterRoles"
      actions   = ["sts:AssumeRole"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = each.value.publishes ? [true] : []

    content {
      sid       = "Publish"
      actions   = ["sqs:GetQueueUrl", "sqs:SendMessage"]
      resources = [aws_sqs_queue.this["services"].arn]
    }
  }

  # Messages that SQS moved are recorded only in the dead-letter queues, which the queues name. Reading one hides it for a while.
  dynamic "statement" {
    for_each = each.value.looks ? [true] : []

    content {
      sid       = "FindDeadLetters"
      actions   = ["sqs:GetQueueAttributes"]
      resources = [for queue in aws_sqs_queue.this : queue.arn]
    }
  }

  dynamic "statement" {
    for_each = each.value.looks ? [true] : []

    content {
      sid = "ReadDeadLetters"
      actions = [
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ReceiveMessage",
      ]
      resources = [for queue in aws_sqs_queue.dead_letters : queue.arn]
    }
  }

  dynamic "statement" {
    for_each = each.value.redrives ? [true] : []

    content {
      sid       = "SendBack"
      actions   = ["sqs:SendMessage"]
      resources = [for queue in aws_sqs_queue.this : queue.arn]
    }
  }

  dynamic "statement" {
    for_each = each.value.redrives ? [true] : []

    content {
      sid       = "DeleteDeadLetters"
      actions   = ["sqs:DeleteMessage"]
      resources = [for queue in aws_sqs_queue.dead_letters : queue.arn]
    }
  }

  dynamic "statement" {
    for_each = length(each.value.ledger) > 0 ? aws_dynamodb_table.ledger : []

    content {
      sid       = "UseLedger"
      actions   = each.value.ledger
      resources = [statement.value.arn]
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_arn != null && each.value.looks ? [var.kms_key_arn] : []

    content {
      sid       = "UseKeyForQueues"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = local.via["sqs"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_arn != null && length(each.value.ledger) > 0 && local.ledger_count > 0 ? [var.kms_key_arn] : []

    content {
      sid       = "UseKeyForLedger"
      actions   = local.ledger_key_actions
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = local.via["dynamodb"]
      }
    }
  }
}
