# Public subnets: the sample tasks pull their image from the internet. The notify function reaches AWS only through the
# module's endpoints.

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:It exists for an hour
  #checkov:skip=CKV2_AWS_12:Nothing uses the default group
  cidr_block           = "10.77.0.0/16"
  enable_dns_support   = true
  enable_dns_hostnames = true
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this.id
  }
}

data "aws_availability_zones" "this" {
  #checkov:skip=CKV_AWS_394:Any two zones suffice for an hour
  state = "available"
}

resource "aws_subnet" "this" {
  for_each = { a = 0, b = 1 }

  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 8, each.value)
  availability_zone = data.aws_availability_zones.this.names[each.value]
}

resource "aws_route_table_association" "this" {
  for_each = aws_subnet.this

  subnet_id      = each.value.id
  route_table_id = aws_route_table.this.id
}

resource "aws_security_group" "notify" {
  name_prefix = "${local.name}-notify-"
  description = "The notify function"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_egress_rule" "notify" {
  security_group_id = aws_security_group.notify.id
  description       = "Tasks and endpoints"
  cidr_ipv4         = aws_vpc.this.cidr_block
  ip_protocol       = "tcp"
  from_port         = 1
  to_port           = 65535
}

resource "aws_vpc_security_group_egress_rule" "ledger" {
  security_group_id = aws_security_group.notify.id
  description       = "DynamoDB"
  prefix_list_id    = module.notifier.dynamodb_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_security_group" "tasks" {
  name_prefix = "${local.name}-tasks-"
  description = "The sample tasks and their host"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "tasks" {
  #checkov:skip=CKV_AWS_24:Only the notify function's group is allowed
  #checkov:skip=CKV_AWS_25:Only the notify function's group is allowed
  #checkov:skip=CKV_AWS_260:Only the notify function's group is allowed
  security_group_id            = aws_security_group.tasks.id
  description                  = "Notifications"
  referenced_security_group_id = aws_security_group.notify.id
  ip_protocol                  = "tcp"
  from_port                    = 1
  to_port                      = 65535
}

resource "aws_vpc_security_group_egress_rule" "tasks" {
  security_group_id = aws_security_group.tasks.id
  description       = "The image's registry, ECS and logs"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
