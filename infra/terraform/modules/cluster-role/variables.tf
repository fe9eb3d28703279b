variable "create" {
  description = "Whether to create any resources"
  type        = bool
  default     = true
}

variable "name" {
  description = "Name of the role. The same name in each account makes the ARNs predictable"
  type        = string
  default     = "ecs-task-notifier"

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "name must have at most 64 letters, digits and characters of `+=,.@_-`."
  }
}

variable "principal_arns" {
  description = "Roles that may assume this one: the module's output `role_arns`, the daemon's role, and people who run `plan` or `send`. Name the role, not a session of it"
  type        = list(string)

  validation {
    condition     = length(var.principal_arns) > 0 && alltrue([for arn in var.principal_arns : can(regex("^arn:[^:*?]+:iam::[0-9]{12}:(role|user)/[^*?]+$", arn))])
    error_message = "principal_arns must have the ARN of at least one role or user, without `*`."
  }
}

variable "external_id" {
  description = "External id that the notifier must send (`cluster_role_external_id` there). Default: none is required"
  type        = string
  default     = null

  validation {
    condition     = var.external_id == null ? true : (can(regex("^[A-Za-z0-9+=,.@:/-]+$", var.external_id)) && length(var.external_id) >= 2 && length(var.external_id) <= 1224)
    error_message = "external_id must have 2 to 1,224 letters, digits and characters of `+=,.@:/-`."
  }
}

variable "regions" {
  description = "Regions whose clusters may be read. Default: the region of the provider"
  type        = list(string)
  default     = []
}

variable "cluster_arns" {
  description = "ECS clusters that may be read. An ARN may contain `*`. Default: every cluster of the account in `regions`"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.cluster_arns : can(regex("^arn:[^:]+:ecs:[^:]+:[^:]+:cluster/", arn))])
    error_message = "Every entry of cluster_arns must be the ARN of a cluster."
  }
}

variable "anywhere" {
  description = "Whether the addresses of hosts outside AWS (ECS Anywhere) may be read too"
  type        = bool
  default     = false
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of the role"
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the role"
  type        = map(string)
  default     = {}
}
