# What the roles allow. The policies are rendered by the provider, which calls nobody for it.

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "111122223333" }
}

# A plan does not know ARNs yet.
override_resource {
  target          = aws_sqs_queue.this
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-west-1:111122223333:queue", url = "https://queue" }
}

override_resource {
  target          = aws_sqs_queue.dead_letters
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-west-1:111122223333:dead", url = "https://dead" }
}

override_resource {
  target          = aws_cloudwatch_log_group.function
  override_during = plan
  values          = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:group" }
}

variables {
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  archives_dir       = "./tests/archives"
}

run "each_role_has_the_actions_of_its_stage_and_no_more" {
  command = plan

  assert {
    condition = {
      for stage, document in data.aws_iam_policy_document.function : stage => sort(distinct(flatten([
        for statement in jsondecode(document.json).Statement : statement.Action
        if statement.Effect == "Allow" && statement.Sid != "JoinVpc"
      ])))
      } == {
      for stage, settings in jsondecode(file("stages.json")) : stage => sort(concat(settings.actions, [
        "logs:CreateLogStream", "logs:PutLogEvents", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage",
        "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:SendMessage",
      ]))
    }
    error_message = "A role allows more or less than its stage calls."
  }
}

run "everything_is_allowed_only_where_aws_knows_no_resource" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for document in data.aws_iam_policy_document.function : [
        for statement in jsondecode(document.json).Statement :
        contains(["EcsListServices", "EcsDescribeTaskDefinition", "Ec2DescribeInstances", "JoinVpc", "CodeLeavesVpcAlone"], statement.Sid)
        if statement.Resource == "*"
      ]
    ]))
    error_message = "A statement could name its resources."
  }
}

run "no_function_joins_the_vpc_by_its_own_code" {
  command = plan

  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.function["notify"].json).Statement :
      statement.Condition.ArnEquals["lambda:SourceFunctionArn"] if statement.Sid == "CodeLeavesVpcAlone"
    ] == ["arn:aws:lambda:eu-west-1:111122223333:function:ecs_service_task_notify"]
    error_message = "The code of the notify function may create network interfaces."
  }
}

run "clusters_can_be_named" {
  command = plan

  variables {
    cluster_arns = ["arn:aws:ecs:eu-west-1:111122223333:cluster/prod"]
  }

  assert {
    condition = alltrue(flatten([
      for document in data.aws_iam_policy_document.function : [
        for statement in jsondecode(document.json).Statement :
        statement.Condition.ArnLike["ecs:cluster"] == "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"
        if contains(["EcsListServices", "EcsDescribeServices", "EcsListTasks", "EcsDescribeTasks", "EcsDescribeContainerInstances"], statement.Sid)
      ]
    ]))
    error_message = "A stage may look into other clusters."
  }
}

run "a_key_may_be_used" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/k"
  }

  assert {
    condition = alltrue([
      for document in data.aws_iam_policy_document.function : anytrue([
        for statement in jsondecode(document.json).Statement :
        statement.Sid == "UseKey" && statement.Resource == "arn:aws:kms:eu-west-1:111122223333:key/k"
      ])
    ])
    error_message = "A function cannot read its encrypted queue."
  }
}
