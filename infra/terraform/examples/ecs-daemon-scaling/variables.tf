variable "cluster_arn" {
  description = "The cluster that the daemon runs in"
  type        = string
}

variable "cluster_arns" {
  description = "The clusters whose tasks it may notify; the one that it runs in when empty"
  type        = list(string)
  default     = []
}

variable "image" {
  description = "The image that `make image` builds, in a registry that the cluster can pull from, by digest"
  type        = string
}

variable "architecture" {
  description = "Processor of the daemon: `arm64` or `x86_64`. The image must have a variant for it"
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is `arm64` or `x86_64`."
  }
}

variable "signing_secret_arn" {
  description = "The secret with the keys that `ecs-task-notifier keygen` made"
  type        = string
}

variable "vpc_id" {
  description = "The VPC that the tasks are in"
  type        = string
}

variable "subnet_ids" {
  description = "Subnets from which the tasks and AWS's endpoints can be reached"
  type        = list(string)
}

variable "ipv6" {
  description = "Whether tasks are called by IPv6 too. The VPC and the subnets must be dual-stack"
  type        = bool
  default     = false
}

variable "tasks_max" {
  description = "How many tasks of the daemon run at most, while many messages wait"
  type        = number
  default     = 4
}

variable "aws_budget_percent" {
  description = "How much of the account's ECS and EC2 request rate all tasks of the daemon together may use, in percent"
  type        = number
  default     = 50
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify"
  type        = list(string)
  default     = []
}
