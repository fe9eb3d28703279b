locals {
  # From left to right, in the order of a broadcast.
  dashboard_stages = [for name in ["services", "tasks", "notify"] : name if contains(keys(local.queues), name)]

  stage_widgets = {
    for stage, it in local.queues : stage => concat(
      [
        {
          title = "${stage}: waiting, in flight, dead"
          metrics = [
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", it.queue],
            ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", it.queue],
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${it.queue}_dead_letters", { color = "#d62728" }],
          ]
          stat = "Maximum"
        },
        {
          title   = "${stage}: age of the oldest message (s)"
          metrics = [["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", it.queue]]
          stat    = "Maximum"
        },
      ],
      contains(keys(local.functions), stage) ? [
        {
          title = "${stage}: invocations, errors, throttles"
          metrics = [
            for metric in ["Invocations", "Errors", "Throttles"] :
            ["AWS/Lambda", metric, "FunctionName", it.function]
          ]
          stat = "Sum"
        },
        {
          title   = "${stage}: duration (ms)"
          metrics = [["AWS/Lambda", "Duration", "FunctionName", it.function]]
          stat    = "p99"
        },
      ] : [],
    )
  }

  # One column for each stage of a broadcast.
  dashboard_widgets = flatten([
    for column, stage in local.dashboard_stages : [
      for row, widget in local.stage_widgets[stage] : merge(widget, { x = column * 8, y = row * 6 })
    ]
  ])

  outcome_widgets = local.has_metrics && contains(local.dashboard_stages, "notify") && contains(keys(local.functions), "notify") ? [
    for column, widget in [
      { title = "Deliveries by outcome", stat = "Sum", metrics = ["Delivered", "Gone", "Skipped", "Rejected", "Failed", "Retried"] },
      { title = "From the event to the outcome: last task, and still retried (ms)", stat = "Maximum", metrics = ["EventAge", "PendingAge"] },
      { title = "HTTP request to a task (ms, p99)", stat = "p99", metrics = ["AttemptLatency"] },
      ] : {
      x       = column * 8, y = 24
      title   = widget.title
      stat    = widget.stat
      metrics = [for metric in widget.metrics : [local.metrics_namespace, metric, "service", "ecs-task-notifier", "Stage", "notify"]]
    }
  ] : []

  # Below them, in lines.
  registry_widgets = [
    for place, widget in lookup(local.stage_widgets, "registry", []) : merge(widget, { x = place % 3 * 8, y = 30 + floor(place / 3) * 6 })
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.create && var.create_dashboard ? 1 : 0

  dashboard_name = "${var.name_prefix}ecs-task-notifier-${local.region}${var.name_suffix}"
  dashboard_body = jsonencode({
    widgets = [
      for widget in concat(local.dashboard_widgets, local.outcome_widgets, local.registry_widgets) : {
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
