# The properties of the module, checked on a plan without an account.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  archives           = { files = "./tests/archives" }
  unsigned           = true
}

run "names_are_those_of_the_proof_of_concept" {
  command = plan

  assert {
    condition = { for stage, queue in aws_sqs_queue.this : stage => queue.name } == {
      services = "ecs_service_notification_eu-west-1"
      tasks    = "ecs_service_eu-west-1"
      notify   = "ecs_service_task_eu-west-1"
    }
    error_message = "A queue has the wrong name."
  }

  assert {
    condition = { for stage, function in aws_lambda_function.this : stage => function.function_name } == {
      services = "ecs_service_discovery"
      tasks    = "ecs_service_task_discovery"
      notify   = "ecs_service_task_notify"
    }
    error_message = "A function has the wrong name."
  }

  assert {
    condition     = aws_s3_bucket.archives[0].bucket == "ecs-task-notifier-lambdas-111122223333-eu-west-1"
    error_message = "The bucket has the wrong name."
  }
}

run "every_name_has_prefix_and_suffix" {
  command = plan

  variables {
    name_prefix        = "blue-"
    name_suffix        = "-2"
    keep_warm_schedule = "rate(1 day)"
  }

  assert {
    condition = alltrue([
      for name in concat(
        [for it in aws_sqs_queue.this : it.name],
        [for it in aws_lambda_function.this : it.function_name],
        [for it in aws_iam_role.function : it.name],
        [for it in aws_cloudwatch_metric_alarm.dead_letters : it.alarm_name],
        [for it in aws_cloudwatch_metric_alarm.age : it.alarm_name],
        [for it in aws_cloudwatch_metric_alarm.retries : it.alarm_name],
        [for it in aws_cloudwatch_metric_alarm.unread : it.alarm_name],
        [for it in aws_cloudwatch_metric_alarm.ledger : it.alarm_name],
        [for it in aws_cloudwatch_metric_alarm.errors : it.alarm_name],
        [for it in aws_cloudwatch_metric_alarm.throttles : it.alarm_name],
        [
          aws_cloudwatch_dashboard.this[0].dashboard_name, aws_s3_bucket.archives[0].bucket,
          aws_dynamodb_table.ledger[0].name, aws_iam_role.keep_warm[0].name, aws_scheduler_schedule.keep_warm[0].name,
        ],
      ) : startswith(name, "blue-") && strcontains(name, "-2")
    ])
    error_message = "Two stacks would have the same name."
  }
}

run "no_message_is_lost_or_processed_too_early" {
  command = plan

  assert {
    condition = alltrue([
      for stage, queue in aws_sqs_queue.this :
      queue.visibility_timeout_seconds >= 6 * aws_lambda_function.this[stage].timeout
    ])
    error_message = "A message may come back while it is still in work."
  }

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.this : queue.max_message_size == 1048576])
    error_message = "A queue accepts smaller messages than the program sends."
  }

  assert {
    condition = alltrue([
      for stage, queue in aws_sqs_queue.dead_letters :
      queue.message_retention_seconds > aws_sqs_queue.this[stage].message_retention_seconds
    ])
    error_message = "A dead letter may expire as soon as it arrives."
  }

  assert {
    condition = alltrue([
      for mapping in aws_lambda_event_source_mapping.this :
      mapping.function_response_types == toset(["ReportBatchItemFailures"]) && mapping.scaling_config[0].maximum_concurrency >= 2
    ])
    error_message = "One failure would return a whole batch, or the number of functions has no limit."
  }
}

run "the_ledger_has_the_keys_that_the_code_writes" {
  command = plan

  assert {
    condition = (
      aws_dynamodb_table.ledger[0].hash_key == "pk" && aws_dynamodb_table.ledger[0].range_key == "sk" &&
      { for attribute in aws_dynamodb_table.ledger[0].attribute : attribute.name => attribute.type } == { pk = "S", sk = "S" } &&
      one(aws_dynamodb_table.ledger[0].ttl).attribute_name == "expires" && one(aws_dynamodb_table.ledger[0].ttl).enabled
    )
    error_message = "The code would not find its records, or they would never expire."
  }

  assert {
    condition = (
      aws_dynamodb_table.ledger[0].billing_mode == "PAY_PER_REQUEST" &&
      one(aws_dynamodb_table.ledger[0].point_in_time_recovery).enabled &&
      !aws_dynamodb_table.ledger[0].deletion_protection_enabled
    )
    error_message = "The table costs something while idle, cannot be restored, or outlives `terraform destroy`."
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.this :
      function.environment[0].variables["NOTIFIER_LEDGER"] == "dynamodb:ecs-task-notifier"
    ])
    error_message = "A function does not use the ledger."
  }
}

