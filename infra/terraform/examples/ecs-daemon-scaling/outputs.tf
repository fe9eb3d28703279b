output "observer_queue_url" {
  description = "Where `ecs-task-notifier publish` sends to"
  value       = module.daemon.observer_queue_url
}
