# The resources before and after the last step. Planned on a mocked provider, which needs the real one's schema.

mock_provider "aws" {
  source = "../terraform/tests/mocks"

  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-1a", "eu-west-1b"] }
  }

  mock_data "aws_ssm_parameter" {
    defaults = { value = "ami-1" }
  }

  mock_resource "aws_vpc" {
    defaults = { id = "vpc-1" }
  }
}

variables {
  run          = "test"
  architecture = "arm64"
  archives     = { files = "../terraform/tests/archives" }
}

run "the_authority_exists_only_for_its_step" {
  command = plan

  assert {
    condition = sum([
      length(aws_acmpca_certificate_authority.this), length(aws_service_discovery_http_namespace.this), length(aws_ecs_service.connected),
    ]) == 0
    error_message = "The private certificate authority exists from the start."
  }
}

run "one_proxy_at_the_container_port_and_one_beside_it" {
  command = plan

  variables {
    service_connect = true
  }

  assert {
    condition = (
      aws_acmpca_certificate_authority.this[0].usage_mode == "SHORT_LIVED_CERTIFICATE" &&
      aws_acmpca_certificate_authority.this[0].permanent_deletion_time_in_days == 7 &&
      aws_acmpca_certificate_authority.this[0].tags["AmazonECSManaged"] == "true"
    )
    error_message = "The authority is too expensive, is deleted too late, or ECS may not use it."
  }

  assert {
    condition = alltrue([
      for name, port in { proxied = null, bypassed = 8443 } :
      aws_ecs_service.connected[name].service_connect_configuration[0].service[0].ingress_port_override == port
    ])
    error_message = "The proxies do not listen at the ports that the step expects."
  }

  assert {
    condition = alltrue([
      for service in aws_ecs_service.connected : contains(
        flatten([for container in jsondecode(aws_ecs_task_definition.sample[service.name].container_definitions) : container.portMappings[*].name]),
        service.service_connect_configuration[0].service[0].port_name,
      )
    ])
    error_message = "Service Connect names a port that the task definition does not have."
  }
}
