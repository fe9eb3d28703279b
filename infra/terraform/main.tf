data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  # The values that the code was written for, with the user's changes. A test compares the file with the code of the functions.
  defaults = jsondecode(file("${path.module}/stages.json"))
  all_stages = {
    for name, stage in local.defaults : name => merge(
      stage,
      # The daemon extends the visibility timeout of a message while it works on it, so a short one suffices.
      var.create_functions ? {} : { visibility_s = 60 },
      { for key, value in try(var.stages[name], {}) : key => value if value != null },
      {
        queue    = "${var.name_prefix}${stage.queue}_${local.region}${var.name_suffix}"
        function = "${var.name_prefix}${stage.function}${var.name_suffix}"
        binary   = stage.function
      },
    )
  }

  # Values for `for_each`.
  queues    = var.create ? local.all_stages : {}
  functions = var.create && var.create_functions ? local.all_stages : {}
  alarms    = var.create_alarms ? local.queues : {}

  # The queue that a stage publishes to.
  next = { services = "tasks", tasks = "notify" }

  in_vpc = toset(var.discovery_in_vpc ? ["services", "tasks", "notify"] : ["notify"])

  tags = merge({ Application = "ecs-task-notifier" }, var.tags)
}