run "the_ledger_can_be_left_out" {
  command = plan

  variables {
    create_ledger        = false
    create_vpc_endpoints = true
    vpc_id               = "vpc-1"
  }

  assert {
    condition = (
      length(aws_dynamodb_table.ledger) == 0 && length(aws_vpc_endpoint.dynamodb) == 0 &&
      alltrue([for function in aws_lambda_function.this : function.environment[0].variables["NOTIFIER_LEDGER"] == "none"])
    )
    error_message = "The table is created or used despite create_ledger = false."
  }
}

run "the_ledger_can_be_protected_from_deletion" {
  command = plan

  variables {
    ledger_deletion_protection = true
  }

  assert {
    condition     = aws_dynamodb_table.ledger[0].deletion_protection_enabled
    error_message = "The table can be deleted."
  }
}

run "with_a_ledger_all_functions_share_the_budget" {
  command = plan

  assert {
    condition = alltrue([
      for function in aws_lambda_function.this :
      function.environment[0].variables["NOTIFIER_AWS_BUDGET_PERCENT"] == "50"
    ])
    error_message = "The functions do not share one budget: each percentage is a budget of its own."
  }
}

run "without_a_ledger_all_functions_together_stay_within_the_budget" {
  command = plan

  variables {
    create_ledger = false
  }

  assert {
    condition = {
      for stage, function in aws_lambda_function.this :
      stage => function.environment[0].variables["NOTIFIER_AWS_BUDGET_PERCENT"]
    } == { services = "10", tasks = "10", notify = "1" }
    error_message = "A function has the wrong share of AWS's request rate."
  }

  assert {
    condition = sum([
      for stage, function in aws_lambda_function.this :
      tonumber(function.environment[0].variables["NOTIFIER_AWS_BUDGET_PERCENT"]) *
      aws_lambda_event_source_mapping.this[stage].scaling_config[0].maximum_concurrency
    ]) <= var.aws_budget_percent
    error_message = "All functions together exceed the budget."
  }
}

run "functions_with_budgets_of_their_own_divide_the_budget" {
  command = plan

  variables {
    environment = { NOTIFIER_AWS_BUDGET_SHARED = "false" }
  }

  assert {
    condition     = aws_lambda_function.this["notify"].environment[0].variables["NOTIFIER_AWS_BUDGET_PERCENT"] == "1"
    error_message = "Each function uses the share of all."
  }
}

run "more_functions_get_smaller_shares" {
  command = plan

  variables {
    create_ledger      = false
    aws_budget_percent = 20
    stages             = { tasks = { concurrency_max = 3 }, notify = { concurrency_max = 1000 } }
  }

  assert {
    condition = {
      for stage, function in aws_lambda_function.this :
      stage => function.environment[0].variables["NOTIFIER_AWS_BUDGET_PERCENT"]
    } == { services = "4", tasks = "2.66", notify = "0.01" }
    error_message = "A share is not divided, or is a value that the setting refuses."
  }
}

run "a_small_broadcast_does_not_wait_for_a_batch" {
  command = plan

  assert {
    condition = alltrue([
      for mapping in aws_lambda_event_source_mapping.this :
      mapping.maximum_batching_window_in_seconds == 0 && mapping.batch_size <= 10
    ])
    error_message = "Lambda waits up to 20 seconds for more messages."
  }
}

run "logs_reach_cloudwatch_at_the_configured_level" {
  command = plan

  variables {
    log_level = "debug"
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.this :
      function.logging_config[0].application_log_level == "DEBUG" && function.logging_config[0].system_log_level == "DEBUG"
    ])
    error_message = "Lambda drops lines of the configured level."
  }
}

