# The registry of running tasks: a rule of EventBridge sends what ECS says about tasks to a queue, and a schedule requests sweeps.
# The queue, its dead letters, the function `ecs_registry` and its alarms are those of a stage.

locals {
  has_registry      = var.registry != null
  registry_count    = var.create && local.has_registry ? 1 : 0
  registry_name     = "${var.name_prefix}${local.defaults.registry.function}${var.name_suffix}"
  registry_clusters = try(var.registry.clusters, [])

  # A name means a cluster of this account and region, and `*` all of them.
  registry_cluster_arns = [
    for cluster in local.registry_clusters :
    startswith(cluster, "arn:") ? cluster : "arn:${local.partition}:ecs:${local.region}:${local.account}:cluster/${cluster}"
  ]

  # A task that starts or stops has more states than these two, which say nothing new: an event of `RUNNING` has the addresses,
  # and `desiredStatus` is `STOPPED` from the first event of the end. A test of the function has the same file.
  task_states = jsondecode(file("${path.module}/registry_pattern.json"))
  registry_pattern = jsonencode(merge(local.task_states, {
    detail = merge(local.task_states.detail, {
      clusterArn = concat(
        [for arn in local.registry_cluster_arns : arn if !endswith(arn, "/*")],
        [for arn in local.registry_cluster_arns : { prefix = trimsuffix(arn, "*") } if endswith(arn, "/*")],
      )
    })
  }))

  # The ARN is composed, so that the queue's policy is known during plan.
  registry_publishers = {
    for sid in local.has_registry ? ["TaskStates"] : [] : sid => {
      service        = "events.amazonaws.com"
      source_arns    = ["arn:${local.partition}:events:${local.region}:${local.account}:rule/${local.registry_name}"]
      source_account = local.account
      account_test   = "StringEqualsIfExists"
    }
  }

  # Settings of the registry, and the stages that use them: the first decides whether the registry is live, and the second reads
  # its rows.
  registry_settings = {
    for name, value in {
      NOTIFIER_REGISTRY_QUEUE_URL = one([for stage, queue in aws_sqs_queue.this : queue.url if stage == "registry"])
      NOTIFIER_REGISTRY_CLUSTERS  = join(",", local.registry_cluster_arns)
      NOTIFIER_REGISTRY_SWEEP     = "${try(var.registry.sweep_minutes, 0)}m"
    } : name => value if local.registry_count > 0
  }
  registry_users = {
    NOTIFIER_REGISTRY_QUEUE_URL = ["services", "registry"]
    NOTIFIER_REGISTRY_CLUSTERS  = ["services", "tasks", "registry"]
    NOTIFIER_REGISTRY_SWEEP     = ["services", "registry"]
  }

  # A daemon requests sweeps by itself.
  sweep_count = contains(keys(local.functions), "registry") ? 1 : 0
}

resource "aws_cloudwatch_event_rule" "registry" {
  count = local.registry_count

  name          = local.registry_name
  description   = "Starts and ends of ECS tasks, for the registry of ecs-task-notifier"
  event_pattern = local.registry_pattern
  tags          = local.tags

  lifecycle {
    precondition {
      condition     = local.ledger_count > 0
      error_message = "registry needs the ledger, whose table it is in: set create_ledger = true."
    }

    precondition {
      condition     = !var.create_functions || local.budget_is_shared
      error_message = "registry needs the shared budget of AWS requests: remove NOTIFIER_AWS_BUDGET_SHARED from environment."
    }

    # Source: Amazon EventBridge User Guide, "EventBridge quotas".
    precondition {
      condition     = length(local.registry_pattern) <= 2048
      error_message = "registry has too many clusters: the pattern of its rule exceeds EventBridge's limit of 2,048 characters. Use `*`."
    }
  }
}

# EventBridge tries for 24 hours. The registry ignores older events.
resource "aws_cloudwatch_event_target" "registry" {
  count = local.registry_count

  rule      = aws_cloudwatch_event_rule.registry[0].name
  target_id = "ecs-task-notifier"
  arn       = aws_sqs_queue.this["registry"].arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters["registry"].arn
  }

  # Without the policies, the first events would fail.
  depends_on = [aws_sqs_queue_policy.this, aws_sqs_queue_policy.dead_letters]
}

data "aws_iam_policy_document" "sweep_assume" {
  count = local.sweep_count

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

data "aws_iam_policy_document" "sweep" {
  count = local.sweep_count

  statement {
    sid       = "RequestSweeps"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.this["registry"].arn]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = local.via["sqs"]
      }
    }
  }
}

resource "aws_iam_role" "sweep" {
  count = local.sweep_count

  # The name of a role is unique across regions.
  name                 = "${local.registry_name}_sweep_${local.region}"
  description          = "Allows a schedule to request sweeps on the registry queue in ${local.region}"
  assume_role_policy   = data.aws_iam_policy_document.sweep_assume[0].json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = local.tags
}

resource "aws_iam_role_policy" "sweep" {
  count = local.sweep_count

  name   = "sweep"
  role   = aws_iam_role.sweep[0].id
  policy = data.aws_iam_policy_document.sweep[0].json
}

resource "aws_scheduler_schedule" "sweep" {
  #checkov:skip=CKV_AWS_297:The schedule contains no secret

  count = local.sweep_count

  name                = local.registry_name
  description         = "Requests sweeps of the registered clusters of ecs-task-notifier"
  schedule_expression = "rate(${var.registry.sweep_minutes} ${var.registry.sweep_minutes == 1 ? "minute" : "minutes"})"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sqs_queue.this["registry"].arn
    role_arn = aws_iam_role.sweep[0].arn
    input    = jsonencode({ registry = { sweep = ["*"] } })
  }

  depends_on = [aws_iam_role_policy.sweep, aws_sqs_queue_policy.this]
}
