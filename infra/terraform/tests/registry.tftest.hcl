# The registry of running tasks, applied on a mocked provider.

mock_provider "aws" {
  source = "./tests/mocks"
}

# Mocked resources are all alike, so those that the tests distinguish get different values here.
override_resource {
  target = aws_iam_role.function["services"]
  values = { arn = "arn:aws:iam::111122223333:role/services", unique_id = "AROASERVICES" }
}

override_resource {
  target = aws_iam_role.function["tasks"]
  values = { arn = "arn:aws:iam::111122223333:role/tasks", unique_id = "AROATASKS" }
}

override_resource {
  target = aws_iam_role.function["notify"]
  values = { arn = "arn:aws:iam::111122223333:role/notify", unique_id = "AROANOTIFY" }
}

override_resource {
  target = aws_iam_role.function["registry"]
  values = { arn = "arn:aws:iam::111122223333:role/registry", unique_id = "AROAREGISTRY" }
}

override_resource {
  target = aws_iam_role.sweep
  values = { arn = "arn:aws:iam::111122223333:role/sweep" }
}

override_resource {
  target = aws_sqs_queue.this["services"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:observer", url = "https://sqs/observer" }
}

override_resource {
  target = aws_sqs_queue.this["tasks"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:services", url = "https://sqs/services" }
}

override_resource {
  target = aws_sqs_queue.this["notify"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:tasks", url = "https://sqs/tasks" }
}

override_resource {
  target = aws_sqs_queue.this["registry"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:registry", url = "https://sqs/registry" }
}

override_resource {
  target = aws_sqs_queue.dead_letters["registry"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:registry_dead_letters" }
}

variables {
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  archives           = { files = "./tests/archives" }
  unsigned           = true
  registry           = { clusters = ["prod", "arn:aws:ecs:eu-west-1:444455556666:cluster/shop"] }
}

run "off_by_default" {
  command = plan

  variables {
    registry = null
  }

  assert {
    condition = (
      length(aws_cloudwatch_event_rule.registry) + length(aws_cloudwatch_event_target.registry) +
      length(aws_scheduler_schedule.sweep) + length(aws_iam_role.sweep) == 0 &&
      keys(aws_sqs_queue.this) == ["notify", "services", "tasks"] && keys(aws_lambda_function.this) == ["notify", "services", "tasks"]
    )
    error_message = "The registry costs something although it is off."
  }

  assert {
    condition = alltrue(flatten([
      for function in aws_lambda_function.this : [
        for name in keys(function.environment[0].variables) : !startswith(name, "NOTIFIER_REGISTRY_")
      ]
    ]))
    error_message = "A function looks for a registry that does not exist."
  }

  assert {
    condition     = output.registry_queue_url == null && output.registry_rule_arn == null && output.registry_settings == {}
    error_message = "An output names a registry that does not exist."
  }
}

run "create_false_creates_no_registry" {
  command = plan

  variables {
    create = false
  }

  assert {
    condition = (
      length(aws_cloudwatch_event_rule.registry) + length(aws_cloudwatch_event_target.registry) +
      length(aws_scheduler_schedule.sweep) + length(aws_iam_role.sweep) + length(aws_sqs_queue.this) == 0 &&
      output.registry_settings == {} && output.environment_file == ""
    )
    error_message = "A resource is created despite create = false."
  }
}

run "starts_and_ends_of_tasks_go_to_the_queue_or_whole_to_its_dead_letters" {
  command = apply

  # Source: Amazon ECS Developer Guide, "Amazon ECS task state change events".
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.registry[0].event_pattern) == jsondecode(jsonencode({
      source      = ["aws.ecs"]
      detail-type = ["ECS Task State Change"]
      detail = {
        clusterArn = ["arn:aws:ecs:eu-west-1:111122223333:cluster/prod", "arn:aws:ecs:eu-west-1:444455556666:cluster/shop"]
        "$or"      = [{ lastStatus = ["RUNNING"] }, { desiredStatus = ["STOPPED"] }]
      }
    }))
    error_message = "The rule does not match what the registry needs to know, or matches more."
  }

  assert {
    condition = (
      aws_cloudwatch_event_target.registry[0].arn == aws_sqs_queue.this["registry"].arn &&
      aws_cloudwatch_event_target.registry[0].input == null &&
      one(aws_cloudwatch_event_target.registry[0].dead_letter_config).arn == aws_sqs_queue.dead_letters["registry"].arn &&
      jsondecode(aws_sqs_queue.this["registry"].redrive_policy).deadLetterTargetArn == aws_sqs_queue.dead_letters["registry"].arn
    )
    error_message = "Events do not arrive, or are lost when they do not."
  }

  assert {
    condition     = aws_sqs_queue.this["registry"].name == "ecs_registry_eu-west-1" && aws_lambda_function.this["registry"].function_name == "ecs_registry"
    error_message = "The queue or the function has the wrong name."
  }

  assert {
    condition = (
      aws_sqs_queue.this["registry"].message_retention_seconds == 86400 &&
      aws_sqs_queue.this["registry"].visibility_timeout_seconds >= 6 * aws_lambda_function.this["registry"].timeout &&
      aws_lambda_function.this["registry"].timeout >= 300 &&
      aws_lambda_event_source_mapping.this["registry"].function_response_types == toset(["ReportBatchItemFailures"]) &&
      aws_lambda_event_source_mapping.this["registry"].scaling_config[0].maximum_concurrency == 5
    )
    error_message = "Old events wait, a sweep has no time, a failure returns a whole batch, or the number of functions has no limit."
  }

  assert {
    condition     = endswith(aws_s3_object.archive["registry"].source, "ecs_registry/bootstrap.zip")
    error_message = "The function has the code of another."
  }
}

run "only_the_rule_and_its_own_roles_write_to_the_queue" {
  command = apply

  assert {
    condition = jsonencode({
      for name, document in { queue = data.aws_iam_policy_document.queue["registry"], dead = data.aws_iam_policy_document.dead_letters["registry"] } :
      name => [
        for statement in document.statement : {
          sid     = statement.sid
          actions = statement.actions
          who     = one(one(statement.principals).identifiers)
          only    = { for condition in statement.condition : condition.variable => "${condition.test} ${join(",", condition.values)}" }
        } if statement.effect != "Deny"
      ]
      }) == jsonencode({
      for name in ["queue", "dead"] : name => [{
        sid     = "TaskStates"
        actions = ["sqs:SendMessage"]
        who     = "events.amazonaws.com"
        only = {
          "aws:SourceArn"     = "ArnLike arn:aws:events:eu-west-1:111122223333:rule/ecs_registry"
          "aws:SourceAccount" = "StringEqualsIfExists 111122223333"
        }
      }]
    })
    error_message = "EventBridge is refused, or may write for the rules of others."
  }

  assert {
    condition = jsonencode({
      for stage, document in data.aws_iam_policy_document.queue : stage => one([
        for statement in document.statement : {
          sid    = statement.sid
          unless = one([for condition in statement.condition : condition.values if condition.variable == "aws:PrincipalArn"])
        } if statement.effect == "Deny" && statement.sid != "OnlyByTls"
      ]) if stage != "services"
      }) == jsonencode({
      notify = { sid = "OnlyFromPreviousStage", unless = ["arn:aws:iam::111122223333:role/tasks"] }
      registry = {
        sid    = "OnlyFromRuleAndOwnRoles"
        unless = ["arn:aws:iam::111122223333:role/registry", "arn:aws:iam::111122223333:role/sweep"]
      }
      tasks = {
        sid    = "OnlyFromPreviousStage"
        unless = ["arn:aws:iam::111122223333:role/registry", "arn:aws:iam::111122223333:role/services", "arn:aws:iam::111122223333:role/tasks"]
      }
    })
    error_message = "Another sender may write to an inner queue, or a stage may not."
  }

  assert {
    condition = jsonencode({
      for stage, function in aws_lambda_function.this :
      stage => lookup(function.environment[0].variables, "NOTIFIER_TRUSTED_SENDERS", "not set")
      }) == jsonencode({
      notify   = "AROANOTIFY,AROATASKS"
      registry = "not set"
      services = "not set"
      tasks    = "AROAREGISTRY,AROASERVICES,AROATASKS"
    })
    error_message = "A message for a task that started late is not trusted, or a stage trusts the wrong senders."
  }
}

run "the_function_may_do_its_work_and_no_more" {
  command = apply

  assert {
    condition = toset(flatten([
      for statement in data.aws_iam_policy_document.function["registry"].statement : [
        for action in statement.actions : [for resource in statement.resources : "${action} ${resource}"]
      ] if !startswith(statement.sid, "Log")
      ])) == toset(concat(
      [for action in ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage", "SendMessage"] : "sqs:${action} arn:aws:sqs:eu-west-1:111122223333:registry"],
      [for action in ["GetQueueUrl", "SendMessage"] : "sqs:${action} arn:aws:sqs:eu-west-1:111122223333:registry_dead_letters"],
      ["sqs:SendMessage arn:aws:sqs:eu-west-1:111122223333:services"],
      [for action in ["BatchGetItem", "BatchWriteItem", "PutItem", "Query"] : "dynamodb:${action} arn:aws:dynamodb:eu-west-1:111122223333:table/ledger"],
      ["ec2:DescribeInstances *"],
      [for action in ["DescribeTaskDefinition", "ListClusters", "ListTasks"] : "ecs:${action} *"],
      ["ecs:DescribeContainerInstances arn:aws:ecs:eu-west-1:111122223333:container-instance/*"],
      ["ecs:DescribeTasks arn:aws:ecs:eu-west-1:111122223333:task/*"],
      [for cluster in ["eu-west-1:111122223333:cluster/prod", "eu-west-1:444455556666:cluster/shop"] : "ecs:DescribeClusters arn:aws:ecs:${cluster}"],
    ))
    error_message = "The role of the registry allows more or less than the function needs."
  }

  assert {
    condition = {
      for statement in data.aws_iam_policy_document.function["registry"].statement :
      one(statement.actions) => join(" ", flatten([for condition in coalesce(statement.condition, []) : [condition.variable, condition.values]]))
      if startswith(statement.sid, "Ecs") && length(coalesce(statement.condition, [])) > 0
      } == {
      for action in ["ecs:DescribeContainerInstances", "ecs:DescribeTasks", "ecs:ListTasks"] :
      action => "ecs:cluster arn:aws:ecs:eu-west-1:111122223333:cluster/prod arn:aws:ecs:eu-west-1:444455556666:cluster/shop"
    }
    error_message = "The function may read the tasks of clusters that are not registered."
  }

  assert {
    condition = jsonencode({
      for stage, document in data.aws_iam_policy_document.function : stage => [
        for statement in document.statement : "${one(statement.actions)} ${one(statement.resources)}"
        if contains(["PublishToOwnQueue", "SeeRegistryQueue"], statement.sid)
      ]
      }) == jsonencode({
      notify   = []
      registry = ["sqs:SendMessage arn:aws:sqs:eu-west-1:111122223333:registry"]
      services = ["sqs:SendMessage arn:aws:sqs:eu-west-1:111122223333:observer", "sqs:GetQueueAttributes arn:aws:sqs:eu-west-1:111122223333:registry"]
      tasks    = ["sqs:SendMessage arn:aws:sqs:eu-west-1:111122223333:services"]
    })
    error_message = "A stage cannot return a message to its queue, or cannot see whether events wait."
  }

  assert {
    condition = {
      for stage, function in aws_lambda_function.this : stage => {
        for name, value in function.environment[0].variables : name => value if startswith(name, "NOTIFIER_REGISTRY_")
      }
      } == {
      notify = {}
      tasks = {
        NOTIFIER_REGISTRY_CLUSTERS = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod,arn:aws:ecs:eu-west-1:444455556666:cluster/shop"
      }
      services = {
        NOTIFIER_REGISTRY_CLUSTERS  = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod,arn:aws:ecs:eu-west-1:444455556666:cluster/shop"
        NOTIFIER_REGISTRY_QUEUE_URL = "https://sqs/registry"
        NOTIFIER_REGISTRY_SWEEP     = "10m"
      }
      registry = {
        NOTIFIER_REGISTRY_CLUSTERS  = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod,arn:aws:ecs:eu-west-1:444455556666:cluster/shop"
        NOTIFIER_REGISTRY_QUEUE_URL = "https://sqs/registry"
        NOTIFIER_REGISTRY_SWEEP     = "10m"
      }
    }
    error_message = "A function does not know the registry, or two functions disagree on it."
  }

  assert {
    condition = (
      aws_lambda_function.this["registry"].environment[0].variables["NOTIFIER_SERVICES_QUEUE_URL"] == "https://sqs/services" &&
      aws_lambda_function.this["registry"].environment[0].variables["NOTIFIER_AWS_BUDGET_PERCENT"] == "50" &&
      aws_lambda_function.this["registry"].environment[0].variables["NOTIFIER_LEDGER"] == "dynamodb:ecs-task-notifier"
    )
    error_message = "Late tasks are not notified, or the function has a budget or a ledger of its own."
  }

  assert {
    condition     = output.registry_settings == { for name, value in aws_lambda_function.this["registry"].environment[0].variables : name => value if startswith(name, "NOTIFIER_REGISTRY_") }
    error_message = "A daemon would get other settings than the function."
  }
}

run "a_schedule_requests_the_sweeps" {
  command = apply

  variables {
    registry    = { clusters = ["prod"], sweep_minutes = 1 }
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/k"
  }

  assert {
    condition = (
      aws_scheduler_schedule.sweep[0].schedule_expression == "rate(1 minute)" &&
      aws_scheduler_schedule.sweep[0].flexible_time_window[0].mode == "OFF" &&
      aws_scheduler_schedule.sweep[0].target[0].arn == aws_sqs_queue.this["registry"].arn &&
      aws_scheduler_schedule.sweep[0].target[0].role_arn == "arn:aws:iam::111122223333:role/sweep" &&
      aws_scheduler_schedule.sweep[0].target[0].input == "{\"registry\":{\"sweep\":[\"*\"]}}" &&
      aws_lambda_function.this["services"].environment[0].variables["NOTIFIER_REGISTRY_SWEEP"] == "1m"
    )
    error_message = "No sweep is requested in time, so the registry is never live."
  }

  assert {
    condition = jsonencode([
      for statement in data.aws_iam_policy_document.sweep[0].statement : [sort(statement.actions), statement.resources, [for condition in coalesce(statement.condition, []) : condition.values]]
      ]) == jsonencode([
      [["sqs:SendMessage"], ["arn:aws:sqs:eu-west-1:111122223333:registry"], []],
      [["kms:Decrypt", "kms:GenerateDataKey"], ["arn:aws:kms:eu-west-1:111122223333:key/k"], [["sqs.eu-west-1.amazonaws.com"]]],
    ])
    error_message = "The schedule cannot send, or may do more."
  }

  assert {
    condition = jsonencode({
      for statement in data.aws_iam_policy_document.key[0].statement :
      statement.sid => { who = one(one(statement.principals).identifiers), actions = statement.actions } if statement.sid == "TaskStates"
    }) == jsonencode({ TaskStates = { who = "events.amazonaws.com", actions = ["kms:Decrypt", "kms:GenerateDataKey"] } })
    error_message = "The key would refuse the events."
  }

  assert {
    condition = contains(
      flatten([for statement in data.aws_iam_policy_document.key[0].statement : one(statement.condition).values if statement.sid == "EncryptLogs"]),
      "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/ecs_registry",
    )
    error_message = "The log of the function cannot use the key."
  }
}

run "every_cluster_can_be_registered" {
  command = apply

  variables {
    registry     = { clusters = ["*"] }
    cluster_arns = ["arn:aws:ecs:eu-west-1:111122223333:cluster/prod-*"]
  }

  assert {
    condition = jsonencode(jsondecode(aws_cloudwatch_event_rule.registry[0].event_pattern).detail.clusterArn) == jsonencode([
      { prefix = "arn:aws:ecs:eu-west-1:111122223333:cluster/" }
    ])
    error_message = "The events of some clusters are missing, or those of other accounts arrive."
  }

  assert {
    condition = distinct(flatten([
      for statement in data.aws_iam_policy_document.function["registry"].statement : [for condition in coalesce(statement.condition, []) : condition.values]
    ])) == tolist(["arn:aws:ecs:eu-west-1:111122223333:cluster/prod-*"])
    error_message = "The function may read clusters that the other functions may not."
  }
}

run "a_daemon_keeps_the_registry_without_functions" {
  command = apply

  variables {
    create_functions   = false
    subnet_ids         = []
    security_group_ids = []
    worker_role_arns   = ["arn:aws:iam::111122223333:role/daemon"]
  }

  # It requests sweeps by itself.
  assert {
    condition     = length(aws_scheduler_schedule.sweep) + length(aws_iam_role.sweep) == 0 && length(aws_cloudwatch_event_rule.registry) == 1
    error_message = "There is a schedule that nothing needs, or no rule."
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.queue["registry"].statement :
      one([for condition in statement.condition : condition.values if condition.variable == "aws:PrincipalArn"])
      if statement.sid == "OnlyFromRuleAndOwnRoles"
    ] == [tolist(["arn:aws:iam::111122223333:role/daemon"])]
    error_message = "The daemon is refused, or others are not."
  }

  assert {
    condition     = aws_sqs_queue.this["registry"].visibility_timeout_seconds == 60 && output.registry_settings["NOTIFIER_REGISTRY_QUEUE_URL"] == "https://sqs/registry"
    error_message = "The daemon waits too long after a crash, or does not find the queue."
  }
}

run "redrivers_and_people_reach_its_dead_letters" {
  command = apply

  variables {
    redriver_arns = ["arn:aws:iam::111122223333:role/operator"]
  }

  assert {
    condition = contains(
      one([for statement in data.aws_iam_policy_document.queue["registry"].statement : one([for condition in statement.condition : condition.values if condition.variable == "aws:PrincipalArn"]) if statement.sid == "OnlyFromRuleAndOwnRoles"]),
      "arn:aws:iam::111122223333:role/operator",
    )
    error_message = "Nobody can send back a dead letter of the registry."
  }

  assert {
    condition = alltrue([
      for sid, arn in {
        SendBack          = "arn:aws:sqs:eu-west-1:111122223333:registry"
        DeleteDeadLetters = "arn:aws:sqs:eu-west-1:111122223333:registry_dead_letters"
        ReadDeadLetters   = "arn:aws:sqs:eu-west-1:111122223333:registry_dead_letters"
      } : contains(flatten([for statement in data.aws_iam_policy_document.people["redrive"].statement : statement.resources if statement.sid == sid]), arn)
    ])
    error_message = "The policy `redrive` does not include the registry."
  }

  assert {
    condition     = strcontains(output.environment_file, "export NOTIFIER_REGISTRY_QUEUE_URL='https://sqs/registry'\n")
    error_message = "`redrive --stage registry` does not find the queue."
  }
}

run "alarms_and_dashboard_include_it" {
  command = plan

  assert {
    condition = (
      contains(keys(aws_cloudwatch_metric_alarm.dead_letters), "registry") && contains(keys(aws_cloudwatch_metric_alarm.unread), "registry") &&
      contains(keys(aws_cloudwatch_metric_alarm.errors), "registry") && contains(keys(aws_cloudwatch_metric_alarm.throttles), "registry") &&
      aws_cloudwatch_metric_alarm.age["registry"].threshold == 900
    )
    error_message = "A registry that is not kept alarms nobody."
  }

  # While many tasks start and stop, its queue is never empty.
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.retries) == ["notify", "services", "tasks"]
    error_message = "A busy queue would trigger the alarm on retries."
  }

  assert {
    condition = {
      for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget.properties.title => "${widget.x} ${widget.y}"
      if startswith(widget.properties.title, "registry: ")
      } == {
      "registry: waiting, in flight, dead"       = "0 30"
      "registry: age of the oldest message (s)"  = "8 30"
      "registry: invocations, errors, throttles" = "16 30"
      "registry: duration (ms)"                  = "0 36"
    }
    error_message = "The dashboard does not show the registry, or shows it over another widget."
  }

  assert {
    condition = length(distinct([
      for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : "${widget.x} ${widget.y}"
    ])) == length(jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets)
    error_message = "One widget hides another."
  }
}

run "names_have_prefix_and_suffix_and_fit" {
  command = plan

  variables {
    name_prefix = "a2345678901-"
    name_suffix = "-2345678"
  }

  override_data {
    target = data.aws_region.current
    values = { region = "us-isof-south-1" }
  }

  assert {
    condition = alltrue([
      for name in [
        aws_cloudwatch_event_rule.registry[0].name, aws_scheduler_schedule.sweep[0].name, aws_iam_role.sweep[0].name,
        aws_iam_role.function["registry"].name, aws_lambda_function.this["registry"].function_name,
      ] : length(name) <= 64 && startswith(name, "a2345678901-") && strcontains(name, "-2345678")
    ])
    error_message = "AWS would refuse a name, or two stacks would have the same."
  }
}

run "its_function_can_be_in_the_vpc_and_have_other_values" {
  command = plan

  variables {
    discovery_in_vpc = true
    stages           = { registry = { concurrency_max = 8, timeout_s = 600, visibility_s = 3600 } }
  }

  assert {
    condition = (
      length(aws_lambda_function.this["registry"].vpc_config) == 1 && aws_lambda_function.this["registry"].timeout == 600 &&
      aws_lambda_event_source_mapping.this["registry"].scaling_config[0].maximum_concurrency == 8
    )
    error_message = "The function is outside the VPC, or `stages` does not apply to it."
  }
}

run "it_needs_the_ledger" {
  command = plan

  variables {
    create_ledger = false
  }

  expect_failures = [aws_cloudwatch_event_rule.registry]
}

run "it_needs_the_shared_budget" {
  command = plan

  variables {
    environment = { NOTIFIER_AWS_BUDGET_SHARED = "false" }
  }

  expect_failures = [aws_cloudwatch_event_rule.registry]
}

run "a_pattern_that_eventbridge_refuses_is_refused" {
  command = plan

  variables {
    registry = { clusters = [for n in range(50) : "cluster-${n}"] }
  }

  expect_failures = [aws_cloudwatch_event_rule.registry]
}

run "wrong_clusters_are_refused_by_name" {
  command = plan

  variables {
    registry = { clusters = ["prod", "pro*"] }
  }

  expect_failures = [var.registry]
}

run "no_cluster_is_refused" {
  command = plan

  variables {
    registry = { clusters = [] }
  }

  expect_failures = [var.registry]
}

run "a_wrong_interval_is_refused" {
  command = plan

  variables {
    registry = { clusters = ["prod"], sweep_minutes = 0.5 }
  }

  expect_failures = [var.registry]
}
