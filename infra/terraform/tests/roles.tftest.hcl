# The permissions of the roles, read from the statements of their policies. The provider is mocked: apply makes no calls.

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

run "each_role_has_the_actions_of_its_stage_and_no_more" {
  command = apply

  assert {
    condition = {
      for stage, document in data.aws_iam_policy_document.function : stage => sort(distinct(flatten([
        for statement in document.statement : statement.actions
        if statement.effect != "Deny" && statement.sid != "JoinVpc"
      ])))
      } == {
      for stage, settings in jsondecode(file("stages.json")) : stage => sort(concat(settings.actions, settings.ledger_actions, [
        "logs:CreateLogStream", "logs:PutLogEvents", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage",
        "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:SendMessage",
      ]))
    }
    error_message = "A role allows more or less than its stage needs."
  }
}

run "without_a_ledger_no_role_may_use_a_table" {
  command = apply

  variables {
    create_ledger = false
  }

  assert {
    condition = alltrue(flatten([
      for document in data.aws_iam_policy_document.function : [
        for statement in document.statement : [for action in statement.actions : !startswith(action, "dynamodb:")]
      ]
    ]))
    error_message = "A role allows actions that are not needed."
  }
}

run "only_the_second_stage_reads_alarms_and_only_if_asked" {
  command = apply

  variables {
    stop_on_alarms = true
  }

  assert {
    condition = {
      for stage, document in data.aws_iam_policy_document.function : stage => [
        for statement in document.statement : one(statement.resources) if contains(statement.actions, "cloudwatch:DescribeAlarms")
      ]
    } == { services = [], tasks = ["*"], notify = [] }
    error_message = "Broadcasts with --stop-on-alarm stop at once, or another stage reads alarms."
  }

  assert {
    condition     = !contains(output.discovery_actions, "cloudwatch:DescribeAlarms")
    error_message = "The roles of other accounts read alarms, which belong to this account."
  }
}

run "the_ledger_is_the_only_table" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for document in data.aws_iam_policy_document.function : [
        for statement in document.statement :
        statement.resources == toset(["arn:aws:dynamodb:eu-west-1:111122223333:table/ledger"])
        if statement.sid == "KeepLedger"
      ]
    ]))
    error_message = "A role may use other tables."
  }
}

run "all_resources_are_allowed_only_if_the_action_supports_none" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for document in data.aws_iam_policy_document.function : [
        for statement in document.statement :
        contains(["EcsListClusters", "EcsListServices", "EcsListTasks", "EcsDescribeTaskDefinition", "Ec2DescribeInstances", "JoinVpc", "DenyVpcActionsToCode"], statement.sid)
        if contains(statement.resources, "*")
      ]
    ]))
    error_message = "A statement allows all resources, although its action supports narrower ones."
  }
}

run "list_tasks_is_allowed_in_the_form_that_aws_checks" {
  command = apply

  variables {
    cluster_arns = ["arn:aws:ecs:eu-west-1:111122223333:cluster/prod"]
  }

  # AWS answers "not authorized to perform: ecs:ListTasks on resource: *" if only container instances are allowed.
  assert {
    condition = [
      for statement in data.aws_iam_policy_document.function["tasks"].statement :
      [one(statement.resources), one(statement.condition).variable, one(one(statement.condition).values)]
      if contains(statement.actions, "ecs:ListTasks")
    ] == [["*", "ecs:cluster", "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"]]
    error_message = "Stage 2 is refused, or may list the tasks of other clusters."
  }
}

run "the_code_of_a_function_may_not_change_its_network" {
  command = apply

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.function["notify"].statement :
      one(one(statement.condition).values) if statement.sid == "DenyVpcActionsToCode"
    ] == ["arn:aws:lambda:eu-west-1:111122223333:function:ecs_service_task_notify"]
    error_message = "The code of the notify function may create network interfaces."
  }
}

