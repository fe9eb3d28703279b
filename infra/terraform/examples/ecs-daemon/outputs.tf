output "observer_queue_url" {
  description = "Where `ecs-task-notifier publish` sends to"
  value       = module.notifier.observer_queue_url
}

output "service_name" {
  description = "Name of the daemon's service"
  value       = aws_ecs_service.daemon.name
}

output "queue_names" {
  description = "Names of the three queues, as a broadcast runs"
  value       = [for stage in local.stages : element(split(":", module.notifier.queue_arns[stage]), 5)]
}
