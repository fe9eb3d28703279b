# The function `ecs_table_stream` reads the streams of tables and sends each record to the observer queue.

data "aws_iam_policy_document" "stream_assume" {
  count = local.stream_count

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "stream" {
  count = local.stream_count

  # The name of a role is unique across regions.
  name                 = "${local.stream.function}_${local.region}"
  description          = "Permissions of the function ${local.stream.function} in ${local.region}"
  assume_role_policy   = data.aws_iam_policy_document.stream_assume[0].json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = local.tags
}

resource "aws_iam_role_policy" "stream" {
  count = local.stream_count

  name   = "stream"
  role   = aws_iam_role.stream[0].id
  policy = data.aws_iam_policy_document.stream[0].json
}

data "aws_iam_policy_document" "stream" {
  #checkov:skip=CKV_AWS_356:Listing streams supports no resource, and joining a VPC neither

  count = local.stream_count

  statement {
    sid       = "ReadStreams"
    actions   = local.stream_actions
    resources = [for it in var.table_streams : it.stream_arn]
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

  # Lambda itself sends these, with the role of the function.
  statement {
    sid       = "SendDeadLetters"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.stream_dead_letters[0].arn]
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.stream[0].arn}:*"]
  }

  # The queues, and the environment of the function.
  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = length(local.stream_table_keys) > 0 ? [local.stream_table_keys] : []

    content {
      sid       = "DecryptStreams"
      actions   = ["kms:Decrypt"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = local.via["dynamodb"]
      }
    }
  }

  # As for the stages: Lambda attaches the function to the VPC, and its code must not.
  dynamic "statement" {
    for_each = var.discovery_in_vpc ? [true] : []

    content {
      sid       = "JoinVpc"
      actions   = local.vpc_actions
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = var.discovery_in_vpc ? [true] : []

    content {
      sid       = "DenyVpcActionsToCode"
      effect    = "Deny"
      actions   = local.vpc_actions
      resources = ["*"]

      condition {
        test     = "ArnEquals"
        variable = "lambda:SourceFunctionArn"
        values   = ["arn:${local.partition}:lambda:${local.region}:${local.account}:function:${local.stream.function}"]
      }
    }
  }
}

locals {
  stream_table_keys = distinct([for it in var.table_streams : it.table_kms_key_arn if it.table_kms_key_arn != null])
}

resource "aws_cloudwatch_log_group" "stream" {
  #checkov:skip=CKV_AWS_338:The user sets the retention: the log is for operation, not an archive

  count = local.stream_count

  name              = "/aws/lambda/${local.stream.function}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = local.tags
}

resource "aws_lambda_function" "stream" {
  #checkov:skip=CKV_AWS_115:The number of shards limits the concurrency; reserved concurrency would reduce the account's
  #checkov:skip=CKV_AWS_116:The event source mapping has a destination for failures; the function is never invoked asynchronously
  #checkov:skip=CKV_AWS_117:The function calls only SQS; discovery_in_vpc attaches it to the VPC
  #checkov:skip=CKV_AWS_272:The archives are built locally, or compared with a release's checksums, and uploaded through a bucket of this account
  #checkov:skip=CKV_AWS_50:The functions carry W3C trace context and write no X-Ray segments

  count = local.stream_count

  function_name = local.stream.function
  description   = "ecs-task-notifier, records of tables' streams"
  role          = aws_iam_role.stream[0].arn

  s3_bucket         = local.code["stream"].bucket
  s3_key            = local.code["stream"].key
  s3_object_version = local.code["stream"].version

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]
  memory_size   = local.stream.memory_mb
  timeout       = local.stream.timeout_s
  kms_key_arn   = var.kms_key_arn

  environment {
    variables = merge({
      NOTIFIER_OBSERVER_QUEUE_URL = aws_sqs_queue.this["services"].url
      NOTIFIER_LOG_LEVEL          = var.log_level
    }, var.environment)
  }

  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.stream[0].name
    application_log_level = local.log_levels[var.log_level].application
    system_log_level      = local.log_levels[var.log_level].system
  }

  dynamic "vpc_config" {
    for_each = var.discovery_in_vpc ? [true] : []

    content {
      subnet_ids                  = var.subnet_ids
      security_group_ids          = var.security_group_ids
      ipv6_allowed_for_dual_stack = var.ipv6
    }
  }

  tags = local.tags

  # A function without its role's permissions would fail at its first record.
  depends_on = [aws_iam_role_policy.stream]
}

resource "aws_lambda_event_source_mapping" "stream" {
  for_each = local.stream_count > 0 ? var.table_streams : {}

  event_source_arn                   = each.value.stream_arn
  function_name                      = aws_lambda_function.stream[0].arn
  enabled                            = each.value.enabled
  starting_position                  = each.value.starting_position
  batch_size                         = each.value.batch_size
  maximum_batching_window_in_seconds = each.value.maximum_batching_window_in_seconds
  parallelization_factor             = each.value.parallelization_factor
  maximum_record_age_in_seconds      = each.value.maximum_record_age_in_seconds
  maximum_retry_attempts             = each.value.maximum_retry_attempts

  # The function names the first record that failed. If it cannot answer at all, Lambda divides the batch.
  function_response_types        = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error = true

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.stream_dead_letters[0].arn
    }
  }

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

  # As for the stages.
  tags = local.partition == "aws" ? local.tags : null
}

resource "aws_cloudwatch_metric_alarm" "stream" {
  for_each = var.create_alarms && local.stream_count > 0 ? {
    errors = {
      metric = "Errors", statistic = "Sum", threshold = 0, periods = 1
      text   = "a whole invocation failed"
    }
    throttles = {
      metric = "Throttles", statistic = "Sum", threshold = 0, periods = 5
      text   = "the account has no concurrency left for the function"
    }
    # A stream keeps its records for 24 hours. A mapping that stands still shows an age that grows.
    iterator_age = {
      metric = "IteratorAge", statistic = "Maximum", threshold = local.stream.iterator_age_alarm_s * 1000, periods = 3
      text   = "the records of a table's stream are read too late"
    }
  } : {}

  alarm_name          = "${local.stream.function}_${local.region}_${each.key}"
  alarm_description   = "Stream function: ${each.value.text}. See docs/operate.md, \"Table streams\""
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = aws_lambda_function.stream[0].function_name }
  statistic           = each.value.statistic
  period              = 60
  evaluation_periods  = each.value.periods
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags
}
