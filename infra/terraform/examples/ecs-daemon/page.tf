# The page (docs/page.md), if `page` is set: a service of its own without a public address, so that it can be restarted
# and updated apart from the daemon, and has none of the daemon's permissions.

locals {
  page_port = 8787
}

resource "aws_iam_role" "page" {
  count = var.page == null ? 0 : 1

  name_prefix        = "ecs-task-notifier-page-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

# `report` reads the ledger; `cancel` and `redrive` are the two actions.
resource "aws_iam_role_policy" "page" {
  for_each = toset(var.page == null ? [] : var.page.allow_actions ? ["report", "cancel", "redrive"] : ["report"])

  name   = each.key
  role   = aws_iam_role.page[0].id
  policy = module.notifier.policies[each.key]
}

data "aws_iam_policy_document" "page_token" {
  count = var.page == null ? 0 : 1

  statement {
    sid       = "ReadToken"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.page.token_secret_arn]
  }
}

resource "aws_iam_role_policy" "page_token" {
  count = var.page == null ? 0 : 1

  name   = "token"
  role   = aws_iam_role.page[0].id
  policy = data.aws_iam_policy_document.page_token[0].json
}

resource "aws_ecs_task_definition" "page" {
  count = var.page == null ? 0 : 1

  family                   = "ecs-task-notifier-page"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  # Four reports of 100,000 containers.
  memory             = 1024
  task_role_arn      = aws_iam_role.page[0].arn
  execution_role_arn = aws_iam_role.execution.arn

  runtime_platform {
    cpu_architecture        = upper(var.architecture)
    operating_system_family = "LINUX"
  }

  container_definitions = jsonencode([{
    name  = "page"
    image = var.image
    command = concat(
      ["page", "--listen", "0.0.0.0:${local.page_port}", "--token-secret", "secretsmanager:${var.page.token_secret_arn}"],
      flatten([for name in var.page.allowed_hosts : ["--allowed-host", name]]),
      var.page.allow_actions ? ["--allow-actions"] : [],
    )
    essential              = true
    readonlyRootFilesystem = true
    portMappings           = [{ containerPort = local.page_port, protocol = "tcp" }]
    healthCheck = {
      command  = ["CMD", "/ecs-task-notifier", "health", "--url", "http://127.0.0.1:${local.page_port}/healthz"]
      interval = 30
      timeout  = 5
      retries  = 3
    }
    environment = [
      for name, value in merge(
        { NOTIFIER_LEDGER = module.notifier.ledger },
        # For the action that sends dead letters back.
        !var.page.allow_actions ? {} : {
          NOTIFIER_OBSERVER_QUEUE_URL = module.notifier.queue_urls["services"]
          NOTIFIER_SERVICES_QUEUE_URL = module.notifier.queue_urls["tasks"]
          NOTIFIER_TASKS_QUEUE_URL    = module.notifier.queue_urls["notify"]
        },
      ) : { name = name, value = value }
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.daemon.name
        awslogs-region        = data.aws_region.current.region
        awslogs-stream-prefix = "page"
      }
    }
  }])
}

resource "aws_ecs_service" "page" {
  count = var.page == null ? 0 : 1

  name            = "ecs-task-notifier-page"
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.page[0].arn
  # One: a log-in is of one process.
  desired_count = 1
  launch_type   = "FARGATE"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets         = var.subnet_ids
    security_groups = [aws_security_group.page[0].id]
  }

  # Its health check must ask for /healthz, which needs no token and no host name.
  dynamic "load_balancer" {
    for_each = var.page.target_group_arn == null ? [] : [var.page.target_group_arn]

    content {
      target_group_arn = load_balancer.value
      container_name   = "page"
      container_port   = local.page_port
    }
  }

  # The page ends at its start if it has no permission to read its token.
  depends_on = [aws_iam_role_policy.page, aws_iam_role_policy.page_token]
}

resource "aws_security_group" "page" {
  count = var.page == null ? 0 : 1

  name_prefix = "ecs-task-notifier-page-"
  description = "The page of ecs-task-notifier"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "page" {
  for_each = toset(try(var.page.client_security_group_ids, []))

  security_group_id            = aws_security_group.page[0].id
  description                  = "The load balancer, or a host that forwards a port"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.page_port
  to_port                      = local.page_port
}

resource "aws_vpc_security_group_egress_rule" "page" {
  count = var.page == null ? 0 : 1

  security_group_id = aws_security_group.page[0].id
  description       = "AWS and the registry of the image"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
