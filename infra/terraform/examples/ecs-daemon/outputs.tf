output "observer_queue_url" {
  description = "Where `ecs-task-notifier publish` sends to"
  value       = module.notifier.observer_queue_url
}
