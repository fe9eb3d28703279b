locals {
  # Each function knows only the queue that it processes and the queue that it publishes to.
  queue_variables = {
    services = "NOTIFIER_OBSERVER_QUEUE_URL"
    tasks    = "NOTIFIER_SERVICES_QUEUE_URL"
    notify   = "NOTIFIER_TASKS_QUEUE_URL"
    registry = "NOTIFIER_REGISTRY_QUEUE_URL"
  }

  environment = {
    for stage in keys(local.functions) : stage => merge(
      { (local.queue_variables[stage]) = aws_sqs_queue.this[stage].url },
      contains(keys(local.next), stage) ? {
        (local.queue_variables[local.next[stage]]) = aws_sqs_queue.this[local.next[stage]].url
      } : {},
      length(var.allow_networks) > 0 ? { NOTIFIER_ALLOW_NETWORKS = join(",", var.allow_networks) } : {},
      {
        NOTIFIER_HEALTH          = var.health
        NOTIFIER_TIMEOUT_MS      = tostring(var.timeout_ms)
        NOTIFIER_CONCURRENCY     = tostring(var.concurrency)
        NOTIFIER_HORIZON_MINUTES = tostring(var.horizon_minutes)
        NOTIFIER_LEDGER          = local.ledger
        NOTIFIER_LEDGER_DAYS     = tostring(var.ledger_days)
        NOTIFIER_LOG_LEVEL       = var.log_level

        NOTIFIER_METRICS_NAMESPACE = local.metrics_namespace

        NOTIFIER_AWS_BUDGET_PERCENT = tostring(local.budget_percent[stage])
      },
      stage == "notify" ? { NOTIFIER_SIGNING_SECRET = local.signing_secret } : {},
      stage == "services" && local.routes != null ? { NOTIFIER_ROUTES = local.routes } : {},
      length(var.cluster_roles) > 0 ? { NOTIFIER_ROLES = join(",", var.cluster_roles) } : {},
      length(var.cluster_roles) > 0 && var.cluster_role_external_id != null ? {
        NOTIFIER_ROLE_EXTERNAL_ID = var.cluster_role_external_id
      } : {},
      var.anywhere ? { NOTIFIER_ANYWHERE = "true" } : {},
      # The first stage trusts no sender, because any publisher may write to its queue.
      contains(keys(local.trusted_senders), stage) ? { NOTIFIER_TRUSTED_SENDERS = local.trusted_senders[stage] } : {},
      { for name, value in local.registry_settings : name => value if contains(local.registry_users[name], stage) },
      var.environment,
    )
  }

  # AWS counts the calls of an account and region. With a ledger, all processes share one budget in its table. Otherwise each
  # process knows only its own calls, so the share of the installation is divided among the processes that Lambda may run at
  # once. In hundredths, rounded down; the setting's minimum is 0.01.
  budget_is_shared = local.ledger_count > 0 && lookup(var.environment, "NOTIFIER_AWS_BUDGET_SHARED", "true") == "true"
  budget_percent = {
    for stage, it in local.functions : stage => local.budget_is_shared ? var.aws_budget_percent : max(
      0.01,
      floor(var.aws_budget_percent * it.budget_share_percent / it.concurrency_max) / 100,
    )
  }

  # Lambda drops log lines below these levels before they reach CloudWatch.
  log_levels = {
    error = { application = "ERROR", system = "WARN" }
    warn  = { application = "WARN", system = "WARN" }
    info  = { application = "INFO", system = "INFO" }
    debug = { application = "DEBUG", system = "DEBUG" }
    trace = { application = "TRACE", system = "DEBUG" }
  }

  # The service that stores the secret: `secretsmanager` or `ssm`.
  secret_keeper  = var.signing_secret_arn == null ? null : split(":", var.signing_secret_arn)[2]
  signing_secret = var.signing_secret_arn == null ? "none" : "${local.secret_keeper}:${var.signing_secret_arn}"
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_338:The user sets the retention: the log is for operation, not an archive

  for_each = local.functions

  name              = "/aws/lambda/${each.value.function}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = merge(local.tags, { Stage = each.key })
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_115:The event source mapping limits the concurrency; reserved concurrency would reduce the account's
  #checkov:skip=CKV_AWS_116:The queue of the function has a dead-letter queue; the function is never invoked asynchronously
  #checkov:skip=CKV_AWS_272:The archives are built locally, or compared with a release's checksums, and uploaded through a bucket of this account
  #checkov:skip=CKV_AWS_50:The functions carry W3C trace context and write no X-Ray segments

  for_each = local.functions

  function_name = each.value.function
  description   = "ecs-task-notifier, stage ${each.key}"
  role          = aws_iam_role.function[each.key].arn

  s3_bucket         = local.code[each.key].bucket
  s3_key            = local.code[each.key].key
  s3_object_version = local.code[each.key].version

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]
  memory_size   = each.value.memory_mb
  timeout       = each.value.timeout_s
  kms_key_arn   = var.kms_key_arn

  environment {
    variables = local.environment[each.key]
  }

  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.function[each.key].name
    application_log_level = local.log_levels[var.log_level].application
    system_log_level      = local.log_levels[var.log_level].system
  }

  dynamic "vpc_config" {
    for_each = contains(local.in_vpc, each.key) ? [true] : []

    content {
      subnet_ids                  = var.subnet_ids
      security_group_ids          = var.security_group_ids
      ipv6_allowed_for_dual_stack = var.ipv6
    }
  }

  tags = merge(local.tags, { Stage = each.key })

  lifecycle {
    precondition {
      condition     = length(var.subnet_ids) > 0 && length(var.security_group_ids) > 0
      error_message = "The notify function needs subnet_ids and security_group_ids, because it calls tasks at their private addresses."
    }

    precondition {
      condition     = (var.signing_secret_arn != null) != var.unsigned
      error_message = "Set either signing_secret_arn, with the keys that sign requests, or unsigned = true."
    }

    precondition {
      condition     = !var.anywhere || length(var.allow_networks) > 0
      error_message = "anywhere needs allow_networks with the networks of the hosts outside AWS: the address of such a host is what its own agent reports."
    }
  }

  # A function without its role's permissions would fail at its first message.
  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_event_source_mapping" "this" {
  for_each = local.functions

  event_source_arn                   = aws_sqs_queue.this[each.key].arn
  function_name                      = aws_lambda_function.this[each.key].arn
  batch_size                         = each.value.batch_size
  maximum_batching_window_in_seconds = each.value.batching_window_s
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = each.value.concurrency_max
  }

  # Outside the commercial regions AWS refuses tags of an event source mapping, or loses them, so each plan would add them again.
  # Source: hashicorp/terraform-provider-aws#40755 and aws/aws-cdk#31532.
  tags = local.partition == "aws" ? merge(local.tags, { Stage = each.key }) : null

  lifecycle {
    precondition {
      condition     = each.value.batch_size <= 10 || each.value.batching_window_s >= 1
      error_message = "Stage ${each.key}: a batch_size over 10 needs a batching_window_s of at least 1."
    }
  }
}