run "clusters_can_be_limited" {
  command = apply

  variables {
    cluster_arns = ["arn:aws:ecs:eu-west-1:111122223333:cluster/prod"]
  }

  assert {
    condition = alltrue(flatten([
      for document in data.aws_iam_policy_document.function : [
        for statement in document.statement :
        one(one(statement.condition).values) == "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"
        if contains(["EcsListServices", "EcsDescribeServices", "EcsListTasks", "EcsDescribeTasks", "EcsDescribeContainerInstances"], statement.sid)
      ]
    ]))
    error_message = "A stage may read other clusters."
  }
}

run "a_key_may_be_used" {
  command = apply

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/k"
  }

  assert {
    condition = alltrue([
      for document in data.aws_iam_policy_document.function : anytrue([
        for statement in document.statement :
        statement.sid == "UseKey" && one(statement.resources) == "arn:aws:kms:eu-west-1:111122223333:key/k"
      ])
    ])
    error_message = "A function cannot read its encrypted queue."
  }

  assert {
    condition = alltrue([
      for document in data.aws_iam_policy_document.function : jsonencode([
        for statement in document.statement : [statement.actions, one(statement.condition).variable, one(statement.condition).values]
        if statement.sid == "UseKeyForLedger"
        ]) == jsonencode([[
          ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
          "kms:ViaService", ["dynamodb.eu-west-1.amazonaws.com"],
      ]])
    ])
    error_message = "DynamoDB cannot use the key for a function, or the function can use it for more than the ledger."
  }
}

run "without_a_ledger_nobody_uses_the_key_for_one" {
  command = apply

  variables {
    kms_key_arn   = "arn:aws:kms:eu-west-1:111122223333:key/k"
    create_ledger = false
  }

  assert {
    condition = !anytrue(flatten([
      for document in data.aws_iam_policy_document.function : [for statement in document.statement : statement.sid == "UseKeyForLedger"]
    ]))
    error_message = "A role may create grants for a table that does not exist."
  }
}

run "notify_may_read_its_other_secrets" {
  command = apply

  variables {
    secret_arns = [
      "arn:aws:secretsmanager:eu-west-1:111122223333:secret:notifier-authority-AbCdEf",
      "arn:aws:ssm:eu-west-1:111122223333:parameter/notifier/headers",
    ]
    secret_kms_key_arns = ["arn:aws:kms:eu-west-1:111122223333:key/s"]
  }

  assert {
    condition = {
      for stage, document in data.aws_iam_policy_document.function : stage => [
        for statement in document.statement : "${one(statement.actions)} ${one(statement.resources)}"
        if contains(["ReadSecrets", "ReadParameters", "DecryptSecrets"], statement.sid)
      ]
      } == {
      services = []
      tasks    = []
      notify = [
        "ssm:GetParameter arn:aws:ssm:eu-west-1:111122223333:parameter/notifier/headers",
        "secretsmanager:GetSecretValue arn:aws:secretsmanager:eu-west-1:111122223333:secret:notifier-authority-AbCdEf",
        "kms:Decrypt arn:aws:kms:eu-west-1:111122223333:key/s",
      ]
    }
    error_message = "The notify function cannot read a certificate or header secret, or another function can."
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.function["notify"].statement : join(" ", one(statement.condition).values)
      if statement.sid == "DecryptSecrets"
    ] == ["secretsmanager.eu-west-1.amazonaws.com ssm.eu-west-1.amazonaws.com"]
    error_message = "The function may decrypt data other than secrets."
  }
}

run "only_notify_may_read_the_signing_secret_and_nothing_else" {
  command = apply

  variables {
    unsigned                   = false
    signing_secret_arn         = "arn:aws:ssm:eu-west-1:111122223333:parameter/notifier"
    signing_secret_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/s"
  }

  assert {
    condition = {
      for stage, document in data.aws_iam_policy_document.function : stage => [
        for statement in document.statement : "${one(statement.actions)} ${one(statement.resources)}"
        if contains(["ReadSigningSecret", "DecryptSigningSecret"], statement.sid)
      ]
      } == {
      services = []
      tasks    = []
      notify = [
        "ssm:GetParameter arn:aws:ssm:eu-west-1:111122223333:parameter/notifier",
        "kms:Decrypt arn:aws:kms:eu-west-1:111122223333:key/s",
      ]
    }
    error_message = "A function may read other secrets, or notify may not read its keys."
  }
}
