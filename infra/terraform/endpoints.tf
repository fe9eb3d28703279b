locals {
  endpoint_services = var.create && var.create_vpc_endpoints ? toset(concat(var.vpc_endpoint_services, [for keeper in [local.secret_keeper] : keeper if keeper != null])) : toset([])
  endpoint_count    = length(local.endpoint_services) > 0 ? 1 : 0
  gateway_count     = local.ledger_count > 0 && var.create_vpc_endpoints ? 1 : 0
}

resource "aws_security_group" "endpoints" {
  count = local.endpoint_count

  name        = "${var.name_prefix}ecs-task-notifier-endpoints${var.name_suffix}"
  description = "VPC endpoints that ecs-task-notifier calls"
  vpc_id      = var.vpc_id
  tags        = local.tags

  lifecycle {
    precondition {
      condition     = var.vpc_id != null
      error_message = "create_vpc_endpoints needs vpc_id."
    }
  }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  for_each = { for index, id in var.security_group_ids : tostring(index) => id if local.endpoint_count > 0 }

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "HTTPS from the functions"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  tags                         = local.tags
}

resource "aws_vpc_endpoint" "this" {
  for_each = local.endpoint_services

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  tags                = merge(local.tags, { Name = "${var.name_prefix}ecs-task-notifier-${each.value}${var.name_suffix}" })
}

# A gateway endpoint is a route, and free.
resource "aws_vpc_endpoint" "dynamodb" {
  count = local.gateway_count

  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${local.region}.dynamodb"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
  tags              = merge(local.tags, { Name = "${var.name_prefix}ecs-task-notifier-dynamodb${var.name_suffix}" })

  lifecycle {
    precondition {
      condition     = length(var.route_table_ids) > 0
      error_message = "create_vpc_endpoints needs route_table_ids, or the ledger cannot be reached from the subnets."
    }
  }
}
