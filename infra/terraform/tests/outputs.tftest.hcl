# Names and outputs, with a mocked provider.

mock_provider "aws" {
  source = "./tests/mocks"
}

override_resource {
  target = aws_sqs_queue.this["services"]
  values = { url = "https://sqs/observer", arn = "arn:aws:sqs:eu-west-1:111122223333:observer" }
}

override_resource {
  target = aws_sqs_queue.this["tasks"]
  values = { url = "https://sqs/services", arn = "arn:aws:sqs:eu-west-1:111122223333:services" }
}

override_resource {
  target = aws_sqs_queue.this["notify"]
  values = { url = "https://sqs/tasks", arn = "arn:aws:sqs:eu-west-1:111122223333:tasks" }
}

variables {
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  archives           = { files = "./tests/archives" }
  unsigned           = true
  create_alarms      = false
}

run "the_longest_names_fit" {
  command = plan

  variables {
    name_prefix = "a2345678901-"
    name_suffix = "-2345678"

    create_alarms      = true
    alarm_topic_arns   = ["arn:aws:sns:us-isof-south-1:111122223333:alarms"]
    keep_warm_schedule = "rate(1 day)"
  }

  # The region with the longest name.
  override_data {
    target = data.aws_region.current
    values = { region = "us-isof-south-1" }
  }

  assert {
    condition = alltrue(concat(
      [for it in aws_sqs_queue.this : length(it.name) <= 80],
      [for it in aws_sqs_queue.dead_letters : length(it.name) <= 80],
      [for it in aws_lambda_function.this : length(it.function_name) <= 64],
      [for it in concat(values(aws_iam_role.function), aws_iam_role.keep_warm) : length(it.name) <= 64],
      [for it in aws_scheduler_schedule.keep_warm : length(it.name) <= 64],
      [for it in concat(values(aws_cloudwatch_metric_alarm.dead_letters), values(aws_cloudwatch_metric_alarm.throttles)) : length(it.alarm_name) <= 255],
      [length(aws_s3_bucket.archives[0].bucket) <= 63, length(aws_dynamodb_table.ledger[0].name) <= 255],
    ))
    error_message = "AWS would refuse a name."
  }

  assert {
    condition     = can(regex("^a2345678901-ecs-task-notifier-lambdas-[0-9a-f]{12}-2345678$", aws_s3_bucket.archives[0].bucket))
    error_message = "The bucket's name is not recognisable, or is the same in another account or region."
  }
}

run "outputs_have_the_names_of_the_settings" {
  command = apply

  assert {
    condition = (
      output.observer_queue_url == "https://sqs/observer" &&
      output.services_queue_url == "https://sqs/services" &&
      output.tasks_queue_url == "https://sqs/tasks"
    )
    error_message = "`redrive` would read the queue of another stage."
  }

  assert {
    condition     = output.environment_file == <<-EOT
      export AWS_REGION='eu-west-1'
      export NOTIFIER_LEDGER='dynamodb:ecs-task-notifier'
      export NOTIFIER_OBSERVER_QUEUE_URL='https://sqs/observer'
      export NOTIFIER_SERVICES_QUEUE_URL='https://sqs/services'
      export NOTIFIER_TASKS_QUEUE_URL='https://sqs/tasks'
    EOT
    error_message = "A setting is missing or wrong in the file for the shell."
  }
}

run "policies_for_people_allow_only_what_the_command_needs" {
  command = apply

  assert {
    condition = jsonencode({
      for task, document in data.aws_iam_policy_document.people : task => {
        for statement in document.statement : statement.sid => sort(statement.actions)
        if !contains(["Ec2", "Ecs"], substr(statement.sid, 0, 3))
      }
      }) == jsonencode({
      cancel = {
        UseLedger = ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:Query"]
      }
      plan = {}
      publish = {
        FindDeadLetters = ["sqs:GetQueueAttributes"]
        ReadDeadLetters = ["sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
        Publish         = ["sqs:GetQueueUrl", "sqs:SendMessage"]
        UseLedger       = ["dynamodb:BatchGetItem", "dynamodb:Query"]
      }
      redrive = {
        FindDeadLetters   = ["sqs:GetQueueAttributes"]
        ReadDeadLetters   = ["sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
        SendBack          = ["sqs:SendMessage"]
        DeleteDeadLetters = ["sqs:DeleteMessage"]
        UseLedger         = ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:Query"]
      }
      report = {
        FindDeadLetters = ["sqs:GetQueueAttributes"]
        ReadDeadLetters = ["sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
        UseLedger       = ["dynamodb:BatchGetItem", "dynamodb:Query"]
      }
    })
    error_message = "A policy for people allows more or less than the command needs."
  }

  assert {
    condition = {
      for task, document in data.aws_iam_policy_document.people : task => sort(flatten([
        for statement in document.statement : statement.actions if contains(["Ec2", "Ecs"], substr(statement.sid, 0, 3))
      ])) if task == "plan"
    } == { plan = output.discovery_actions }
    error_message = "The policy `plan` allows more or less than the command needs."
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.people["publish"].statement : one(statement.resources) if statement.sid == "Publish"
    ] == ["arn:aws:sqs:eu-west-1:111122223333:observer"]
    error_message = "The policy `publish` allows sending to another queue."
  }
}

run "people_use_the_key_only_through_the_service_that_needs_it" {
  command = apply

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/k"
  }

  assert {
    condition = jsonencode({
      for task, document in data.aws_iam_policy_document.people : task => [
        for statement in document.statement : "${statement.sid} ${one(one(statement.condition).values)}"
        if startswith(statement.sid, "UseKey")
      ]
      }) == jsonencode({
      cancel  = ["UseKeyForLedger dynamodb.eu-west-1.amazonaws.com"]
      plan    = []
      publish = ["UseKeyForQueues sqs.eu-west-1.amazonaws.com", "UseKeyForLedger dynamodb.eu-west-1.amazonaws.com"]
      redrive = ["UseKeyForQueues sqs.eu-west-1.amazonaws.com", "UseKeyForLedger dynamodb.eu-west-1.amazonaws.com"]
      report  = ["UseKeyForQueues sqs.eu-west-1.amazonaws.com", "UseKeyForLedger dynamodb.eu-west-1.amazonaws.com"]
    })
    error_message = "A person cannot read encrypted messages or items, or may decrypt other data."
  }
}
