# The VPC endpoints, and plans with unknown ARNs.

mock_provider "aws" {
  source = "./tests/mocks"

  mock_data "aws_vpc" {
    defaults = {
      cidr_block           = "10.0.0.0/16"
      ipv6_cidr_block      = "2001:db8::/56"
      enable_dns_support   = true
      enable_dns_hostnames = true
      cidr_block_associations = [
        { association_id = "1", cidr_block = "10.0.0.0/16", state = "associated" },
        { association_id = "2", cidr_block = "100.64.0.0/16", state = "associated" },
        { association_id = "3", cidr_block = "10.9.0.0/16", state = "disassociated" },
      ]
    }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:111122223333:key/k" }
  }
  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:notifier-AbCdEf" }
  }
}

variables {
  alarm_topic_arns     = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  subnet_ids           = ["subnet-1", "subnet-2"]
  security_group_ids   = ["sg-1"]
  archives             = { files = "./tests/archives" }
  signing_secret_arn   = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:notifier-AbCdEf"
  create_vpc_endpoints = true
  vpc_id               = "vpc-1"
  route_table_ids      = ["rtb-1"]
}

run "endpoints_accept_the_whole_vpc" {
  command = plan

  variables {
    vpc_endpoint_networks = ["172.16.0.0/16", "fd00::/8"]
  }

  assert {
    condition = [
      for rule in aws_security_group.endpoints[0].ingress : {
        from = rule.from_port, to = rule.to_port, ipv4 = toset(rule.cidr_blocks), ipv6 = toset(rule.ipv6_cidr_blocks)
      }
      ] == [{
        from = 443, to = 443
        ipv4 = toset(["10.0.0.0/16", "100.64.0.0/16", "172.16.0.0/16"])
        ipv6 = toset(["2001:db8::/56", "fd00::/8"])
    }]
    error_message = "Other workloads of the VPC lose SQS, ECS, EC2 and Secrets Manager, or the internet may use the endpoints."
  }
}

run "alarms_are_read_from_inside_the_vpc_only_by_functions_in_it" {
  command = plan

  variables {
    discovery_in_vpc = true
    stop_on_alarms   = true
  }

  assert {
    condition     = keys(aws_vpc_endpoint.this) == ["ec2", "ecs", "monitoring", "secretsmanager", "sqs"]
    error_message = "The second stage cannot reach CloudWatch."
  }
}

run "existing_endpoints_are_not_created_again" {
  command = plan

  variables {
    existing_vpc_endpoints = ["sqs", "secretsmanager", "dynamodb"]
    route_table_ids        = []
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.this)) == toset(["ec2", "ecs"]) && length(aws_vpc_endpoint.dynamodb) == 0
    error_message = "A second endpoint would conflict with the private DNS of the first."
  }
}

run "a_vpc_where_all_exist_needs_nothing" {
  command = plan

  variables {
    existing_vpc_endpoints = ["ec2", "ecs", "sqs", "secretsmanager", "dynamodb"]
    vpc_id                 = null
    route_table_ids        = []
  }

  assert {
    condition     = length(aws_vpc_endpoint.this) + length(aws_vpc_endpoint.dynamodb) + length(aws_security_group.endpoints) == 0
    error_message = "The module creates an endpoint or a security group."
  }
}

run "china_has_other_names" {
  command = plan

  variables {
    vpc_endpoint_service_names = { ecs = "cn.com.amazonaws.cn-north-1.ecs" }
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  override_data {
    target = data.aws_region.current
    values = { region = "cn-north-1" }
  }

  assert {
    condition = toset(concat(
      [for endpoint in aws_vpc_endpoint.this : endpoint.service_name],
      [for endpoint in aws_vpc_endpoint.dynamodb : endpoint.service_name],
      )) == toset([
      "cn.com.amazonaws.cn-north-1.ec2", "cn.com.amazonaws.cn-north-1.ecs", "cn.com.amazonaws.cn-north-1.sqs",
      "com.amazonaws.cn-north-1.secretsmanager", "com.amazonaws.cn-north-1.dynamodb",
    ])
    error_message = "AWS has no service with this name."
  }
}

run "a_vpc_without_dns_is_refused" {
  command = plan

  override_data {
    target = data.aws_vpc.endpoints[0]
    values = { cidr_block = "10.0.0.0/16", enable_dns_support = true, enable_dns_hostnames = false }
  }

  expect_failures = [data.aws_vpc.endpoints]
}

run "a_secret_that_cannot_be_reached_is_refused" {
  command = plan

  variables {
    signing_secret_arn = "arn:aws:ssm:eu-west-1:111122223333:parameter/notifier"
  }

  expect_failures = [aws_vpc_endpoint.this]
}

run "a_parameter_store_can_be_reached" {
  command = plan

  variables {
    signing_secret_arn = "arn:aws:ssm:eu-west-1:111122223333:parameter/notifier"
    secret_stores      = ["ssm"]
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.this)) == toset(["ec2", "ecs", "sqs", "ssm"])
    error_message = "The notify function cannot reach Systems Manager, or there is an endpoint without a use."
  }
}

run "secret_key_and_network_may_be_made_in_the_same_run" {
  command = plan

  module {
    source = "./tests/same_configuration"
  }
}

run "and_are_applied_in_the_same_run" {
  command = apply

  module {
    source = "./tests/same_configuration"
  }
}
