# EventBridge Pipes from the stream of a table to the observer queue: no function in between.

locals {
  pipes      = { for name, pipe in var.table_pipes : name => pipe if var.create }
  pipe_names = { for name, pipe in var.table_pipes : name => "${var.name_prefix}ecs-task-notifier-${name}${var.name_suffix}" }

  # The name of a role is unique across regions, and has at most 64 characters. In a longer name, a hash replaces the
  # pipe's name and the region.
  pipe_roles_full = { for name in keys(var.table_pipes) : name => "${var.name_prefix}ecs-task-notifier-pipe-${name}_${local.region}${var.name_suffix}" }
  pipe_roles = {
    for name, full in local.pipe_roles_full :
    name => length(full) <= 64 ? full : "${var.name_prefix}ecs-task-notifier-pipe-${substr(sha256(full), 0, 12)}${var.name_suffix}"
  }
}

data "aws_iam_policy_document" "pipe_assume" {
  for_each = local.pipes

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["pipes.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:pipes:${local.region}:${local.account}:pipe/${local.pipe_names[each.key]}"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

data "aws_iam_policy_document" "pipe" {
  #checkov:skip=CKV_AWS_356:Listing streams supports no resource

  for_each = local.pipes

  statement {
    sid       = "ReadStream"
    actions   = local.stream_actions
    resources = [each.value.stream_arn]
  }

  statement {
    sid       = "ListStreams"
    actions   = ["dynamodb:ListStreams"]
    resources = ["*"]
  }

  statement {
    sid       = "PublishToObserverQueue"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.this["services"].arn]
  }

  statement {
    sid       = "SendDeadLetters"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.stream_dead_letters[0].arn]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "UseKey"
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
    for_each = each.value.table_kms_key_arn == null ? [] : [each.value.table_kms_key_arn]

    content {
      sid       = "DecryptStream"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = local.via["dynamodb"]
      }
    }
  }
}

resource "aws_iam_role" "pipe" {
  for_each = local.pipes

  name                 = local.pipe_roles[each.key]
  description          = "Allows the pipe ${local.pipe_names[each.key]} in ${local.region} to read a stream and to send to the observer queue"
  assume_role_policy   = data.aws_iam_policy_document.pipe_assume[each.key].json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = local.tags
}

resource "aws_iam_role_policy" "pipe" {
  for_each = local.pipes

  name   = "pipe"
  role   = aws_iam_role.pipe[each.key].id
  policy = data.aws_iam_policy_document.pipe[each.key].json
}

resource "aws_pipes_pipe" "this" {
  for_each = local.pipes

  name          = local.pipe_names[each.key]
  description   = "Changes of a table for ecs-task-notifier"
  role_arn      = aws_iam_role.pipe[each.key].arn
  source        = each.value.stream_arn
  target        = aws_sqs_queue.this["services"].arn
  desired_state = each.value.enabled ? "RUNNING" : "STOPPED"
  tags          = local.tags

  source_parameters {
    dynamic "filter_criteria" {
      for_each = length(each.value.filter_patterns) > 0 ? [each.value.filter_patterns] : []

      content {
        dynamic "filter" {
          for_each = filter_criteria.value

          content {
            pattern = filter.value
          }
        }
      }
    }

    dynamodb_stream_parameters {
      starting_position                  = each.value.starting_position
      batch_size                         = each.value.batch_size
      maximum_batching_window_in_seconds = each.value.maximum_batching_window_in_seconds
      maximum_record_age_in_seconds      = each.value.maximum_record_age_in_seconds
      maximum_retry_attempts             = each.value.maximum_retry_attempts
      parallelization_factor             = each.value.parallelization_factor
      on_partial_batch_item_failure      = "AUTOMATIC_BISECT"

      dead_letter_config {
        arn = aws_sqs_queue.stream_dead_letters[0].arn
      }
    }
  }

  # AWS checks at creation that the role may read the stream.
  depends_on = [aws_iam_role_policy.pipe]
}
