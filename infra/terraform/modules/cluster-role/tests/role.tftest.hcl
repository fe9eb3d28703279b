# The role for another account, read from the statements of its policies, with a mocked provider.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  principal_arns = [
    "arn:aws:iam::999900001111:role/ecs_service_discovery_eu-west-1",
    "arn:aws:iam::999900001111:role/ecs_service_task_notify_eu-west-1",
  ]
  external_id = "acme"
}

run "only_the_notifier_with_its_external_id_may_assume_the_role" {
  command = apply

  assert {
    condition = jsonencode([
      for statement in data.aws_iam_policy_document.assume[0].statement : {
        actions = statement.actions
        who     = one(statement.principals).identifiers
        only    = { for condition in statement.condition : "${condition.test} ${condition.variable}" => condition.values }
      }
      ]) == jsonencode([{
        actions = ["sts:AssumeRole"]
        who     = ["arn:aws:iam::999900001111:root"]
        only = {
          "ArnEquals aws:PrincipalArn"  = var.principal_arns
          "StringEquals sts:ExternalId" = ["acme"]
        }
    }])
    error_message = "Somebody else may assume the role, or the notifier may not."
  }
}

run "the_role_reads_what_discovery_reads_and_no_more" {
  command = apply

  assert {
    condition = sort(distinct(flatten([for statement in data.aws_iam_policy_document.discovery[0].statement : statement.actions]))) == sort(distinct(flatten([
      for stage in jsondecode(file("../../stages.json")) : stage.actions
    ])))
    error_message = "The role allows more or less than discovery needs."
  }

  assert {
    condition = {
      for statement in data.aws_iam_policy_document.discovery[0].statement : statement.sid => sort(statement.resources)
      if !contains(statement.resources, "*")
      } == {
      EcsDescribeClusters           = tolist(["arn:aws:ecs:eu-west-1:111122223333:cluster/*"])
      EcsDescribeContainerInstances = tolist(["arn:aws:ecs:eu-west-1:111122223333:container-instance/*"])
      EcsDescribeServices           = tolist(["arn:aws:ecs:eu-west-1:111122223333:service/*"])
      EcsDescribeTasks              = tolist(["arn:aws:ecs:eu-west-1:111122223333:task/*"])
    }
    error_message = "The role allows all resources, although its actions support narrower ones."
  }
}

run "regions_and_clusters_can_be_named" {
  command = apply

  variables {
    regions      = ["eu-west-1", "eu-central-1"]
    cluster_arns = ["arn:aws:ecs:*:111122223333:cluster/prod"]
    anywhere     = true
  }

  assert {
    condition = alltrue([
      for statement in data.aws_iam_policy_document.discovery[0].statement :
      one([for condition in statement.condition : "${condition.test} ${condition.variable} ${one(condition.values)}"]) ==
      "ArnLike ecs:cluster arn:aws:ecs:*:111122223333:cluster/prod"
      if contains(["EcsListServices", "EcsDescribeServices", "EcsListTasks", "EcsDescribeTasks", "EcsDescribeContainerInstances"], statement.sid)
    ])
    error_message = "The role may read other clusters."
  }

  assert {
    condition = {
      for statement in data.aws_iam_policy_document.discovery[0].statement : statement.sid => sort(statement.resources)
      if contains(["EcsDescribeClusters", "EcsDescribeTasks", "SsmDescribeInstanceInformation"], statement.sid)
      } == {
      EcsDescribeClusters            = tolist(["arn:aws:ecs:*:111122223333:cluster/prod"])
      EcsDescribeTasks               = tolist(["arn:aws:ecs:eu-central-1:111122223333:task/*", "arn:aws:ecs:eu-west-1:111122223333:task/*"])
      SsmDescribeInstanceInformation = tolist(["*"])
    }
    error_message = "A region is missing, or hosts outside AWS cannot be looked up."
  }
}

run "the_external_id_is_optional" {
  command = apply

  variables {
    external_id = null
  }

  assert {
    condition     = [for condition in data.aws_iam_policy_document.assume[0].statement[0].condition : condition.variable] == ["aws:PrincipalArn"]
    error_message = "The role requires an external id that the notifier does not have."
  }
}

run "create_false_creates_nothing" {
  command = plan

  variables {
    create = false
  }

  assert {
    condition     = length(aws_iam_role.this) == 0 && length(aws_iam_role_policy.this) == 0 && output.role_arn == null
    error_message = "The role is created despite create = false."
  }
}

run "wrong_values_are_refused_by_name" {
  command = plan

  variables {
    name           = "a b"
    principal_arns = ["arn:aws:iam::999900001111:role/*"]
    external_id    = "a"
    cluster_arns   = ["prod"]
  }

  expect_failures = [var.name, var.principal_arns, var.external_id, var.cluster_arns]
}
