# Services with Service Connect and TLS, for the last step: a direct call to such a task.

# The authority issues certificates of at most seven days. AWS deletes no authority at once: it is disabled and can be
# restored for a week, without cost.
resource "aws_acmpca_certificate_authority" "this" {
  count = var.service_connect ? 1 : 0

  type                            = "ROOT"
  usage_mode                      = "SHORT_LIVED_CERTIFICATE"
  permanent_deletion_time_in_days = 7

  certificate_authority_configuration {
    key_algorithm     = "RSA_2048"
    signing_algorithm = "SHA256WITHRSA"

    subject {
      common_name = local.name
    }
  }

  # AWS's policy for the role below allows only authorities with this tag.
  tags = { AmazonECSManaged = "true" }
}

resource "aws_acmpca_certificate" "root" {
  count = var.service_connect ? 1 : 0

  certificate_authority_arn   = aws_acmpca_certificate_authority.this[0].arn
  certificate_signing_request = aws_acmpca_certificate_authority.this[0].certificate_signing_request
  signing_algorithm           = "SHA256WITHRSA"
  template_arn                = "arn:${data.aws_partition.current.partition}:acm-pca:::template/RootCACertificate/V1"

  validity {
    type  = "DAYS"
    value = 30
  }
}

resource "aws_acmpca_certificate_authority_certificate" "root" {
  count = var.service_connect ? 1 : 0

  certificate_authority_arn = aws_acmpca_certificate_authority.this[0].arn
  certificate               = aws_acmpca_certificate.root[0].certificate
  certificate_chain         = aws_acmpca_certificate.root[0].certificate_chain
}

resource "aws_service_discovery_http_namespace" "this" {
  count = var.service_connect ? 1 : 0

  name = local.name
}

resource "aws_iam_role" "service_connect" {
  count = var.service_connect ? 1 : 0

  name               = "${local.name}-service-connect"
  assume_role_policy = data.aws_iam_policy_document.assume_service["ecs.amazonaws.com"].json
}

resource "aws_iam_role_policy_attachment" "service_connect" {
  count = var.service_connect ? 1 : 0

  role       = aws_iam_role.service_connect[0].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSInfrastructureRolePolicyForServiceConnectTransportLayerSecurity"
}

resource "aws_ecs_service" "connected" {
  #checkov:skip=CKV_AWS_333:Without NAT, a task needs a public address to pull its image
  for_each = var.service_connect ? local.connected : {}

  name                  = each.key
  cluster               = aws_ecs_cluster.connected.arn
  task_definition       = aws_ecs_task_definition.sample[each.key].arn
  desired_count         = 1
  launch_type           = each.value.launch
  wait_for_steady_state = true

  network_configuration {
    subnets          = values(aws_subnet.this)[*].id
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = true
  }

  service_connect_configuration {
    enabled   = true
    namespace = aws_service_discovery_http_namespace.this[0].arn

    service {
      port_name             = "http"
      discovery_name        = each.key
      ingress_port_override = each.value.ingress_port

      client_alias {
        dns_name = each.key
        port     = 80
      }

      tls {
        role_arn = aws_iam_role.service_connect[0].arn

        issuer_cert_authority {
          aws_pca_authority_arn = aws_acmpca_certificate_authority_certificate.root[0].certificate_authority_arn
        }
      }
    }
  }

  depends_on = [
    aws_iam_role_policy_attachment.execution, aws_iam_role_policy_attachment.service_connect, aws_route_table_association.this,
  ]
}
