output "cluster_role_arn" {
  description = "Role by which the notifier reads the clusters of the other account"
  value       = module.cluster_role.role_arn
}
