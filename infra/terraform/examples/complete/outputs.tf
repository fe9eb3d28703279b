output "observer_queue_url" {
  description = "URL of the queue for `ecs-task-notifier publish`"
  value       = module.notifier.observer_queue_url
}
