# Routing rules, other accounts and regions, hosts outside AWS. With a mocked provider.

mock_provider "aws" {
  source = "./tests/mocks"
}

override_resource {
  target = aws_sqs_queue.this["services"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:observer" }
}

override_resource {
  target = aws_sqs_queue.this["tasks"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:services" }
}

override_resource {
  target = aws_sqs_queue.this["notify"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:tasks" }
}

override_resource {
  target = aws_sqs_queue.dead_letters["services"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:observer_dead_letters" }
}

variables {
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  archives           = { files = "./tests/archives" }
  unsigned           = true
}

run "each_stage_may_send_to_the_next_and_the_first_two_to_their_own_queues" {
  command = apply

  assert {
    condition = jsonencode({
      for stage, document in data.aws_iam_policy_document.function : stage => sort(flatten([
        for statement in document.statement : statement.resources if contains(statement.actions, "sqs:SendMessage") && statement.sid != "SendDeadLetters"
      ]))
      }) == jsonencode({
      services = ["arn:aws:sqs:eu-west-1:111122223333:observer", "arn:aws:sqs:eu-west-1:111122223333:services"]
      tasks    = ["arn:aws:sqs:eu-west-1:111122223333:services", "arn:aws:sqs:eu-west-1:111122223333:tasks"]
      notify   = []
    })
    error_message = "The first stage cannot publish the parts of a message, the second cannot return one that waits for its time, or a stage may send to another queue."
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.function["services"].statement : one(statement.resources) if statement.sid == "SendDeadLetters"
    ] == ["arn:aws:sqs:eu-west-1:111122223333:observer_dead_letters"]
    error_message = "The first stage cannot write the dead letter of a single record."
  }

  assert {
    condition = {
      for statement in data.aws_iam_policy_document.function["services"].statement : statement.sid => one(statement.resources)
      if contains(["EcsListClusters", "EcsDescribeClusters"], statement.sid)
    } == { EcsListClusters = "*", EcsDescribeClusters = "arn:aws:ecs:eu-west-1:111122223333:cluster/*" }
    error_message = "The first stage cannot find every cluster."
  }

  assert {
    condition = !anytrue(flatten([
      for function in aws_lambda_function.this : [
        for name in keys(function.environment[0].variables) :
        contains(["NOTIFIER_ROUTES", "NOTIFIER_ROLES", "NOTIFIER_ROLE_EXTERNAL_ID", "NOTIFIER_ANYWHERE"], name)
      ]
      ])) && !anytrue(flatten([
      for document in data.aws_iam_policy_document.function : [for statement in document.statement : length(setintersection(statement.actions, ["sts:AssumeRole", "ssm:GetParameter", "ssm:DescribeInstanceInformation"])) > 0]
    ]))
    error_message = "A function has settings or permissions that nobody asked for."
  }
}

run "only_the_first_stage_reads_the_rules" {
  command = apply

  variables {
    name_prefix = "blue-"
    routes      = "[[route]]\nname = \"all\"\n"
  }

  assert {
    condition = (
      aws_ssm_parameter.routes[0].name == "/blue-ecs-task-notifier/routes" && aws_ssm_parameter.routes[0].type == "String" &&
      aws_ssm_parameter.routes[0].tier == "Standard" && aws_ssm_parameter.routes[0].value == var.routes
    )
    error_message = "The parameter does not contain the rules, or costs something."
  }

  assert {
    condition = { for stage, function in aws_lambda_function.this : stage => lookup(function.environment[0].variables, "NOTIFIER_ROUTES", "not set") } == {
      services = "ssm:/blue-ecs-task-notifier/routes"
      tasks    = "not set"
      notify   = "not set"
    }
    error_message = "The first stage does not know the rules, or another stage does."
  }

  assert {
    condition = {
      for stage, document in data.aws_iam_policy_document.function : stage => [
        for statement in document.statement : "${one(statement.actions)} ${one(statement.resources)}" if statement.sid == "ReadRoutes"
      ]
      } == {
      services = ["ssm:GetParameter arn:aws:ssm:eu-west-1:111122223333:parameter/blue-ecs-task-notifier/routes"]
      tasks    = []
      notify   = []
    }
    error_message = "The first stage cannot read the rules, or may read other parameters."
  }

  assert {
    condition     = output.routes == "ssm:/blue-ecs-task-notifier/routes"
    error_message = "A daemon cannot find the rules."
  }
}

run "long_rules_need_an_advanced_parameter" {
  command = plan

  # 4,096 characters, and one byte more, because an umlaut has two.
  variables {
    routes = join("", ["[[route]]\n# ", join("", [for page in range(4) : join("", [for number in range(1020) : "x"])]), "xxxä"])
  }

  assert {
    condition     = length(var.routes) == 4096 && aws_ssm_parameter.routes[0].tier == "Advanced"
    error_message = "AWS refuses a standard parameter of more than 4,096 bytes."
  }
}

run "short_rules_need_none" {
  command = plan

  variables {
    routes = join("", ["[[route]]\n# ", join("", [for page in range(4) : join("", [for number in range(1021) : "x"])])])
  }

  assert {
    condition     = length(var.routes) == 4096 && aws_ssm_parameter.routes[0].tier == "Standard"
    error_message = "A standard parameter of 4,096 bytes suffices, and costs nothing."
  }
}

run "the_longest_rules_are_accepted" {
  command = plan

  variables {
    routes = join("", ["[[route]]\n# ", join("", [for page in range(8) : join("", [for number in range(1022) : "x"])]), "xxxx"])
  }

  assert {
    condition     = length(var.routes) == 8192
    error_message = "The test has the wrong length."
  }
}

run "rules_too_long_for_a_parameter_are_refused" {
  command = plan

  variables {
    routes = join("", ["[[route]]\n# ", join("", [for page in range(8) : join("", [for number in range(1022) : "x"])]), "xxxä"])
  }

  expect_failures = [var.routes]
}

run "the_name_of_a_file_is_no_rule" {
  command = plan

  variables {
    routes           = "routes.toml"
    routes_parameter = "ssm:/notifier/routes"
  }

  expect_failures = [var.routes, var.routes_parameter]
}

run "rules_may_be_in_an_existing_parameter" {
  command = apply

  variables {
    routes_parameter = "/notifier/routes"
  }

  assert {
    condition = length(aws_ssm_parameter.routes) == 0 && aws_lambda_function.this["services"].environment[0].variables["NOTIFIER_ROUTES"] == "ssm:/notifier/routes" && [
      for statement in data.aws_iam_policy_document.function["services"].statement : one(statement.resources) if statement.sid == "ReadRoutes"
    ] == ["arn:aws:ssm:eu-west-1:111122223333:parameter/notifier/routes"]
    error_message = "The first stage cannot read the existing parameter."
  }
}

run "an_existing_parameter_may_be_named_by_its_arn" {
  command = apply

  variables {
    routes_parameter = "arn:aws:ssm:eu-west-1:444455556666:parameter/notifier/routes"
  }

  assert {
    condition = aws_lambda_function.this["services"].environment[0].variables["NOTIFIER_ROUTES"] == "ssm:${var.routes_parameter}" && [
      for statement in data.aws_iam_policy_document.function["services"].statement : one(statement.resources) if statement.sid == "ReadRoutes"
    ] == [var.routes_parameter]
    error_message = "The first stage cannot read the existing parameter."
  }
}

run "two_sources_of_rules_are_refused" {
  command = plan

  variables {
    routes           = "[[route]]"
    routes_parameter = "/notifier/routes"
  }

  expect_failures = [aws_ssm_parameter.routes]
}

run "other_accounts_are_read_by_their_roles_alone" {
  command = apply

  variables {
    cluster_roles            = ["arn:aws:iam::444455556666:role/ecs-task-notifier", "arn:aws:iam::777788889999:role/ecs-task-notifier"]
    cluster_role_external_id = "acme"
  }

  assert {
    condition = alltrue([
      for document in concat(values(data.aws_iam_policy_document.function), [data.aws_iam_policy_document.people["plan"]]) : jsonencode([
        for statement in document.statement : [statement.actions, sort(statement.resources)] if contains(statement.actions, "sts:AssumeRole")
      ]) == jsonencode([[["sts:AssumeRole"], sort(var.cluster_roles)]])
    ])
    error_message = "A stage cannot assume the roles, or may assume others."
  }

  assert {
    condition = !anytrue(flatten([
      for person in ["publish", "report", "redrive", "cancel"] : [
        for statement in data.aws_iam_policy_document.people[person].statement : contains(statement.actions, "sts:AssumeRole")
      ]
    ]))
    error_message = "A person who does not look into clusters may assume the roles."
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.this : (
        function.environment[0].variables["NOTIFIER_ROLES"] == join(",", var.cluster_roles) &&
        function.environment[0].variables["NOTIFIER_ROLE_EXTERNAL_ID"] == "acme"
      )
    ])
    error_message = "A stage does not know the roles."
  }
}

run "one_role_for_each_account" {
  command = plan

  variables {
    cluster_roles   = ["arn:aws:iam::444455556666:role/a", "arn:aws:iam::444455556666:role/b"]
    cluster_regions = ["europe"]
  }

  expect_failures = [var.cluster_roles, var.cluster_regions]
}

run "wrong_roles_are_refused_by_name" {
  command = plan

  variables {
    cluster_roles            = ["arn:aws:iam::444455556666:role/*"]
    cluster_role_external_id = "a b"
  }

  expect_failures = [var.cluster_roles, var.cluster_role_external_id]
}

run "other_regions_of_the_account_must_be_named" {
  command = apply

  variables {
    cluster_regions = ["eu-central-1"]
  }

  assert {
    condition = alltrue(flatten([
      for document in data.aws_iam_policy_document.function : [
        for statement in document.statement : sort([for arn in statement.resources : element(split(":", arn), 3)]) == tolist(["eu-central-1", "eu-west-1"])
        if contains(["EcsDescribeClusters", "EcsDescribeServices", "EcsDescribeTasks", "EcsDescribeContainerInstances"], statement.sid)
      ]
    ]))
    error_message = "A stage may not read the clusters of the other region."
  }
}

run "clusters_can_be_limited_when_all_are_wanted" {
  command = apply

  variables {
    cluster_arns = ["arn:aws:ecs:eu-west-1:111122223333:cluster/prod"]
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.function["services"].statement : [one(statement.resources), length(coalesce(statement.condition, []))]
      if statement.sid == "EcsDescribeClusters"
    ] == [["arn:aws:ecs:eu-west-1:111122223333:cluster/prod", 0]]
    error_message = "The first stage may describe other clusters, or none: `ecs:cluster` does not apply to clusters."
  }
}

