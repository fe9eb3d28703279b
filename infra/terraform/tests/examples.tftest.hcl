# The examples, each planned on a mocked provider.

mock_provider "aws" {
  source = "./tests/mocks"

  override_data {
    target = data.aws_vpc.this
    values = {
      ipv6_cidr_block = "2001:db8::/56"
      cidr_block_associations = [
        { association_id = "a", cidr_block = "10.0.0.0/16", state = "associated" },
        { association_id = "b", cidr_block = "100.64.0.0/16", state = "associated" },
        { association_id = "c", cidr_block = "10.9.0.0/16", state = "disassociated" },
      ]
    }
  }
}

# The other account of `other-account`.
mock_provider "aws" {
  alias  = "shop"
  source = "./tests/mocks"
}

variables {
  vpc_id             = "vpc-1"
  subnet_ids         = ["subnet-1", "subnet-2"]
  signing_secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:notifier-AbCdEf"
}

run "functions_reach_every_network_of_the_vpc" {
  command = plan

  module {
    source = "./examples/complete"
  }

  variables {
    route_table_ids = ["rtb-1"]
    mail            = "oncall@example.com"
    ipv6            = true
    archives        = { files = "./tests/archives" }
  }

  assert {
    condition = toset(concat(
      [for rule in aws_vpc_security_group_egress_rule.ipv4 : "${rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}"],
      [for rule in aws_vpc_security_group_egress_rule.ipv6 : "${rule.cidr_ipv6} ${rule.from_port}-${rule.to_port}"],
    )) == toset(["10.0.0.0/16 1-65535", "100.64.0.0/16 1-65535", "2001:db8::/56 1-65535"])
    error_message = "The functions cannot reach tasks on some port or in some network."
  }
}

run "the_daemon_reads_only_its_clusters" {
  command = plan

  module {
    source = "./examples/ecs-daemon"
  }

  variables {
    cluster_arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"
    image       = "registry.example/ecs-task-notifier@sha256:0"

    alarm_topic_arns = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  }

  assert {
    condition = distinct([
      for statement in data.aws_iam_policy_document.daemon.statement :
      [for condition in statement.condition : "${condition.variable} ${join(",", condition.values)}"]
      if length(setintersection(statement.actions, ["ecs:DescribeServices", "ecs:DescribeTasks", "ecs:ListTasks"])) > 0
    ]) == tolist([["ecs:cluster ${var.cluster_arn}"]])
    error_message = "The daemon may read other clusters."
  }

  assert {
    condition     = one(aws_ecs_service.daemon.deployment_circuit_breaker).enable && one(aws_ecs_service.daemon.deployment_circuit_breaker).rollback
    error_message = "A deployment that does not become healthy is not rolled back."
  }

  assert {
    condition     = one(aws_ecs_task_definition.daemon.runtime_platform).cpu_architecture == "ARM64"
    error_message = "The daemon runs on the wrong processor."
  }
}

run "the_daemon_has_the_rules_and_the_roles" {
  command = apply

  module {
    source = "./examples/ecs-daemon"
  }

  variables {
    cluster_arn   = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"
    cluster_roles = ["arn:aws:iam::444455556666:role/ecs-task-notifier"]
    routes        = "[[route]]"
    image         = "registry.example/ecs-task-notifier@sha256:0"

    alarm_topic_arns = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  }

  assert {
    condition = {
      for it in jsondecode(aws_ecs_task_definition.daemon.container_definitions)[0].environment : it.name => it.value
      if contains(["NOTIFIER_ROLES", "NOTIFIER_ROUTES"], it.name)
      } == {
      NOTIFIER_ROLES  = "arn:aws:iam::444455556666:role/ecs-task-notifier"
      NOTIFIER_ROUTES = "ssm:/ecs-task-notifier/routes"
    }
    error_message = "The daemon does not know its rules or roles."
  }

  assert {
    condition = {
      for statement in data.aws_iam_policy_document.daemon.statement : statement.sid => sort(statement.resources)
      if contains(["AssumeClusterRoles", "ReadRoutes"], statement.sid)
      } == {
      AssumeClusterRoles = tolist(["arn:aws:iam::444455556666:role/ecs-task-notifier"])
      ReadRoutes         = tolist(["arn:aws:ssm:eu-west-1:111122223333:parameter/ecs-task-notifier/routes"])
    }
    error_message = "The daemon cannot read its rules or assume its roles."
  }

  # `ecs:cluster` does not apply to these: with the condition AWS would refuse them.
  assert {
    condition = alltrue([
      for statement in data.aws_iam_policy_document.daemon.statement : length(coalesce(statement.condition, [])) == 0
      if length(setintersection(statement.actions, ["ecs:ListClusters", "ecs:DescribeClusters"])) > 0
    ])
    error_message = "The daemon cannot find every cluster."
  }
}

