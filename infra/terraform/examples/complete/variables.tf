variable "vpc_id" {
  description = "The VPC that the tasks are in"
  type        = string
}

variable "subnet_ids" {
  description = "Two subnets from which the tasks can be reached"
  type        = list(string)
}

variable "route_table_ids" {
  description = "The route tables of these subnets"
  type        = list(string)
}

variable "signing_secret_arn" {
  description = "The secret with the keys that `ecs-task-notifier keygen` made"
  type        = string
}

variable "mail" {
  description = "Who is told of alarms"
  type        = string
}

variable "ipv6" {
  description = "Whether tasks are called by IPv6 too. The VPC and the subnets must be dual-stack"
  type        = bool
  default     = false
}

variable "architecture" {
  description = "Processor of the functions: `arm64` or `x86_64`"
  type        = string
  default     = "arm64"
}

variable "archives" {
  description = "Where the functions' archives come from, as the module takes it"
  type        = any
  default     = {}
}
