# The allowed senders of each queue, read from the statements of the queues' policies, with a mocked provider.

mock_provider "aws" {
  source = "./tests/mocks"
}

# Mocked resources are all alike, so the roles of the stages get different values here.
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

variables {
  alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  archives           = { files = "./tests/archives" }
  unsigned           = true
}

run "only_its_stages_write_to_an_inner_queue" {
  command = apply

  assert {
    condition = jsonencode({
      for stage, document in data.aws_iam_policy_document.queue : stage => [
        for statement in document.statement : {
          effect  = statement.effect
          actions = statement.actions
          who     = one(one(statement.principals).identifiers)
          unless  = one([for condition in statement.condition : condition.values if condition.variable == "aws:PrincipalArn" && condition.test == "ArnNotLike"])
        } if statement.sid == "OnlyFromPreviousStage"
      ]
      }) == jsonencode({
      services = []
      tasks    = [{ effect = "Deny", actions = ["sqs:SendMessage"], who = "*", unless = ["arn:aws:iam::111122223333:role/services", "arn:aws:iam::111122223333:role/tasks"] }]
      notify   = [{ effect = "Deny", actions = ["sqs:SendMessage"], who = "*", unless = ["arn:aws:iam::111122223333:role/tasks"] }]
    })
    error_message = "Another sender may write to an inner queue, or the observer queue refuses senders."
  }

  assert {
    condition = jsonencode({
      for stage, document in data.aws_iam_policy_document.dead_letters : stage => [
        for statement in document.statement :
        one([for condition in statement.condition : condition.values if condition.variable == "aws:PrincipalArn" && condition.test == "ArnNotLike"])
        if statement.sid == "OnlyFromItsStage" && statement.effect == "Deny"
      ]
      }) == jsonencode({
      services = [["arn:aws:iam::111122223333:role/services"]]
      tasks    = [["arn:aws:iam::111122223333:role/tasks"]]
      notify   = [["arn:aws:iam::111122223333:role/notify"]]
    })
    error_message = "Another sender may write dead letters."
  }

  # SQS itself, which moves messages after the last receive, has no role.
  assert {
    condition = alltrue(flatten([
      for document in merge(data.aws_iam_policy_document.queue, { for stage, document in data.aws_iam_policy_document.dead_letters : "${stage}_dead_letters" => document }) : [
        for statement in document.statement : anytrue([
          for condition in statement.condition :
          condition.test == "Bool" && condition.variable == "aws:PrincipalIsAWSService" && contains(condition.values, "false")
        ])
        if contains(["OnlyFromPreviousStage", "OnlyFromItsStage"], statement.sid)
      ]
    ]))
    error_message = "SQS's own redrive is refused."
  }

  assert {
    condition = jsonencode({
      for stage, function in aws_lambda_function.this :
      stage => lookup(function.environment[0].variables, "NOTIFIER_TRUSTED_SENDERS", "not set")
      }) == jsonencode({
      services = "not set"
      tasks    = "AROASERVICES,AROATASKS"
      notify   = "AROANOTIFY,AROATASKS"
    })
    error_message = "A stage trusts the wrong senders, or does not trust the previous stage or itself."
  }
}

run "redrivers_and_daemons_can_be_named" {
  command = apply

  variables {
    worker_role_arns = ["arn:aws:iam::111122223333:role/daemon"]
    worker_role_ids  = ["AROADAEMON"]
    redriver_arns    = ["arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Operator_*"]
    redriver_ids     = ["AIDAPERSON"]
  }

  assert {
    condition = jsonencode([
      for statement in data.aws_iam_policy_document.queue["notify"].statement :
      one([for condition in statement.condition : condition.values if condition.variable == "aws:PrincipalArn"])
      if statement.sid == "OnlyFromPreviousStage"
      ]) == jsonencode([[
        "arn:aws:iam::111122223333:role/tasks",
        "arn:aws:iam::111122223333:role/daemon",
        "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Operator_*",
    ]])
    error_message = "A redriver or a daemon is refused."
  }

  assert {
    condition = jsonencode([
      for statement in data.aws_iam_policy_document.dead_letters["notify"].statement :
      one([for condition in statement.condition : condition.values if condition.variable == "aws:PrincipalArn"])
      if statement.sid == "OnlyFromItsStage"
    ]) == jsonencode([["arn:aws:iam::111122223333:role/notify", "arn:aws:iam::111122223333:role/daemon"]])
    error_message = "A daemon cannot write dead letters, or a redriver can."
  }

  assert {
    condition     = aws_lambda_function.this["notify"].environment[0].variables["NOTIFIER_TRUSTED_SENDERS"] == "AROANOTIFY,AROATASKS,AROADAEMON,AIDAPERSON"
    error_message = "The function does not trust the configured senders."
  }
}

