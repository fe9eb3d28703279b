# The daemon instead of the functions: an ECS service on Fargate that processes the same queues.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.8"
    }
  }
}

data "aws_region" "current" {}

locals {
  stages = ["services", "tasks", "notify"]

  # The stages whose queues the daemon processes.
  processed = concat(local.stages, length(var.registry_clusters) > 0 ? ["registry"] : [])
}

module "notifier" {
  source = "../.."

  create_functions = false
  # The inner queues accept messages only from the daemon.
  worker_role_arns = [aws_iam_role.daemon.arn]
  # Only named principals may send dead letters back.
  redriver_arns    = try(var.page.allow_actions, false) ? [aws_iam_role.page[0].arn] : []
  alarm_topic_arns = var.alarm_topic_arns
  routes           = var.routes
  # The daemon itself requests the sweeps.
  registry = length(var.registry_clusters) == 0 ? null : { clusters = var.registry_clusters }
}

resource "aws_cloudwatch_log_group" "daemon" {
  #checkov:skip=CKV_AWS_158:CloudWatch's own encryption suffices for an example
  #checkov:skip=CKV_AWS_338:A month is enough for operation
  name              = "/ecs/ecs-task-notifier"
  retention_in_days = 30
}

resource "aws_ecs_task_definition" "daemon" {
  family                   = "ecs-task-notifier"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  task_role_arn            = aws_iam_role.daemon.arn
  execution_role_arn       = aws_iam_role.execution.arn

  runtime_platform {
    cpu_architecture        = upper(var.architecture)
    operating_system_family = "LINUX"
  }

  container_definitions = jsonencode([{
    name                   = "daemon"
    image                  = var.image
    command                = ["serve"]
    essential              = true
    readonlyRootFilesystem = true
    # Longer than the grace time of `serve`, so that messages in work are finished or handed back.
    stopTimeout = 60
    # The image has no shell and no curl, so the program itself makes the request.
    healthCheck = {
      command     = ["CMD", "/ecs-task-notifier", "health"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 15
    }
    environment = [
      for name, value in merge(
        {
          NOTIFIER_OBSERVER_QUEUE_URL = module.notifier.queue_urls["services"]
          NOTIFIER_SERVICES_QUEUE_URL = module.notifier.queue_urls["tasks"]
          NOTIFIER_TASKS_QUEUE_URL    = module.notifier.queue_urls["notify"]
          NOTIFIER_ALLOW_NETWORKS     = join(",", concat(local.ipv4_networks, local.ipv6_networks))
          NOTIFIER_LEDGER             = module.notifier.ledger
          NOTIFIER_LOG_FORMAT         = "json"
          NOTIFIER_SIGNING_SECRET     = "secretsmanager:${var.signing_secret_arn}"
          # All tasks share this budget in the ledger's table.
          NOTIFIER_AWS_BUDGET_PERCENT = var.aws_budget_percent
        },
        module.notifier.registry_settings,
        var.routes == null ? {} : { NOTIFIER_ROUTES = module.notifier.routes },
        length(var.cluster_roles) == 0 ? {} : { NOTIFIER_ROLES = join(",", var.cluster_roles) },
      ) : { name = name, value = tostring(value) }
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.daemon.name
        awslogs-region        = data.aws_region.current.region
        awslogs-stream-prefix = "daemon"
      }
    }
  }])
}

resource "aws_ecs_service" "daemon" {
  name            = "ecs-task-notifier"
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.daemon.arn
  desired_count   = 1
  launch_type     = "FARGATE"

  # Two daemons at a time do no harm: each message is received by one of them.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  # A deployment whose tasks do not become healthy is rolled back.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets         = var.subnet_ids
    security_groups = [aws_security_group.daemon.id]
  }

  lifecycle {
    # Autoscaling, as in `ecs-daemon-scaling`, changes the count.
    ignore_changes = [desired_count]
  }

  # The daemon ends at its start if it has no permission to read its queues.
  depends_on = [aws_iam_role_policy.daemon]
}
