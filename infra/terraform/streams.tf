# Streams of DynamoDB tables: the permissions and the dead letters that pipes and the stream function share.

locals {
  streams_count = var.create && (length(var.table_pipes) > 0 || length(var.table_streams) > 0) ? 1 : 0

  # Reading a stream. Source: Amazon EventBridge User Guide, "Event source permissions for Amazon EventBridge Pipes", and
  # AWS Lambda Developer Guide, "Process DynamoDB records with Lambda". `dynamodb:ListStreams` supports no resource.
  stream_actions = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
}

# Positions of records that were given up. A position is no record: it names shard and sequence numbers, so these dead
# letters cannot be redriven, and have a queue of their own.
resource "aws_sqs_queue" "stream_dead_letters" {
  count = local.streams_count

  name                      = "${var.name_prefix}${local.stream_defaults.function}_${local.region}${var.name_suffix}_dead_letters"
  message_retention_seconds = var.dead_letter_retention_s

  sqs_managed_sse_enabled           = var.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == null ? null : 3600

  tags = local.tags
}

data "aws_iam_policy_document" "stream_dead_letters" {
  count = local.streams_count

  statement {
    sid       = "OnlyByTls"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.stream_dead_letters[0].arn]

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
}

resource "aws_sqs_queue_policy" "stream_dead_letters" {
  count = local.streams_count

  queue_url = aws_sqs_queue.stream_dead_letters[0].id
  policy    = data.aws_iam_policy_document.stream_dead_letters[0].json
}

# The growth, as for the dead letters of the stages.
resource "aws_cloudwatch_metric_alarm" "stream_dead_letters" {
  count = var.create_alarms ? local.streams_count : 0

  alarm_name          = aws_sqs_queue.stream_dead_letters[0].name
  alarm_description   = "Records of a table's stream were given up in the last minutes. The stream keeps them for 24 hours. See docs/operate.md, \"Table streams\""
  evaluation_periods  = 20
  datapoints_to_alarm = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = local.tags

  metric_query {
    id          = "growth"
    label       = "New dead letters"
    expression  = "DIFF(${local.sums.messages})"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.messages

    content {
      id = "m${metric_query.key}"

      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value
        dimensions  = { QueueName = aws_sqs_queue.stream_dead_letters[0].name }
        stat        = "Maximum"
        period      = 60
      }
    }
  }
}