run "hosts_outside_aws_are_looked_up_where_instances_are" {
  command = apply

  variables {
    anywhere       = true
    allow_networks = ["192.168.0.0/16"]
  }

  assert {
    condition = {
      for stage, document in data.aws_iam_policy_document.function : stage => [
        for statement in document.statement : one(statement.resources) if contains(statement.actions, "ssm:DescribeInstanceInformation")
      ]
    } == { services = [], tasks = ["*"], notify = ["*"] }
    error_message = "A stage that looks up hosts may not, or another stage may."
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.environment[0].variables["NOTIFIER_ANYWHERE"] == "true"])
    error_message = "A stage skips the hosts."
  }

  assert {
    condition     = contains(output.discovery_actions, "ssm:DescribeInstanceInformation")
    error_message = "A daemon lacks the permission."
  }
}

run "hosts_outside_aws_need_named_networks" {
  command = plan

  variables {
    anywhere = true
  }

  expect_failures = [aws_lambda_function.this]
}

run "functions_in_a_vpc_without_nat_reach_the_services_that_they_need" {
  command = plan

  variables {
    cluster_roles        = ["arn:aws:iam::444455556666:role/ecs-task-notifier"]
    anywhere             = true
    allow_networks       = ["192.168.0.0/16"]
    create_vpc_endpoints = true
    vpc_id               = "vpc-1"
    route_table_ids      = ["rtb-1"]
  }

  assert {
    condition     = keys(aws_vpc_endpoint.this) == ["ec2", "ecs", "sqs", "ssm", "sts"]
    error_message = "The notify function cannot assume a role, or cannot look up a host outside AWS."
  }
}

run "the_rules_can_be_read_from_within_the_vpc" {
  command = plan

  variables {
    routes               = "[[route]]"
    discovery_in_vpc     = true
    create_vpc_endpoints = true
    vpc_id               = "vpc-1"
    route_table_ids      = ["rtb-1"]
  }

  assert {
    condition     = contains(keys(aws_vpc_endpoint.this), "ssm")
    error_message = "The first stage cannot read its rules."
  }
}
