variable "accounts" {
  description = "Accounts that may send events, 12 digits each"
  type        = list(string)
}

variable "subnet_ids" {
  description = "Two subnets from which the tasks can be reached"
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the notify function"
  type        = list(string)
}

variable "signing_secret_arn" {
  description = "ARN of the secret with the keys from `ecs-task-notifier keygen`"
  type        = string
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify"
  type        = list(string)
  default     = []
}

variable "archives" {
  description = "Source of the functions' archives, in the form of the module's variable"
  type        = any
  default     = {}
}
