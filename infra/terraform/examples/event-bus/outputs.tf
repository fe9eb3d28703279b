output "event_bus_arn" {
  description = "ARN of the bus, for the targets of rules in other accounts"
  value       = aws_cloudwatch_event_bus.notifier.arn
}
