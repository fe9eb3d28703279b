output "bucket" {
  description = "Bucket whose new objects below `prices/` are events"
  value       = aws_s3_bucket.prices.id
}

output "event_bus" {
  description = "Bus for your own events"
  value       = aws_cloudwatch_event_bus.orders.name
}

output "topic_arn" {
  description = "Topic whose messages are events"
  value       = aws_sns_topic.release.arn
}

output "table_names" {
  description = "Tables whose changes are events"
  value       = [for table in aws_dynamodb_table.this : table.name]
}
