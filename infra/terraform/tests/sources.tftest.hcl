# Sources of events: what is created, and who may send to the observer queue and use its key. With a mocked provider.

mock_provider "aws" {
  source = "./tests/mocks"
}

# Mocked resources are all alike, so the queues get different values here.
override_resource {
  target = aws_sqs_queue.this["services"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:observer", url = "https://sqs.example/observer" }
}

override_resource {
  target = aws_sqs_queue.dead_letters["services"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:observer_dead_letters" }
}

override_resource {
  target = aws_sqs_queue.stream_dead_letters[0]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:stream_dead_letters" }
}

variables {
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  archives           = { files = "./tests/archives" }
  unsigned           = true
}

run "without_sources_nothing_is_created" {
  command = plan

  assert {
    condition = sum([
      length(aws_s3_bucket_notification.this), length(aws_cloudwatch_event_rule.this), length(aws_cloudwatch_event_target.this),
      length(aws_sns_topic_subscription.this), length(aws_pipes_pipe.this), length(aws_iam_role.pipe),
      length(aws_lambda_function.stream), length(aws_lambda_event_source_mapping.stream), length(aws_sqs_queue.stream_dead_letters),
      length(aws_ssm_parameter.routes), length(aws_cloudwatch_metric_alarm.stream), length(aws_cloudwatch_metric_alarm.stream_dead_letters),
    ]) == 0 && keys(aws_s3_object.archive) == ["notify", "services", "tasks"]
    error_message = "A resource exists for a source that is not set."
  }
}

run "create_false_creates_no_source" {
  command = plan

  variables {
    create               = false
    bucket_notifications = { prices = { bucket = "acme-prices" } }
    event_rules          = { daily = { schedule_expression = "rate(1 day)" } }
    topics               = { release = { topic_arn = "arn:aws:sns:eu-west-1:111122223333:release" } }
    table_pipes          = { items = { stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/2026-01-01T00:00:00.000" } }
    table_streams        = { items = { stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/2026-01-01T00:00:00.000" } }
    routes               = "[[route]]"
  }

  assert {
    condition = sum([
      length(aws_s3_bucket_notification.this), length(aws_cloudwatch_event_rule.this), length(aws_cloudwatch_event_target.this),
      length(aws_sns_topic_subscription.this), length(aws_pipes_pipe.this), length(aws_iam_role.pipe),
      length(aws_lambda_function.stream), length(aws_lambda_event_source_mapping.stream), length(aws_sqs_queue.stream_dead_letters),
      length(aws_ssm_parameter.routes), length(aws_cloudwatch_metric_alarm.stream), length(aws_s3_bucket.archives),
      length(aws_iam_role.stream), length(aws_cloudwatch_log_group.stream),
    ]) == 0
    error_message = "A resource is created despite create = false."
  }
}

run "each_source_may_send_for_its_own_resource_and_account" {
  command = apply

  variables {
    bucket_notifications = {
      prices  = { bucket = "acme-prices" }
      reports = { bucket = "acme-reports" }
      theirs  = { bucket = "their-bucket", account = "444455556666" }
    }
    event_rules = {
      release = { event_pattern = "{\"source\":[\"com.example\"]}" }
      orders  = { event_pattern = "{\"source\":[\"com.example\"]}", event_bus_name = "orders" }
      partner = { event_pattern = "{\"source\":[\"com.example\"]}", event_bus_name = "arn:aws:events:eu-west-1:111122223333:event-bus/aws.partner/example.com/acme" }
    }
    topics = {
      release = { topic_arn = "arn:aws:sns:eu-west-1:111122223333:release" }
      theirs  = { topic_arn = "arn:aws:sns:eu-west-1:444455556666:release" }
    }
  }

  assert {
    condition = jsonencode({
      for statement in data.aws_iam_policy_document.queue["services"].statement : statement.sid => {
        actions = statement.actions
        who     = one(one(statement.principals).identifiers)
        queue   = one(statement.resources)
        only    = { for condition in statement.condition : "${condition.test} ${condition.variable}" => condition.values }
      } if statement.effect != "Deny"
      }) == jsonencode({
      Buckets111122223333 = {
        actions = ["sqs:SendMessage"]
        who     = "s3.amazonaws.com"
        queue   = "arn:aws:sqs:eu-west-1:111122223333:observer"
        only = {
          "ArnLike aws:SourceArn"          = ["arn:aws:s3:::acme-prices", "arn:aws:s3:::acme-reports"]
          "StringEquals aws:SourceAccount" = ["111122223333"]
        }
      }
      Buckets444455556666 = {
        actions = ["sqs:SendMessage"]
        who     = "s3.amazonaws.com"
        queue   = "arn:aws:sqs:eu-west-1:111122223333:observer"
        only = {
          "ArnLike aws:SourceArn"          = ["arn:aws:s3:::their-bucket"]
          "StringEquals aws:SourceAccount" = ["444455556666"]
        }
      }
      Rules111122223333 = {
        actions = ["sqs:SendMessage"]
        who     = "events.amazonaws.com"
        queue   = "arn:aws:sqs:eu-west-1:111122223333:observer"
        only = {
          "ArnLike aws:SourceArn" = [
            "arn:aws:events:eu-west-1:111122223333:rule/orders/ecs-task-notifier-orders",
            "arn:aws:events:eu-west-1:111122223333:rule/aws.partner/example.com/acme/ecs-task-notifier-partner",
            "arn:aws:events:eu-west-1:111122223333:rule/ecs-task-notifier-release",
          ]
          "StringEqualsIfExists aws:SourceAccount" = ["111122223333"]
        }
      }
      Topics111122223333 = {
        actions = ["sqs:SendMessage"]
        who     = "sns.amazonaws.com"
        queue   = "arn:aws:sqs:eu-west-1:111122223333:observer"
        only = {
          "ArnLike aws:SourceArn"                  = ["arn:aws:sns:eu-west-1:111122223333:release"]
          "StringEqualsIfExists aws:SourceAccount" = ["111122223333"]
        }
      }
      Topics444455556666 = {
        actions = ["sqs:SendMessage"]
        who     = "sns.amazonaws.com"
        queue   = "arn:aws:sqs:eu-west-1:111122223333:observer"
        only = {
          "ArnLike aws:SourceArn"                  = ["arn:aws:sns:eu-west-1:444455556666:release"]
          "StringEqualsIfExists aws:SourceAccount" = ["444455556666"]
        }
      }
    })
    error_message = "A source is refused, or a service may send for the resources of others."
  }

  assert {
    condition = jsonencode({
      for statement in data.aws_iam_policy_document.dead_letters["services"].statement : statement.sid => [
        one(statement.resources), one(one(statement.principals).identifiers),
        [for condition in statement.condition : length(condition.values) if condition.variable == "aws:SourceArn" && condition.test == "ArnLike"],
      ] if statement.effect != "Deny"
      }) == jsonencode({
      Rules111122223333  = ["arn:aws:sqs:eu-west-1:111122223333:observer_dead_letters", "events.amazonaws.com", [3]]
      Topics111122223333 = ["arn:aws:sqs:eu-west-1:111122223333:observer_dead_letters", "sns.amazonaws.com", [1]]
      Topics444455556666 = ["arn:aws:sqs:eu-west-1:111122223333:observer_dead_letters", "sns.amazonaws.com", [1]]
    })
    error_message = "What cannot be delivered is lost, or a service may write dead letters for the resources of others."
  }

  assert {
    condition = alltrue([
      for stage in ["tasks", "notify"] : alltrue([
        for statement in concat(data.aws_iam_policy_document.queue[stage].statement, data.aws_iam_policy_document.dead_letters[stage].statement) :
        statement.effect == "Deny"
      ])
    ])
    error_message = "A source may write to an inner queue."
  }

  # SQS encrypts the message of a service with the permissions of that service.
  assert {
    condition = jsonencode({
      for statement in data.aws_iam_policy_document.key[0].statement : statement.sid => {
        who     = one(one(statement.principals).identifiers)
        actions = statement.actions
        only    = { for condition in statement.condition : "${condition.test} ${condition.variable}" => one(condition.values) }
      } if statement.sid != "EncryptLogs"
      }) == jsonencode({
      for sid, it in {
        Buckets111122223333 = ["s3.amazonaws.com", "111122223333"]
        Buckets444455556666 = ["s3.amazonaws.com", "444455556666"]
        Rules111122223333   = ["events.amazonaws.com", "111122223333"]
        Topics111122223333  = ["sns.amazonaws.com", "111122223333"]
        Topics444455556666  = ["sns.amazonaws.com", "444455556666"]
        } : sid => {
        who = it[0], actions = ["kms:Decrypt", "kms:GenerateDataKey"], only = { "StringEqualsIfExists aws:SourceAccount" = it[1] }
      }
    })
    error_message = "The key refuses a source, or accepts one of another account."
  }

  # The ARNs in the policy are composed. The parts come from these attributes.
  assert {
    condition = { for name, rule in aws_cloudwatch_event_rule.this : name => "${rule.event_bus_name}/${rule.name}" } == {
      release = "default/ecs-task-notifier-release"
      orders  = "orders/ecs-task-notifier-orders"
      partner = "aws.partner/example.com/acme/ecs-task-notifier-partner"
    }
    error_message = "The policy allows other rules than those that exist."
  }

  assert {
    condition = alltrue([
      for target in aws_cloudwatch_event_target.this :
      target.arn == "arn:aws:sqs:eu-west-1:111122223333:observer" &&
      one(target.dead_letter_config).arn == "arn:aws:sqs:eu-west-1:111122223333:observer_dead_letters" &&
      one(target.retry_policy).maximum_retry_attempts == 185 && one(target.retry_policy).maximum_event_age_in_seconds == 86400
    ])
    error_message = "A rule sends elsewhere, or loses what it cannot deliver."
  }

  assert {
    condition = alltrue([
      for subscription in aws_sns_topic_subscription.this :
      subscription.protocol == "sqs" && subscription.endpoint == "arn:aws:sqs:eu-west-1:111122223333:observer" && !subscription.raw_message_delivery &&
      jsondecode(subscription.redrive_policy).deadLetterTargetArn == "arn:aws:sqs:eu-west-1:111122223333:observer_dead_letters"
    ])
    error_message = "A topic sends elsewhere, or loses what it cannot deliver."
  }

  assert {
    condition     = keys(aws_s3_bucket_notification.this) == ["prices", "reports"]
    error_message = "The module changes a bucket of another account."
  }
}

run "a_bucket_may_have_several_notifications" {
  command = apply

  variables {
    bucket_notifications = {
      prices = {
        bucket      = "acme-prices"
        eventbridge = true
        notifications = [
          { filter_prefix = "prices/", filter_suffix = ".json" },
          { events = ["s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"] },
        ]
      }
      kept = { bucket = "acme-kept", create = false }
    }
  }

  assert {
    condition = jsonencode({
      for name, it in aws_s3_bucket_notification.this : name => [
        it.bucket, it.eventbridge,
        [for queue in it.queue : [queue.id, queue.queue_arn, sort(queue.events), queue.filter_prefix, queue.filter_suffix]],
      ]
      }) == jsonencode({
      prices = ["acme-prices", true, [
        ["ecs-task-notifier-prices-0", "arn:aws:sqs:eu-west-1:111122223333:observer", ["s3:ObjectCreated:*"], "prices/", ".json"],
        ["ecs-task-notifier-prices-1", "arn:aws:sqs:eu-west-1:111122223333:observer", ["s3:LifecycleExpiration:*", "s3:ObjectRemoved:*"], null, null],
      ]]
    })
    error_message = "The bucket has other notifications, or the module replaces those of a bucket that somebody else owns."
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.queue["services"].statement : [for condition in statement.condition : condition.values if condition.variable == "aws:SourceArn"]
      if statement.sid == "Buckets111122223333"
    ] == [[tolist(["arn:aws:s3:::acme-kept", "arn:aws:s3:::acme-prices"])]]
    error_message = "The bucket whose owner writes the notification may not send."
  }
}

run "two_entries_for_one_bucket_are_refused" {
  command = plan

  variables {
    bucket_notifications = { a = { bucket = "acme-prices" }, b = { bucket = "acme-prices" } }
  }

  expect_failures = [aws_s3_bucket_notification.this]
}

run "rules_and_subscriptions_take_what_aws_offers" {
  command = apply

  variables {
    name_prefix = "blue-"
    name_suffix = "-2"
    event_rules = {
      daily = { schedule_expression = "rate(1 day)", input = "{\"cluster\":\"prod\"}" }
      short = {
        event_pattern     = "{\"source\":[\"com.example\"]}"
        input_transformer = { input_paths = { id = "$.id" }, input_template = "{\"cluster\":\"prod\"}" }
        state             = "DISABLED"

        maximum_event_age_in_seconds = 60
        maximum_retry_attempts       = 0
      }
    }
    topics = {
      raw = {
        topic_arn            = "arn:aws:sns:eu-west-1:111122223333:release"
        raw_message_delivery = true
        filter_policy        = "{\"kind\":[\"release\"]}"
        filter_policy_scope  = "MessageBody"
        redrive              = false
      }
      elsewhere = { topic_arn = "arn:aws:sns:us-east-1:111122223333:release", create = false }
    }
  }

  assert {
    condition = (
      aws_cloudwatch_event_rule.this["daily"].name == "blue-ecs-task-notifier-daily-2" &&
      aws_cloudwatch_event_rule.this["daily"].schedule_expression == "rate(1 day)" &&
      jsondecode(aws_cloudwatch_event_target.this["daily"].input) == { cluster = "prod" } &&
      aws_cloudwatch_event_rule.this["short"].state == "DISABLED" &&
      one(aws_cloudwatch_event_target.this["short"].input_transformer).input_paths == tomap({ id = "$.id" }) &&
      one(aws_cloudwatch_event_target.this["short"].retry_policy).maximum_retry_attempts == 0
    )
    error_message = "A rule does not have the configured attributes."
  }

  assert {
    condition = keys(aws_sns_topic_subscription.this) == ["raw"] && (
      aws_sns_topic_subscription.this["raw"].raw_message_delivery && aws_sns_topic_subscription.this["raw"].filter_policy_scope == "MessageBody" &&
      jsondecode(aws_sns_topic_subscription.this["raw"].filter_policy) == { kind = ["release"] } &&
      aws_sns_topic_subscription.this["raw"].redrive_policy == null
    )
    error_message = "A subscription does not have the configured attributes, or exists twice."
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.queue["services"].statement : one([for condition in statement.condition : condition.values if condition.variable == "aws:SourceArn"])
      if statement.sid == "Topics111122223333"
    ] == [tolist(["arn:aws:sns:us-east-1:111122223333:release", "arn:aws:sns:eu-west-1:111122223333:release"])]
    error_message = "A topic with a subscription elsewhere may not send."
  }
}

run "invalid_sources_are_refused_by_name" {
  command = plan

  variables {
    bucket_notifications = { prices = { bucket = "arn:aws:s3:::acme-prices" } }
    event_rules          = { nothing = {} }
    topics               = { release = { topic_arn = "arn:aws:sns:eu-west-1:111122223333:*" } }
    table_pipes          = { items = { stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/1", batch_size = 11 } }
    table_streams        = { items = { stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/items" } }
  }

  expect_failures = [var.bucket_notifications, var.event_rules, var.topics, var.table_pipes, var.table_streams]
}

run "invalid_details_of_sources_are_refused_by_name" {
  command = plan

  variables {
    bucket_notifications = { prices = { bucket = "acme-prices", notifications = [{ events = ["ObjectCreated"] }] } }
    event_rules          = { daily = { schedule_expression = "rate(1 day)", event_bus_name = "orders" } }
    topics               = { release = { topic_arn = "arn:aws:sns:eu-west-1:111122223333:release", filter_policy = "kind" } }
    table_pipes          = { items = { stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/1", filter_patterns = ["INSERT"] } }
    table_streams        = { items = { stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/1", maximum_record_age_in_seconds = -1 } }
  }

  expect_failures = [var.bucket_notifications, var.event_rules, var.topics, var.table_pipes, var.table_streams]
}

run "a_name_too_long_for_a_rule_is_refused" {
  command = plan

  variables {
    event_rules          = { abcdefghijklmnopqrstuvwxyz = { schedule_expression = "rate(1 day)" } }
    table_pipes          = { Items = { stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/1" } }
    bucket_notifications = { prices_ = { bucket = "acme-prices" } }
  }

  expect_failures = [var.event_rules, var.table_pipes, var.bucket_notifications]
}
