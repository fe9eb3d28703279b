locals {
  # These values must not depend on an ARN: it may be unknown during plan, and Terraform must know the keys of `for_each`.
  has_secrets = !var.unsigned || length(var.secret_arns) > 0
  interface_wanted = concat(
    var.vpc_endpoint_services,
    local.has_secrets ? var.secret_stores : [],
    length(var.cluster_roles) > 0 ? ["sts"] : [],
    var.anywhere || (var.discovery_in_vpc && length(local.routes_references) > 0) ? ["ssm"] : [],
    var.discovery_in_vpc && var.stop_on_alarms ? ["monitoring"] : [],
  )
  endpoint_services = setsubtract(var.create && var.create_vpc_endpoints ? local.interface_wanted : [], var.existing_vpc_endpoints)
  endpoint_count    = length(local.endpoint_services) > 0 ? 1 : 0
  gateway_count     = local.ledger_count > 0 && var.create_vpc_endpoints && !contains(var.existing_vpc_endpoints, "dynamodb") ? 1 : 0

  # In China the prefix depends on the service.
  # Source: `aws ec2 describe-vpc-endpoint-services`, as the AWS CDK records it (`InterfaceVpcEndpointAwsService`).
  prefixed_in_china = ["ec2", "ecr.api", "ecr.dkr", "sqs", "sts"]
  endpoint_names = {
    for service in setunion(local.endpoint_services, ["dynamodb"]) : service => lookup(
      var.vpc_endpoint_service_names,
      service,
      join(".", [
        local.partition == "aws-cn" && contains(local.prefixed_in_china, service) ? "cn.com.amazonaws" : "com.amazonaws",
        local.region,
        service,
      ]),
    )
  }

  # Every network that uses the VPC's DNS, which resolves these names to the endpoints.
  endpoint_networks = distinct(concat(
    flatten([
      for vpc in data.aws_vpc.endpoints : concat(
        [vpc.cidr_block],
        [for network in vpc.cidr_block_associations : network.cidr_block if network.state == "associated"],
        compact([vpc.ipv6_cidr_block]),
      )
    ]),
    var.vpc_endpoint_networks,
  ))
}

data "aws_vpc" "endpoints" {
  count = local.endpoint_count

  id = var.vpc_id

  lifecycle {
    precondition {
      condition     = var.vpc_id != null
      error_message = "create_vpc_endpoints needs vpc_id."
    }

    postcondition {
      condition     = self.enable_dns_support != false && self.enable_dns_hostnames != false
      error_message = "The VPC of vpc_id needs DNS support and DNS hostnames (enableDnsSupport, enableDnsHostnames). Without them AWS refuses endpoints with private DNS."
    }
  }
}

resource "aws_security_group" "endpoints" {
  count = local.endpoint_count

  name        = "${var.name_prefix}ecs-task-notifier-endpoints${var.name_suffix}"
  description = "VPC endpoints that ecs-task-notifier calls"
  vpc_id      = var.vpc_id

  # Inline rules, because the number of networks may be unknown during plan.
  ingress {
    description      = "HTTPS from everything that uses the DNS of this VPC"
    protocol         = "tcp"
    from_port        = 443
    to_port          = 443
    cidr_blocks      = [for network in local.endpoint_networks : network if !strcontains(network, ":")]
    ipv6_cidr_blocks = [for network in local.endpoint_networks : network if strcontains(network, ":")]
  }

  tags = local.tags
}

resource "aws_vpc_endpoint" "this" {
  for_each = local.endpoint_services

  vpc_id              = var.vpc_id
  service_name        = local.endpoint_names[each.value]
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  tags                = merge(local.tags, { Name = "${var.name_prefix}ecs-task-notifier-${each.value}${var.name_suffix}" })

  lifecycle {
    # The ARNs are known here at the latest. The notify function must reach the services that store its secrets.
    precondition {
      condition = alltrue([
        for arn in concat(var.secret_arns, var.signing_secret_arn == null ? [] : [var.signing_secret_arn]) :
        contains(concat(var.secret_stores, var.existing_vpc_endpoints), split(":", arn)[2])
      ])
      error_message = "A secret is in a service that secret_stores does not contain, so the notify function could not reach it."
    }
  }
}

# A gateway endpoint is a route, and has no cost.
resource "aws_vpc_endpoint" "dynamodb" {
  count = local.gateway_count

  vpc_id            = var.vpc_id
  service_name      = local.endpoint_names["dynamodb"]
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
  tags              = merge(local.tags, { Name = "${var.name_prefix}ecs-task-notifier-dynamodb${var.name_suffix}" })

  lifecycle {
    precondition {
      condition     = length(var.route_table_ids) > 0
      error_message = "create_vpc_endpoints needs route_table_ids, so that the subnets can reach the ledger. If the route tables already have a route to DynamoDB, add `dynamodb` to existing_vpc_endpoints."
    }
  }
}
