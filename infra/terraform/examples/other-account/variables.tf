variable "account" {
  description = "The other account, 12 digits"
  type        = string
}

variable "role_arn" {
  description = "Role of the other account by which Terraform works there"
  type        = string
}

variable "external_id" {
  description = "External id that the notifier and the role agree on"
  type        = string
}

variable "subnet_ids" {
  description = "Two subnets from which the tasks of both accounts can be reached"
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
