output "observer_queue_url" {
  description = "URL of the queue for `ecs-task-notifier publish`"
  value       = module.notifier.observer_queue_url
}

output "service_name" {
  description = "Name of the daemon's service"
  value       = aws_ecs_service.daemon.name
}

output "queue_names" {
  description = "Names of the three queues, in the order of a broadcast"
  value       = [for stage in local.stages : element(split(":", module.notifier.queue_arns[stage]), 5)]
}

output "role_arn" {
  description = "ARN of the daemon's role, for the trust policies of roles in other accounts"
  value       = aws_iam_role.daemon.arn
}

output "page_service_name" {
  description = "Name of the page's service; null without the page"
  value       = one(aws_ecs_service.page[*].name)
}

output "page_security_group_id" {
  description = "Security group of the page, to which the load balancer must be allowed to connect; null without the page"
  value       = one(aws_security_group.page[*].id)
}
