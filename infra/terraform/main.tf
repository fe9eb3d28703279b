data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  # The values that the code was written for, with the user's changes. A test compares the file with the code of the functions.
  defaults = merge(jsondecode(file("${path.module}/stages.json")), {
    # It has no share of a budget that is divided: it needs the shared one.
    registry = merge({ budget_share_percent = 0 }, jsondecode(file("${path.module}/registry.json")))
  })
  all_stages = {
    for name, stage in { for name, stage in local.defaults : name => stage if name != "registry" || local.has_registry } : name => merge(
      stage,
      # The daemon extends the visibility timeout of a message while it works on it, so a short one suffices.
      var.create_functions ? {} : { visibility_s = 60 },
      { for key, value in try(var.stages[name], {}) : key => value if value != null },
      {
        queue    = "${var.name_prefix}${stage.queue}_${local.region}${var.name_suffix}"
        function = "${var.name_prefix}${stage.function}${var.name_suffix}"
        binary   = stage.function
        # Hosts outside AWS are managed nodes of Systems Manager. A stage that looks up instances looks up these too.
        actions = sort(concat(
          stage.actions,
          var.anywhere && contains(stage.actions, "ec2:DescribeInstances") ? ["ssm:DescribeInstanceInformation"] : [],
        ))
      },
    )
  }

  # Values for `for_each`.
  queues    = var.create ? local.all_stages : {}
  functions = var.create && var.create_functions ? local.all_stages : {}
  alarms    = var.create_alarms ? local.queues : {}

  # The function that reads streams of tables. It is not a stage: it has no queue of its own and calls only SQS.
  stream = merge(local.stream_defaults, {
    binary   = local.stream_defaults.function
    function = "${var.name_prefix}${local.stream_defaults.function}${var.name_suffix}"
  })
  stream_defaults = jsondecode(file("${path.module}/stream.json"))
  stream_count    = var.create && length(var.table_streams) > 0 ? 1 : 0

  # Every function that needs an archive.
  archived = merge(
    { for name, stage in local.functions : name => { binary = stage.binary } },
    local.stream_count > 0 ? { stream = { binary = local.stream.binary } } : {},
  )

  # The queue that a stage publishes to. The registry publishes messages for tasks that start late.
  next = { services = "tasks", tasks = "notify", registry = "tasks" }

  # Stages that also send to their own queue. The first splits a message with several clusters or records into one message
  # each, the second returns a message that waits for its time, and the registry splits a request for several clusters.
  to_itself = ["services", "tasks", "registry"]

  in_vpc = toset(var.discovery_in_vpc ? keys(local.all_stages) : ["notify"])

  tags = merge({ Application = "ecs-task-notifier" }, var.tags)
}