run "functions_are_kept_warm_only_with_a_schedule" {
  command = plan

  assert {
    condition     = length(aws_scheduler_schedule.keep_warm) == 0 && length(aws_iam_role.keep_warm) == 0
    error_message = "The module sends messages without a schedule."
  }
}

run "a_schedule_keeps_the_functions_warm" {
  command = plan

  variables {
    keep_warm_schedule = "rate(1 day)"
  }

  assert {
    condition = (
      aws_scheduler_schedule.keep_warm[0].schedule_expression == "rate(1 day)" &&
      jsondecode(one(aws_scheduler_schedule.keep_warm[0].target).input) == { keep_warm = true }
    )
    error_message = "The message is not the one that the functions expect."
  }

  assert {
    condition     = data.aws_iam_policy_document.keep_warm[0].statement[0].actions == toset(["sqs:SendMessage"])
    error_message = "The schedule has more permissions than sending."
  }
}

run "only_notify_is_in_the_vpc_by_default" {
  command = plan

  assert {
    condition     = [for stage, function in aws_lambda_function.this : stage if length(function.vpc_config) > 0] == ["notify"]
    error_message = "Another function is in the VPC, or notify is not."
  }
}

run "discovery_can_be_in_the_vpc_too" {
  command = plan

  variables {
    discovery_in_vpc = true
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : length(function.vpc_config) == 1])
    error_message = "A function is not in the VPC."
  }
}

run "each_function_knows_only_its_own_queues" {
  command = plan

  assert {
    condition = {
      for stage, function in aws_lambda_function.this :
      stage => [for name in keys(function.environment[0].variables) : name if endswith(name, "_QUEUE_URL")]
      } == {
      services = ["NOTIFIER_OBSERVER_QUEUE_URL", "NOTIFIER_SERVICES_QUEUE_URL"]
      tasks    = ["NOTIFIER_SERVICES_QUEUE_URL", "NOTIFIER_TASKS_QUEUE_URL"]
      notify   = ["NOTIFIER_TASKS_QUEUE_URL"]
    }
    error_message = "A function has the URL of a queue that it does not use, or lacks one."
  }
}

run "encryption_uses_aws_keys_by_default" {
  command = plan

  assert {
    condition     = alltrue([for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dead_letters)) : queue.sqs_managed_sse_enabled])
    error_message = "A queue is not encrypted."
  }
}

run "a_key_encrypts_everything" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/k"
  }

  assert {
    condition = alltrue(concat(
      [for it in aws_sqs_queue.this : it.kms_master_key_id == var.kms_key_arn],
      [for it in aws_sqs_queue.dead_letters : it.kms_master_key_id == var.kms_key_arn],
      [for it in aws_cloudwatch_log_group.function : it.kms_key_id == var.kms_key_arn],
      [for it in aws_lambda_function.this : it.kms_key_arn == var.kms_key_arn],
      [one(aws_dynamodb_table.ledger[0].server_side_encryption).kms_key_arn == var.kms_key_arn],
    ))
    error_message = "A resource is not encrypted with the key."
  }
}

run "without_functions_the_queues_are_for_the_daemon" {
  command = plan

  variables {
    create_functions   = false
    worker_role_arns   = ["arn:aws:iam::111122223333:role/daemon"]
    subnet_ids         = []
    security_group_ids = []
  }

  assert {
    condition = (
      length(aws_sqs_queue.this) == 3 && length(aws_dynamodb_table.ledger) == 1 &&
      length(aws_lambda_function.this) == 0 && length(aws_s3_bucket.archives) == 0
    )
    error_message = "A resource that the daemon needs is missing, or there is one that it does not need."
  }

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.this : queue.visibility_timeout_seconds == 60])
    error_message = "After a crash of a daemon, its messages stay invisible for too long."
  }
}

