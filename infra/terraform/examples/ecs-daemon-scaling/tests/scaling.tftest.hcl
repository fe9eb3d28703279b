# The queues' depth scales the daemon, and its tasks share one budget.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  vpc_id             = "vpc-1"
  subnet_ids         = ["subnet-1", "subnet-2"]
  signing_secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:notifier-AbCdEf"
  cluster_arn        = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"
  image              = "registry.example/ecs-task-notifier@sha256:0"
  alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
}

run "depth_scales_the_daemon" {
  command = apply

  assert {
    condition = (
      aws_appautoscaling_target.daemon.resource_id == "service/prod/ecs-task-notifier" &&
      aws_appautoscaling_target.daemon.min_capacity == 1 && aws_appautoscaling_target.daemon.max_capacity == var.tasks_max
    )
    error_message = "The wrong service is scaled, or to the wrong size."
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.depth :
      length([for query in alarm.metric_query : query if length(query.metric) > 0]) == 6
    ])
    error_message = "The waiting messages, or those in work, of a stage do not count."
  }
}