run "the_page_is_private_and_only_reads" {
  command = apply

  module {
    source = "./examples/ecs-daemon"
  }

  variables {
    cluster_arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"
    image       = "registry.example/ecs-task-notifier@sha256:0"
    page = {
      token_secret_arn          = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:page-AbCdEf"
      client_security_group_ids = ["sg-balancer"]
      target_group_arn          = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/page/1"
      allowed_hosts             = ["notifier.example.com"]
    }

    alarm_topic_arns = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  }

  assert {
    condition = jsondecode(aws_ecs_task_definition.page[0].container_definitions)[0].command == [
      "page", "--listen", "0.0.0.0:8787", "--token-secret",
      "secretsmanager:arn:aws:secretsmanager:eu-west-1:111122223333:secret:page-AbCdEf",
      "--allowed-host", "notifier.example.com",
    ]
    error_message = "The page does not start as the variables say."
  }

  assert {
    condition = (
      one(aws_ecs_service.page[0].network_configuration).assign_public_ip != true &&
      [for rule in aws_vpc_security_group_ingress_rule.page : "${rule.referenced_security_group_id} ${rule.from_port}-${rule.to_port}"] == ["sg-balancer 8787-8787"] &&
      one(aws_ecs_service.page[0].load_balancer).container_port == 8787
    )
    error_message = "The page can be reached by others than the load balancer."
  }

  assert {
    condition = (
      keys(aws_iam_role_policy.page) == ["report"] &&
      [for it in jsondecode(aws_ecs_task_definition.page[0].container_definitions)[0].environment : it.name] == ["NOTIFIER_LEDGER"]
    )
    error_message = "The page may do more than read."
  }

  assert {
    condition     = data.aws_iam_policy_document.page_token[0].statement[0].resources == toset(["arn:aws:secretsmanager:eu-west-1:111122223333:secret:page-AbCdEf"])
    error_message = "The page may read more than its token."
  }
}

run "the_page_acts_only_if_allowed" {
  command = apply

  module {
    source = "./examples/ecs-daemon"
  }

  variables {
    cluster_arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"
    image       = "registry.example/ecs-task-notifier@sha256:0"
    page = {
      token_secret_arn          = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:page-AbCdEf"
      client_security_group_ids = ["sg-bastion"]
      allow_actions             = true
    }

    alarm_topic_arns = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  }

  assert {
    condition = (
      contains(jsondecode(aws_ecs_task_definition.page[0].container_definitions)[0].command, "--allow-actions") &&
      keys(aws_iam_role_policy.page) == ["cancel", "redrive", "report"] &&
      length(jsondecode(aws_ecs_task_definition.page[0].container_definitions)[0].environment) == 4
    )
    error_message = "The page cannot send dead letters back."
  }

  assert {
    condition     = length(aws_ecs_service.page[0].load_balancer) == 0
    error_message = "A load balancer is needed."
  }
}

run "the_examples_support_the_other_processor" {
  command = plan

  module {
    source = "./examples/ecs-daemon"
  }

  variables {
    cluster_arn  = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"
    image        = "registry.example/ecs-task-notifier@sha256:0"
    architecture = "x86_64"

    alarm_topic_arns = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  }

  assert {
    condition     = one(aws_ecs_task_definition.daemon.runtime_platform).cpu_architecture == "X86_64"
    error_message = "The variable does not set the processor."
  }
}

run "every_source_publishes_by_its_own_permission" {
  command = plan

  module {
    source = "./examples/sources"
  }

  variables {
    security_group_ids = ["sg-1"]
    archives           = { files = "./tests/archives" }
    alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  }

  assert {
    condition     = output.event_bus == "orders" && length(output.table_names) == 2
    error_message = "A source is missing."
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.stream_enabled])
    error_message = "A table has no stream."
  }
}

run "another_account_is_served_by_its_own_role" {
  command = plan

  module {
    source = "./examples/other-account"
  }

  providers = {
    aws      = aws
    aws.shop = aws.shop
  }

  variables {
    account            = "444455556666"
    role_arn           = "arn:aws:iam::444455556666:role/terraform"
    external_id        = "acme"
    security_group_ids = ["sg-1"]
    archives           = { files = "./tests/archives" }
    alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  }

  assert {
    condition     = one(one(data.aws_iam_policy_document.events_assume.statement).principals).identifiers == toset(["events.amazonaws.com"])
    error_message = "Somebody else than EventBridge may use the role of the rule."
  }
}

run "the_daemon_keeps_the_registry" {
  command = apply

  module {
    source = "./examples/ecs-daemon"
  }

  variables {
    cluster_arn       = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"
    registry_clusters = ["arn:aws:ecs:eu-west-1:111122223333:cluster/prod"]
    image             = "registry.example/ecs-task-notifier@sha256:0"

    alarm_topic_arns = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  }

  assert {
    condition = {
      for it in jsondecode(aws_ecs_task_definition.daemon.container_definitions)[0].environment : it.name => it.value
      if startswith(it.name, "NOTIFIER_REGISTRY_")
      } == {
      NOTIFIER_REGISTRY_CLUSTERS  = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod"
      NOTIFIER_REGISTRY_QUEUE_URL = module.notifier.registry_queue_url
      NOTIFIER_REGISTRY_SWEEP     = "10m"
    }
    error_message = "The daemon does not know the registry."
  }

  assert {
    condition = alltrue([
      for sid in ["ProcessQueues", "Publish", "SendDeadLetters"] : length(module.notifier.queue_arns) == 4 && anytrue([
        for statement in data.aws_iam_policy_document.daemon.statement :
        statement.sid == sid && contains(statement.resources, sid == "SendDeadLetters" ? module.notifier.dead_letter_queue_arns["registry"] : module.notifier.queue_arns["registry"])
      ])
    ])
    error_message = "The daemon cannot process the queue of events."
  }

  assert {
    condition     = length(output.queue_names) == 3
    error_message = "Events of tasks count as messages of broadcasts."
  }
}

run "the_complete_example_can_have_the_registry" {
  command = plan

  module {
    source = "./examples/complete"
  }

  variables {
    route_table_ids   = ["rtb-1"]
    mail              = "oncall@example.com"
    archives          = { files = "./tests/archives" }
    registry_clusters = ["prod"]
  }

  assert {
    condition     = toset(keys(module.notifier.function_names)) == toset(["notify", "registry", "services", "tasks"])
    error_message = "The registry has no function."
  }
}
