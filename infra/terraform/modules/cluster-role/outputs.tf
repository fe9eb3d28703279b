output "role_arn" {
  description = "ARN of the role, for `cluster_roles` of the notifier; null without the role"
  value       = one(aws_iam_role.this[*].arn)
}

output "role_name" {
  description = "Name of the role; null without the role"
  value       = one(aws_iam_role.this[*].name)
}
