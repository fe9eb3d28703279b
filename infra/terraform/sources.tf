# Sources of events that publish to the observer queue: buckets, rules of EventBridge, topics.

locals {
  rule_names = { for name, rule in var.event_rules : name => "${var.name_prefix}ecs-task-notifier-${name}${var.name_suffix}" }
  # A rule on a bus that is named by its ARN belongs to the bus of that name.
  rule_buses = { for name, rule in var.event_rules : name => replace(rule.event_bus_name, "/^arn:[^/]*:event-bus[/]/", "") }

  # Whether the module owns the whole notification configuration of a bucket. A bucket of another account needs the
  # provider of that account, so there the owner writes it.
  notified_buckets = {
    for name, it in var.bucket_notifications : name => it if var.create && coalesce(it.create, it.account == null)
  }

  # The ARNs of rules are composed, so that the queue's policy is known during plan. They equal those of the resources.
  source_list = concat(
    [
      for name, it in var.bucket_notifications : {
        sid = "Buckets", service = "s3.amazonaws.com", account = coalesce(it.account, local.account)
        arn = "arn:${local.partition}:s3:::${it.bucket}"
      }
    ],
    [
      for name, it in var.event_rules : {
        sid = "Rules", service = "events.amazonaws.com", account = local.account
        arn = join("/", concat(
          ["arn:${local.partition}:events:${local.region}:${local.account}:rule"],
          local.rule_buses[name] == "default" ? [] : [local.rule_buses[name]],
          [local.rule_names[name]],
        ))
      }
    ],
    [
      for name, it in var.topics : {
        sid = "Topics", service = "sns.amazonaws.com", account = split(":", it.topic_arn)[4]
        arn = it.topic_arn
      }
    ],
  )

  # One statement for each service and account, because a queue's policy may have only 20. Every ARN counts only together
  # with its own account.
  sources_grouped = { for it in local.source_list : "${it.sid}${it.account}" => it... }
  source_publishers = {
    for sid, group in local.sources_grouped : sid => {
      service        = group[0].service
      source_arns    = group[*].arn
      source_account = group[0].account
      # The ARN of a bucket has no account, so S3 must send the account. Other ARNs contain it.
      account_test = group[0].sid == "Buckets" ? "StringEquals" : "StringEqualsIfExists"
    }
  }

  # S3 has no dead letters: it retries by itself.
  undelivered = { for sid, it in local.source_publishers : sid => it if it.service != "s3.amazonaws.com" }
}

# This resource replaces every other notification of its bucket.
resource "aws_s3_bucket_notification" "this" {
  for_each = local.notified_buckets

  bucket      = each.value.bucket
  eventbridge = each.value.eventbridge

  dynamic "queue" {
    for_each = each.value.notifications

    content {
      id            = "ecs-task-notifier-${each.key}-${queue.key}"
      queue_arn     = aws_sqs_queue.this["services"].arn
      events        = queue.value.events
      filter_prefix = queue.value.filter_prefix
      filter_suffix = queue.value.filter_suffix
    }
  }

  lifecycle {
    precondition {
      condition     = length([for it in local.notified_buckets : it if it.bucket == each.value.bucket]) == 1
      error_message = "bucket_notifications has two entries for one bucket, which would replace each other. Give one entry several `notifications`."
    }
  }

  # S3 sends a test message at once, and refuses a queue that it may not write.
  depends_on = [aws_sqs_queue_policy.this]
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = { for name, rule in var.event_rules : name => rule if var.create }

  name                = local.rule_names[each.key]
  description         = coalesce(each.value.description, "Events for ecs-task-notifier")
  event_bus_name      = local.rule_buses[each.key]
  event_pattern       = each.value.event_pattern
  schedule_expression = each.value.schedule_expression
  state               = each.value.state
  tags                = local.tags
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = { for name, rule in var.event_rules : name => rule if var.create }

  rule           = aws_cloudwatch_event_rule.this[each.key].name
  event_bus_name = aws_cloudwatch_event_rule.this[each.key].event_bus_name
  target_id      = "ecs-task-notifier"
  arn            = aws_sqs_queue.this["services"].arn
  input          = each.value.input

  dynamic "input_transformer" {
    for_each = each.value.input_transformer == null ? [] : [each.value.input_transformer]

    content {
      input_paths    = input_transformer.value.input_paths
      input_template = input_transformer.value.input_template
    }
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters["services"].arn
  }

  retry_policy {
    maximum_event_age_in_seconds = each.value.maximum_event_age_in_seconds
    maximum_retry_attempts       = each.value.maximum_retry_attempts
  }

  # Without the policies, the first events would fail.
  depends_on = [aws_sqs_queue_policy.this, aws_sqs_queue_policy.dead_letters]
}

resource "aws_sns_topic_subscription" "this" {
  for_each = { for name, topic in var.topics : name => topic if var.create && topic.create }

  topic_arn            = each.value.topic_arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.this["services"].arn
  raw_message_delivery = each.value.raw_message_delivery
  filter_policy        = each.value.filter_policy
  filter_policy_scope  = each.value.filter_policy == null ? null : each.value.filter_policy_scope
  redrive_policy       = each.value.redrive ? jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letters["services"].arn }) : null

  depends_on = [aws_sqs_queue_policy.this, aws_sqs_queue_policy.dead_letters]
}
