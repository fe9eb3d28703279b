variable "vpc_id" {
  description = "VPC of the tasks"
  type        = string
}

variable "subnet_ids" {
  description = "Two subnets from which the tasks can be reached"
  type        = list(string)
}

variable "route_table_ids" {
  description = "Route tables of these subnets"
  type        = list(string)
}

variable "signing_secret_arn" {
  description = "ARN of the secret with the keys from `ecs-task-notifier keygen`"
  type        = string
}

variable "mail" {
  description = "Mail address that alarms notify"
  type        = string
}

variable "ipv6" {
  description = "Whether tasks are also called over IPv6. The VPC and the subnets must be dual-stack"
  type        = bool
  default     = false
}

variable "architecture" {
  description = "Processor of the functions: `arm64` or `x86_64`"
  type        = string
  default     = "arm64"
}

variable "archives" {
  description = "Source of the functions' archives, in the form of the module's variable"
  type        = any
  default     = {}
}

variable "registry_clusters" {
  description = "Clusters whose running tasks are registered: names, ARNs or `*`. Default: none, because events of tasks cost something without a broadcast too"
  type        = list(string)
  default     = []
}
