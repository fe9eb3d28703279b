variable "cluster_arn" {
  description = "ARN of the daemon's cluster"
  type        = string
}

variable "cluster_arns" {
  description = "ARNs of the clusters whose tasks it may notify. Default: the daemon's cluster"
  type        = list(string)
  default     = []
}

variable "registry_clusters" {
  description = "Those of these clusters whose running tasks are registered. Default: none, because events of tasks cost something without a broadcast too"
  type        = list(string)
  default     = []
}

variable "cluster_roles" {
  description = "Roles of other accounts that the daemon assumes to read the clusters there. `modules/cluster-role` creates them; their `principal_arns` are the daemon's role"
  type        = list(string)
  default     = []
}

variable "routes" {
  description = "Routing rules (TOML) for events of AWS, for example `file(\"routes.toml\")`"
  type        = string
  default     = null
}

variable "image" {
  description = "Image from `make image`, by digest, in a registry that the cluster can pull from"
  type        = string
}

variable "architecture" {
  description = "Processor of the daemon: `arm64` or `x86_64`. The image must have a variant for it"
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be `arm64` or `x86_64`."
  }
}

variable "signing_secret_arn" {
  description = "ARN of the secret with the keys from `ecs-task-notifier keygen`"
  type        = string
}

variable "vpc_id" {
  description = "VPC of the tasks"
  type        = string
}

variable "subnet_ids" {
  description = "Subnets from which the tasks and AWS's endpoints can be reached"
  type        = list(string)
}

variable "ipv6" {
  description = "Whether tasks are also called over IPv6. The VPC and the subnets must be dual-stack"
  type        = bool
  default     = false
}

variable "aws_budget_percent" {
  description = "Share of the account's ECS and EC2 request rate that all tasks of the daemon together may use, in percent"
  type        = number
  default     = 50
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify"
  type        = list(string)
  default     = []
}

variable "page" {
  description = "Runs the page for a browser, in the same subnets without a public address: `token_secret_arn`, a secret with 32 characters or more; `client_security_group_ids`, which may connect to port 8787; `target_group_arn` (type `ip`, HTTP, port 8787, health check `/healthz`) of an internal load balancer, and `allowed_hosts`, its names; `allow_actions` to cancel broadcasts and send dead letters back. Default: no page"
  type = object({
    token_secret_arn          = string
    client_security_group_ids = list(string)
    target_group_arn          = optional(string)
    allowed_hosts             = optional(list(string), [])
    allow_actions             = optional(bool, false)
  })
  default = null
}
