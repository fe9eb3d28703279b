# Alarms on the outcomes of deliveries, from the metrics that the notify function writes to its log.

locals {
  # Two installations in one region have metrics of their own.
  metrics_namespace = coalesce(var.metrics_namespace, "${var.name_prefix}EcsTaskNotifier${var.name_suffix}")
  has_metrics       = local.metrics_namespace != "none"

  outcome_dimensions = { service = "ecs-task-notifier", Stage = "notify" }
  outcome_alarms     = local.has_metrics && contains(keys(local.function_alarms), "notify") ? local.function_alarms.notify.function : null

  # A metric without a value in a period counts as 0.
  outcome_counts = ["Delivered", "Gone", "Rejected", "Failed"]
  outcome_sum    = join(" + ", [for name in local.outcome_counts : "FILL(${lower(name)}, 0)"])

  # The slowest delivery of a period, in milliseconds.
  outcome_ages = {
    pending = {
      metric      = "PendingAge"
      seconds     = var.outcome_alarms.pending_s
      description = "A delivery is still retried ${var.outcome_alarms.pending_s} s after its event. See docs/operate.md, \"Pending\""
    }
    late = {
      metric      = "EventAge"
      seconds     = var.outcome_alarms.last_task_s
      description = "A task had its outcome more than ${var.outcome_alarms.last_task_s} s after the event. See docs/operate.md, \"Late\""
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "notified_share" {
  count = local.outcome_alarms == null ? 0 : 1

  alarm_name          = "${local.outcome_alarms}_${local.region}_notified_share"
  alarm_description   = "Of the containers that were called in five minutes, less than ${var.outcome_alarms.notified_percent} percent were notified. See docs/operate.md, \"Not notified\""
  evaluation_periods  = 1
  threshold           = var.outcome_alarms.notified_percent
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags

  metric_query {
    id          = "share"
    label       = "Notified (%)"
    expression  = "IF(${local.outcome_sum} > 0, 100 * (FILL(delivered, 0) + FILL(gone, 0)) / (${local.outcome_sum}), 100)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.outcome_counts

    content {
      id = lower(metric_query.value)

      metric {
        namespace   = local.metrics_namespace
        metric_name = metric_query.value
        dimensions  = local.outcome_dimensions
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "failed" {
  count = local.outcome_alarms == null ? 0 : 1

  alarm_name          = "${local.outcome_alarms}_${local.region}_failed"
  alarm_description   = "More than ${var.outcome_alarms.failed} deliveries failed or were rejected in five minutes. See docs/operate.md, \"Not notified\""
  evaluation_periods  = 1
  threshold           = var.outcome_alarms.failed
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags

  metric_query {
    id          = "all"
    label       = "Failed or rejected"
    expression  = "FILL(rejected, 0) + FILL(failed, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = ["Rejected", "Failed"]

    content {
      id = lower(metric_query.value)

      metric {
        namespace   = local.metrics_namespace
        metric_name = metric_query.value
        dimensions  = local.outcome_dimensions
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "outcome_age" {
  for_each = local.outcome_alarms == null ? {} : local.outcome_ages

  alarm_name          = "${local.outcome_alarms}_${local.region}_${each.key}"
  alarm_description   = each.value.description
  namespace           = local.metrics_namespace
  metric_name         = each.value.metric
  dimensions          = local.outcome_dimensions
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = each.value.seconds * 1000
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags
}
