locals {
  # From left to right, in the order of a broadcast.
  dashboard_stages = [for name in ["services", "tasks", "notify"] : name if contains(keys(local.queues), name)]

  dashboard_widgets = flatten([
    for column, stage in local.dashboard_stages : concat(
      [
        {
          x     = column * 8, y = 0
          title = "${stage}: waiting, in flight, dead"
          metrics = [
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.queues[stage].queue],
            ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", local.queues[stage].queue],
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${local.queues[stage].queue}_dead_letters", { color = "#d62728" }],
          ]
          stat = "Maximum"
        },
        {
          x       = column * 8, y = 6
          title   = "${stage}: age of the oldest message (s)"
          metrics = [["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", local.queues[stage].queue]]
          stat    = "Maximum"
        },
      ],
      contains(keys(local.functions), stage) ? [
        {
          x     = column * 8, y = 12
          title = "${stage}: invocations, errors, throttles"
          metrics = [
            for metric in ["Invocations", "Errors", "Throttles"] :
            ["AWS/Lambda", metric, "FunctionName", local.functions[stage].function]
          ]
          stat = "Sum"
        },
        {
          x       = column * 8, y = 18
          title   = "${stage}: duration (ms)"
          metrics = [["AWS/Lambda", "Duration", "FunctionName", local.functions[stage].function]]
          stat    = "p99"
        },
      ] : [],
    )
  ])
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.create && var.create_dashboard ? 1 : 0

  dashboard_name = "${var.name_prefix}ecs-task-notifier-${local.region}${var.name_suffix}"
  dashboard_body = jsonencode({
    widgets = [
      for widget in local.dashboard_widgets : {
        type   = "metric"
        x      = widget.x
        y      = widget.y
        width  = 8
        height = 6
        properties = {
          title   = widget.title
          metrics = widget.metrics
          stat    = widget.stat
          period  = 60
          region  = local.region
          view    = "timeSeries"
        }
      }
    ]
  })
}
