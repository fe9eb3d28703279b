variable "registry" {
  description = "Clusters whose running tasks are kept in the ledger's table from the events of ECS, so that a broadcast to them needs no discovery: names, ARNs or `*`. Every `sweep_minutes` a sweep compares them with ECS. Off by default: every start and end of a task then costs events, a run of the function `ecs_registry` and writes of the table, also without a broadcast. It pays for large clusters with frequent or urgent broadcasts, and `publish --retain` needs it"
  type = object({
    clusters      = list(string)
    sweep_minutes = optional(number, 10)
  })
  default = null

  validation {
    condition = var.registry == null ? true : length(var.registry.clusters) > 0 && length(var.registry.clusters) <= 100 && alltrue([
      for cluster in var.registry.clusters :
      can(regex("^([*]|[A-Za-z0-9_-]{1,255}|arn:[^:*?]+:ecs:[^:*?]+:[0-9]{12}:cluster/([*]|[A-Za-z0-9_-]{1,255}))$", cluster))
    ])
    error_message = "registry must have 1 to 100 clusters: each the name or the ARN of a cluster, or `*`."
  }

  validation {
    condition = var.registry == null ? true : (
      var.registry.sweep_minutes >= 1 && var.registry.sweep_minutes <= 1440 && floor(var.registry.sweep_minutes) == var.registry.sweep_minutes
    )
    error_message = "sweep_minutes of registry must be a whole number from 1 to 1440."
  }
}
