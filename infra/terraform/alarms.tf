# Alarms. Those on queues are for the daemon too; those on functions exist only with the functions.

locals {
  function_alarms = var.create_alarms ? local.functions : {}
  ledger_alarms   = var.create_alarms ? local.ledger_count : 0

  # Metrics whose sum an alarm compares.
  messages = ["ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesVisible"]
  polls    = ["NumberOfEmptyReceives", "NumberOfMessagesReceived"]
  ledger_throttles = [
    { metric = "ReadThrottleEvents", operation = null },
    { metric = "WriteThrottleEvents", operation = null },
  ]
  ledger_errors = [
    for operation in sort(distinct(flatten([for stage in local.all_stages : stage.ledger_actions]))) :
    { metric = "SystemErrors", operation = trimprefix(operation, "dynamodb:") }
  ]

  # SQS and DynamoDB publish no values while nothing happens: that counts as 0.
  sums = {
    for name, metrics in {
      messages = local.messages, polls = local.polls, throttles = local.ledger_throttles, errors = local.ledger_errors,
    } : name => join(" + ", [for index in range(length(metrics)) : "FILL(m${index}, 0)"])
  }
}

check "alarms_reach_somebody" {
  assert {
    condition     = !var.create || !var.create_alarms || length(var.alarm_topic_arns) > 0
    error_message = "alarm_topic_arns is empty, so alarms notify nobody. Set an SNS topic, or create_alarms = false."
  }
}

# The growth of the number of dead letters, not the number: a new dead letter must notify even if older ones are there.
# CloudWatch fills the newest minute, which has no data yet, with 0. The metrics of an idle queue come up to 15 minutes
# late. So one minute with growth among the last 20 triggers the alarm.
# Source: Amazon SQS Developer Guide, "Available CloudWatch metrics for Amazon SQS".
resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = local.alarms

  alarm_name          = "${each.value.queue}_dead_letters"
  alarm_description   = "Stage ${each.key}: messages were moved to the dead letters in the last minutes. OK means that no new ones came, not that none are there. See docs/operate.md, \"Dead letters\""
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
        dimensions  = { QueueName = aws_sqs_queue.dead_letters[each.key].name }
        stat        = "Maximum"
        period      = 60
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "age" {
  for_each = local.alarms

  alarm_name          = "${each.value.queue}_age"
  alarm_description   = "Stage ${each.key}: the oldest message has waited too long. See docs/operate.md, \"Old messages\""
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.this[each.key].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  threshold           = each.value.age_alarm_s
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags
}

# The age of the oldest message excludes messages that were received three times. If a queue is not empty for twice as long,
# messages are retried again and again. SQS publishes the number in work only while it is not 0, and has no value for the
# newest minute: both count as 0, so two minutes may be empty. An alarm looks back for a day at most. While many tasks start and
# stop, the registry queue is never empty, and no event is retried.
resource "aws_cloudwatch_metric_alarm" "retries" {
  for_each = { for stage, it in local.alarms : stage => it if stage != "registry" }

  alarm_name          = "${each.value.queue}_retries"
  alarm_description   = "Stage ${each.key}: the queue has not been empty for a long time, so messages are retried again and again. See docs/operate.md, \"Old messages\""
  evaluation_periods  = min(1440, ceil(each.value.age_alarm_s / 30) + 2)
  datapoints_to_alarm = min(1438, ceil(each.value.age_alarm_s / 30))
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags

  metric_query {
    id          = "unfinished"
    label       = "Messages waiting or in work"
    expression  = local.sums.messages
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.messages

    content {
      id = "m${metric_query.key}"

      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value
        dimensions  = { QueueName = aws_sqs_queue.this[each.key].name }
        stat        = "Minimum"
        period      = 60
      }
    }
  }
}

# An event source mapping and a daemon poll a queue all the time, also an empty one. Without polls, the event source mapping
# is disabled, the function is inactive, or the daemon does not run.
resource "aws_cloudwatch_metric_alarm" "unread" {
  for_each = local.alarms

  alarm_name          = "${each.value.queue}_unread"
  alarm_description   = "Stage ${each.key}: nothing receives from the queue. See docs/operate.md, \"Unread queues\""
  evaluation_periods  = 15
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags

  metric_query {
    id          = "polls"
    label       = "Receives"
    expression  = local.sums.polls
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.polls

    content {
      id = "m${metric_query.key}"

      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value
        dimensions  = { QueueName = aws_sqs_queue.this[each.key].name }
        stat        = "Sum"
        period      = 60
      }
    }
  }
}

# An invocation may run for minutes before it fails, so two failures are rarely in consecutive minutes: one is enough.
resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = local.function_alarms

  alarm_name          = "${each.value.function}_${local.region}_errors"
  alarm_description   = "Stage ${each.key}: a whole invocation failed. See docs/operate.md, \"Errors\""
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.this[each.key].function_name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "throttles" {
  for_each = local.function_alarms

  alarm_name          = "${each.value.function}_${local.region}_throttles"
  alarm_description   = "Stage ${each.key}: the account has no concurrency left for the function. See docs/operate.md, \"Throttles\""
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = aws_lambda_function.this[each.key].function_name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 5
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags
}

# A short throttle of a new table, or of many outcomes at once, loses nothing. Throttles for minutes slow every call down.
resource "aws_cloudwatch_metric_alarm" "ledger" {
  for_each = local.ledger_alarms > 0 ? { throttles = local.ledger_throttles, errors = local.ledger_errors } : {}

  alarm_name          = "${aws_dynamodb_table.ledger[0].name}_${local.region}_ledger_${each.key}"
  alarm_description   = "The ledger's table returns ${each.key}, and no task is called without a record. See docs/operate.md, \"The ledger\""
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags

  metric_query {
    id          = "all"
    label       = title(each.key)
    expression  = local.sums[each.key]
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value

    content {
      id = "m${metric_query.key}"

      metric {
        namespace   = "AWS/DynamoDB"
        metric_name = metric_query.value.metric
        dimensions = merge(
          { TableName = aws_dynamodb_table.ledger[0].name },
          metric_query.value.operation == null ? {} : { Operation = metric_query.value.operation },
        )
        stat   = "Sum"
        period = 60
      }
    }
  }
}
