variable "run" {
  description = "What the run is called: it stands in every name and tag"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{4}$", var.run))
    error_message = "run is four lower-case letters or digits: names have room for no more."
  }
}

variable "operator_arn" {
  description = "The role or user that runs this, who may redrive"
  type        = string
  default     = null
}

variable "architecture" {
  description = "Processor of the functions and of the sample tasks"
  type        = string
}

variable "archives" {
  description = "Where the functions' archives come from, as the module takes it"
  type        = any
}

variable "batching_window_s" {
  description = "The batching window of the notify stage"
  type        = number
  default     = 0
}

variable "service_connect" {
  description = "Whether there are a private certificate authority and the services with Service Connect and TLS"
  type        = bool
  default     = false
}
