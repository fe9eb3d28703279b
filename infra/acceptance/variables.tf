variable "run" {
  description = "Name of the run, part of every name and tag"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{4}$", var.run))
    error_message = "run must be four lower-case letters or digits: names have no room for more."
  }
}

variable "operator_arn" {
  description = "Role or user that runs this and may redrive"
  type        = string
  default     = null
}

variable "architecture" {
  description = "Processor of the functions and of the sample tasks"
  type        = string
}

variable "archives" {
  description = "Source of the functions' archives, in the form of the module's variable"
  type        = any
}

variable "batching_window_s" {
  description = "Batching window of the notify stage"
  type        = number
  default     = 0
}

variable "service_connect" {
  description = "Whether to create a private certificate authority and the services with Service Connect and TLS"
  type        = bool
  default     = false
}
