output "environment_file" {
  description = "Settings for the program"
  value       = module.notifier.environment_file
}

output "facts" {
  description = "Values for the steps"
  value = {
    cluster           = aws_ecs_cluster.this.name
    other_cluster     = aws_ecs_cluster.other.name
    connected_cluster = aws_ecs_cluster.connected.name
    tasks             = sum(values(local.services)[*].tasks)
    samples_log       = aws_cloudwatch_log_group.samples.name
    notify_log        = module.notifier.log_group_names["notify"]
    notify_function   = module.notifier.function_names["notify"]
    tasks_queue_url   = module.notifier.queue_urls["notify"]
    probe_queue_url   = aws_sqs_queue.probe.url
    stranger_arn      = aws_iam_role.stranger.arn
    stranger_id       = aws_iam_role.stranger.unique_id
    planner_arn       = aws_iam_role.planner.arn
    secret_arn        = aws_secretsmanager_secret.signing.arn
  }
}
