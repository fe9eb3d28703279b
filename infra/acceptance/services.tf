# The sample services, and the host of the tasks in bridge mode.

data "aws_iam_policy_document" "assume_service" {
  for_each = toset(["ecs.amazonaws.com", "ecs-tasks.amazonaws.com", "ec2.amazonaws.com"])

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = [each.value]
    }
  }
}

resource "aws_iam_role" "execution" {
  name               = "${local.name}-execution"
  assume_role_policy = data.aws_iam_policy_document.assume_service["ecs-tasks.amazonaws.com"].json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_ecs_task_definition" "sample" {
  for_each = merge(local.services, local.connected)

  family                   = "${local.name}-${each.key}"
  requires_compatibilities = [each.value.launch]
  network_mode             = each.value.network
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution.arn

  runtime_platform {
    cpu_architecture        = upper(var.architecture)
    operating_system_family = "LINUX"
  }

  container_definitions = jsonencode([{
    name                   = "app"
    image                  = "public.ecr.aws/docker/library/python:3.13-alpine"
    command                = ["python", "-u", "-c", file("${path.module}/receiver.py")]
    essential              = true
    readonlyRootFilesystem = true
    portMappings           = [{ name = "http", containerPort = 8080, hostPort = each.value.network == "bridge" ? 0 : 8080 }]
    dockerLabels           = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = each.value.path }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.samples.name
        awslogs-region        = data.aws_region.current.region
        awslogs-stream-prefix = each.key
      }
    }
  }])
}

resource "aws_ecs_service" "sample" {
  #checkov:skip=CKV_AWS_333:Without NAT, a task needs a public address to pull its image
  for_each = local.services

  name                  = each.key
  cluster               = aws_ecs_cluster.this.arn
  task_definition       = aws_ecs_task_definition.sample[each.key].arn
  desired_count         = each.value.tasks
  launch_type           = each.value.launch
  wait_for_steady_state = true

  dynamic "network_configuration" {
    for_each = each.value.network == "awsvpc" ? [true] : []

    content {
      subnets          = values(aws_subnet.this)[*].id
      security_groups  = [aws_security_group.tasks.id]
      assign_public_ip = true
    }
  }

  depends_on = [aws_instance.host, aws_route_table_association.this, aws_iam_role_policy_attachment.execution]
}

data "aws_ssm_parameter" "host_image" {
  name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/${var.architecture == "arm64" ? "arm64/" : ""}recommended/image_id"
}

resource "aws_iam_role" "host" {
  name               = "${local.name}-host"
  assume_role_policy = data.aws_iam_policy_document.assume_service["ec2.amazonaws.com"].json
}

resource "aws_iam_role_policy_attachment" "host" {
  role       = aws_iam_role.host.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_instance_profile" "host" {
  name = "${local.name}-host"
  role = aws_iam_role.host.name
}

resource "aws_instance" "host" {
  #checkov:skip=CKV_AWS_88:Without NAT, the host needs a public address to reach ECS; its group allows only notifications
  #checkov:skip=CKV_AWS_126:It exists for an hour
  #checkov:skip=CKV_AWS_8:The image's own volume suffices for an hour
  #checkov:skip=CKV_AWS_135:The instance type is optimised for EBS by default

  ami                         = data.aws_ssm_parameter.host_image.value
  instance_type               = var.architecture == "arm64" ? "t4g.small" : "t3.small"
  subnet_id                   = aws_subnet.this["a"].id
  vpc_security_group_ids      = [aws_security_group.tasks.id]
  associate_public_ip_address = true
  iam_instance_profile        = aws_iam_instance_profile.host.name
  user_data                   = "#!/bin/sh\necho ECS_CLUSTER=${aws_ecs_cluster.this.name} >> /etc/ecs/ecs.config\n"

  metadata_options {
    http_tokens = "required"
  }

  depends_on = [aws_iam_role_policy_attachment.host, aws_route_table_association.this]
}