run "create_false_creates_nothing" {
  command = plan

  variables {
    create               = false
    create_vpc_endpoints = true
  }

  assert {
    condition = sum([
      length(aws_sqs_queue.this), length(aws_sqs_queue.dead_letters), length(aws_lambda_function.this),
      length(aws_iam_role.function), length(aws_s3_bucket.archives), length(aws_s3_object.archive),
      length(aws_cloudwatch_metric_alarm.dead_letters), length(aws_cloudwatch_metric_alarm.age),
      length(aws_cloudwatch_dashboard.this), length(aws_vpc_endpoint.this), length(aws_cloudwatch_log_group.function),
      length(aws_dynamodb_table.ledger), length(aws_vpc_endpoint.dynamodb), length(aws_scheduler_schedule.keep_warm),
      length(aws_cloudwatch_metric_alarm.ledger), length(terraform_data.release),
    ]) == 0
    error_message = "A resource is created despite create = false."
  }
}

run "endpoints_replace_nat" {
  command = plan

  variables {
    create_vpc_endpoints = true
    vpc_id               = "vpc-1"
    route_table_ids      = ["rtb-1"]
  }

  assert {
    condition = toset(concat(
      [for endpoint in aws_vpc_endpoint.this : endpoint.service_name],
      [for endpoint in aws_vpc_endpoint.dynamodb : endpoint.service_name],
    )) == toset([for service in ["dynamodb", "ec2", "ecs", "sqs"] : "com.amazonaws.eu-west-1.${service}"])
    error_message = "The notify function cannot reach a service that it calls."
  }

  assert {
    condition     = aws_vpc_endpoint.dynamodb[0].route_table_ids == toset(["rtb-1"])
    error_message = "There is no route to the ledger."
  }
}

run "endpoints_need_a_route_to_the_ledger" {
  command = plan

  variables {
    create_vpc_endpoints = true
    vpc_id               = "vpc-1"
  }

  expect_failures = [aws_vpc_endpoint.dynamodb]
}

run "notify_needs_a_network" {
  command = plan

  variables {
    subnet_ids = []
  }

  expect_failures = [aws_lambda_function.this]
}

run "a_short_visibility_timeout_is_refused" {
  command = plan

  variables {
    stages = { notify = { timeout_s = 90 } }
  }

  expect_failures = [aws_sqs_queue.this]
}

run "a_big_batch_needs_a_window" {
  command = plan

  variables {
    stages = { tasks = { batch_size = 11 } }
  }

  expect_failures = [aws_lambda_event_source_mapping.this]
}

run "wrong_values_are_refused_by_name" {
  command = plan

  variables {
    name_prefix     = "Blue_"
    name_suffix     = "x-"
    architecture    = "riscv"
    cluster_arns    = ["prod"]
    allow_networks  = ["10.0.0.0"]
    health          = "maybe"
    horizon_minutes = 1.5
    ledger_days     = 0
    route_table_ids = ["main"]
    kms_key_arn     = "alias/k"
    stages          = { deliver = {} }

    aws_budget_percent = 0.5
    keep_warm_schedule = "daily"
  }

  expect_failures = [
    var.name_prefix, var.name_suffix, var.architecture, var.cluster_arns, var.allow_networks, var.health,
    var.horizon_minutes, var.ledger_days, var.route_table_ids, var.kms_key_arn, var.stages,
    var.aws_budget_percent, var.keep_warm_schedule,
  ]
}

run "unsigned_is_a_choice" {
  command = plan

  variables {
    unsigned = false
  }

  expect_failures = [aws_lambda_function.this]
}

run "only_notify_knows_where_the_keys_are" {
  command = plan

  variables {
    unsigned             = false
    signing_secret_arn   = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:notifier-AbCdEf"
    create_vpc_endpoints = true
    vpc_id               = "vpc-1"
    route_table_ids      = ["rtb-1"]
  }

  assert {
    condition = {
      for stage, function in aws_lambda_function.this :
      stage => lookup(function.environment[0].variables, "NOTIFIER_SIGNING_SECRET", "not set")
      } == {
      services = "not set"
      tasks    = "not set"
      notify   = "secretsmanager:arn:aws:secretsmanager:eu-west-1:111122223333:secret:notifier-AbCdEf"
    }
    error_message = "Another function has the secret's ARN, or notify does not."
  }

  assert {
    condition     = contains(keys(aws_vpc_endpoint.this), "secretsmanager")
    error_message = "The notify function cannot reach Secrets Manager."
  }
}