run "without_functions_only_the_daemon_writes_to_inner_queues" {
  command = apply

  variables {
    create_functions   = false
    worker_role_arns   = ["arn:aws:iam::111122223333:role/daemon"]
    subnet_ids         = []
    security_group_ids = []
  }

  assert {
    condition = alltrue([
      for stage in ["tasks", "notify"] : [
        for statement in data.aws_iam_policy_document.queue[stage].statement :
        one([for condition in statement.condition : condition.values if condition.variable == "aws:PrincipalArn"])
        if statement.sid == "OnlyFromPreviousStage"
      ] == [tolist(["arn:aws:iam::111122223333:role/daemon"])]
    ])
    error_message = "The daemon is refused, or others are not."
  }
}

run "a_missing_worker_role_causes_a_warning" {
  command = plan

  variables {
    create_functions   = false
    subnet_ids         = []
    security_group_ids = []
  }

  expect_failures = [check.inner_queues_have_known_senders]
}

run "publishers_are_allowed_for_their_own_resources" {
  command = apply

  variables {
    publisher_arns = ["arn:aws:iam::444455556666:role/deploy"]
    publisher_services = [
      { service = "events.amazonaws.com", source_arns = ["arn:aws:events:eu-west-1:111122223333:rule/release"] },
      { service = "s3.amazonaws.com", source_arns = ["arn:aws:s3:::releases"], source_account = "444455556666" },
    ]
    publisher_policy_documents = ["{\"Version\":\"2012-10-17\",\"Statement\":[]}"]
  }

  assert {
    condition = jsonencode({
      for statement in data.aws_iam_policy_document.queue["services"].statement : statement.sid => {
        actions = statement.actions
        who     = one(one(statement.principals).identifiers)
        only    = { for condition in statement.condition : condition.variable => "${condition.test} ${one(condition.values)}" }
      } if statement.effect != "Deny"
      }) == jsonencode({
      Publishers = {
        actions = ["sqs:GetQueueUrl", "sqs:SendMessage"]
        who     = "arn:aws:iam::444455556666:role/deploy"
        only    = {}
      }
      PublisherService1 = {
        actions = ["sqs:SendMessage"]
        who     = "events.amazonaws.com"
        only = {
          "aws:SourceArn"     = "ArnLike arn:aws:events:eu-west-1:111122223333:rule/release"
          "aws:SourceAccount" = "StringEqualsIfExists 111122223333"
        }
      }
      PublisherService2 = {
        actions = ["sqs:SendMessage"]
        who     = "s3.amazonaws.com"
        only = {
          "aws:SourceArn"     = "ArnLike arn:aws:s3:::releases"
          "aws:SourceAccount" = "StringEquals 444455556666"
        }
      }
    })
    error_message = "A publisher is refused, or a service may publish for the resources of others."
  }

  assert {
    condition     = [for stage, document in data.aws_iam_policy_document.queue : stage if try(length(document.source_policy_documents), 0) > 0] == ["services"]
    error_message = "The documents of publishers are not in the observer queue's policy, or are in the policy of another queue."
  }

  assert {
    condition = alltrue([
      for stage in ["tasks", "notify"] : alltrue([for statement in data.aws_iam_policy_document.queue[stage].statement : statement.effect == "Deny"])
    ])
    error_message = "A publisher may write to an inner queue."
  }

  assert {
    condition = jsonencode({
      for statement in data.aws_iam_policy_document.key[0].statement :
      statement.sid => { who = one(one(statement.principals).identifiers), actions = statement.actions }
      if statement.sid != "EncryptLogs"
      }) == jsonencode({
      Publishers        = { who = "arn:aws:iam::444455556666:role/deploy", actions = ["kms:Decrypt", "kms:GenerateDataKey"] }
      PublisherService1 = { who = "events.amazonaws.com", actions = ["kms:Decrypt", "kms:GenerateDataKey"] }
      PublisherService2 = { who = "s3.amazonaws.com", actions = ["kms:Decrypt", "kms:GenerateDataKey"] }
    })
    error_message = "The key would refuse a publisher."
  }

  assert {
    condition = jsonencode([
      for statement in data.aws_iam_policy_document.key[0].statement : [one(one(statement.principals).identifiers), one(statement.condition).values]
      if statement.sid == "EncryptLogs"
      ]) == jsonencode([["logs.eu-west-1.amazonaws.com", [
        "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/ecs_service_task_notify",
        "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/ecs_service_discovery",
        "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/ecs_service_task_discovery",
        "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/ecs_table_stream",
    ]]])
    error_message = "CloudWatch Logs cannot use the key, or may use it for other logs."
  }
}

run "invalid_senders_are_refused_by_name" {
  command = plan

  variables {
    publisher_arns     = ["*"]
    publisher_services = [{ service = "sns.amazonaws.com", source_arns = ["*"] }]
    worker_role_arns   = ["arn:aws:sts::111122223333:assumed-role/daemon/session"]
    worker_role_ids    = ["AIDAPERSON"]
    redriver_arns      = ["*"]
    redriver_ids       = ["arn:aws:iam::111122223333:role/operator"]
  }

  expect_failures = [
    var.publisher_arns, var.publisher_services, var.worker_role_arns, var.worker_role_ids, var.redriver_arns, var.redriver_ids,
  ]
}
