# The daemon of `ecs-daemon`, with more tasks while many messages wait, and with one again when none wait.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.8"
    }
  }
}

module "daemon" {
  source = "../ecs-daemon"

  cluster_arn        = var.cluster_arn
  cluster_arns       = var.cluster_arns
  image              = var.image
  architecture       = var.architecture
  signing_secret_arn = var.signing_secret_arn
  vpc_id             = var.vpc_id
  subnet_ids         = var.subnet_ids
  ipv6               = var.ipv6
  aws_budget_percent = var.aws_budget_percent
  alarm_topic_arns   = var.alarm_topic_arns
}

locals {
  # Messages of the three queues together: waiting, and in work.
  depths = {
    for index, it in setproduct(module.daemon.queue_names, ["ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"]) :
    "m${index}" => { queue = it[0], metric = it[1] }
  }
  depth = join(" + ", [for id in sort(keys(local.depths)) : "FILL(${id}, 0)"])
}

resource "aws_appautoscaling_target" "daemon" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${element(split("/", var.cluster_arn), 1)}/${module.daemon.service_name}"
  min_capacity       = 1
  max_capacity       = var.tasks_max
}

resource "aws_appautoscaling_policy" "more" {
  name               = "ecs-task-notifier-more"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.daemon.service_namespace
  scalable_dimension = aws_appautoscaling_target.daemon.scalable_dimension
  resource_id        = aws_appautoscaling_target.daemon.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    cooldown                = 60
    metric_aggregation_type = "Maximum"

    step_adjustment {
      metric_interval_lower_bound = 0
      metric_interval_upper_bound = 9000
      scaling_adjustment          = 1
    }

    step_adjustment {
      metric_interval_lower_bound = 9000
      scaling_adjustment          = var.tasks_max
    }
  }
}

resource "aws_appautoscaling_policy" "one" {
  name               = "ecs-task-notifier-one"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.daemon.service_namespace
  scalable_dimension = aws_appautoscaling_target.daemon.scalable_dimension
  resource_id        = aws_appautoscaling_target.daemon.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ExactCapacity"
    cooldown                = 60
    metric_aggregation_type = "Maximum"

    step_adjustment {
      metric_interval_upper_bound = 0
      scaling_adjustment          = 1
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "depth" {
  for_each = {
    more = { operator = "GreaterThanOrEqualToThreshold", threshold = 1000, minutes = 1, policy = aws_appautoscaling_policy.more.arn }
    one  = { operator = "LessThanOrEqualToThreshold", threshold = 0, minutes = 10, policy = aws_appautoscaling_policy.one.arn }
  }

  alarm_name          = "ecs-task-notifier-${each.key}"
  alarm_description   = "Scales the daemon of ecs-task-notifier; needs no action"
  evaluation_periods  = each.value.minutes
  threshold           = each.value.threshold
  comparison_operator = each.value.operator
  treat_missing_data  = "notBreaching"
  alarm_actions       = [each.value.policy]

  metric_query {
    id          = "depth"
    label       = "Messages waiting or in work"
    expression  = local.depth
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.depths

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value.metric
        dimensions  = { QueueName = metric_query.value.queue }
        stat        = "Maximum"
        period      = 60
      }
    }
  }
}
