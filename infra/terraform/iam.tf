locals {
  # The resources of each action, and whether the condition key `ecs:cluster` applies.
  # Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Elastic Container
  # Service", "… for Amazon EC2" and "… for AWS Systems Manager". Actions with `*` support no resource. `ecs:ListTasks`
  # has `*` although the reference names container instances: AWS checks a call without the filter `containerInstance`
  # against `*`, and refuses it if only container instances are allowed.
  actions = jsondecode(file("${path.module}/actions.json"))
  regions = distinct(concat([local.region], var.cluster_regions))
  scopes = {
    for action, it in local.actions : action => {
      cluster = it.cluster
      resources = (
        it.resource == "*" ? ["*"] :
        # The resource itself is the cluster, so the list of clusters replaces the condition.
        action == "ecs:DescribeClusters" && length(var.cluster_arns) > 0 ? var.cluster_arns :
        [for region in local.regions : "arn:${local.partition}:ecs:${region}:${local.account}:${it.resource}"]
      )
    }
  }

  # The clusters that a stage may read; none means every cluster.
  readable = {
    for stage in keys(local.all_stages) : stage => (
      stage == "registry" && !contains(local.registry_clusters, "*") ? local.registry_cluster_arns : var.cluster_arns
    )
  }

  dns_suffix = data.aws_partition.current.dns_suffix

  # Values of `kms:ViaService`. AWS documents them with the first suffix, and does not document them for China.
  via = {
    for service in ["dynamodb", "secretsmanager", "sqs", "ssm"] : service => distinct([
      "${service}.${local.region}.amazonaws.com",
      "${service}.${local.region}.${local.dns_suffix}",
    ])
  }

  # Actions of Lambda itself, with the function's role, to attach a function to a VPC.
  vpc_actions = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
  ]

  # Actions that DynamoDB performs with a customer-managed key on behalf of the table's user.
  # Source: DynamoDB Developer Guide, "DynamoDB encryption at rest: Usage notes".
  ledger_key_actions = [
    "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*",
  ]

  # Secrets that the notify function reads besides the signing secret, by the service that stores them.
  more_secrets = {
    ReadSecrets    = { action = "secretsmanager:GetSecretValue", arns = [for arn in var.secret_arns : arn if can(regex("^arn:[^:]+:secretsmanager:", arn))] }
    ReadParameters = { action = "ssm:GetParameter", arns = [for arn in var.secret_arns : arn if can(regex("^arn:[^:]+:ssm:", arn))] }
  }

  # The stages that send to the queue of a stage. Everybody whom IAM allows may send to the queue of the first stage.
  senders = {
    for queue in setsubtract(keys(local.all_stages), ["services"]) : queue => [
      for stage in keys(local.all_stages) : stage
      if lookup(local.next, stage, null) == queue || (stage == queue && contains(local.to_itself, stage))
    ]
  }

  # The trusted senders of each stage, by the unique ids that SQS reports as `SenderId`. They include the stage itself,
  # because it is a sender of a dead letter that is sent back. The registry trusts no sender: EventBridge has no such id.
  trusted_senders = {
    for stage in ["tasks", "notify"] : stage => join(",", concat(
      [for key, role in aws_iam_role.function : role.unique_id if contains(local.senders[stage], key) || key == stage],
      var.worker_role_ids,
      var.redriver_ids,
    ))
  }
}

data "aws_iam_policy_document" "assume" {
  for_each = local.functions

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  # The name of a role is unique across regions.
  name                 = "${each.value.function}_${local.region}"
  description          = "Permissions of the function ${each.value.function} in ${local.region}"
  assume_role_policy   = data.aws_iam_policy_document.assume[each.key].json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = merge(local.tags, { Stage = each.key })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name   = "stage"
  role   = aws_iam_role.function[each.key].id
  policy = data.aws_iam_policy_document.function[each.key].json

  lifecycle {
    # IAM does not count whitespace. Source: IAM User Guide, "IAM and AWS STS quotas".
    precondition {
      condition     = length(jsonencode(jsondecode(data.aws_iam_policy_document.function[each.key].json))) <= 10240
      error_message = "Stage ${each.key}: the policy of its role exceeds IAM's limit of 10,240 characters. Set fewer cluster_arns and secret_arns; the ARN of a cluster may contain `*`."
    }
  }
}

data "aws_iam_policy_document" "function" {
  for_each = local.functions

  statement {
    sid = "ProcessQueue"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.this[each.key].arn]
  }

  statement {
    sid       = "SendDeadLetters"
    actions   = ["sqs:GetQueueUrl", "sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters[each.key].arn]
  }

  dynamic "statement" {
    for_each = contains(keys(local.next), each.key) ? [local.next[each.key]] : []

    content {
      sid       = "PublishToNextStage"
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.this[statement.value].arn]
    }
  }

  dynamic "statement" {
    for_each = contains(local.to_itself, each.key) ? [true] : []

    content {
      sid       = "PublishToOwnQueue"
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.this[each.key].arn]
    }
  }

  # The first stage uses the registry only while it is live: it asks whether events wait.
  dynamic "statement" {
    for_each = each.key == "services" && local.has_registry ? [true] : []

    content {
      sid       = "SeeRegistryQueue"
      actions   = ["sqs:GetQueueAttributes"]
      resources = [aws_sqs_queue.this["registry"].arn]
    }
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function[each.key].arn}:*"]
  }

  dynamic "statement" {
    for_each = toset(each.value.actions)

    content {
      sid       = join("", [for word in split(":", statement.value) : title(word)])
      actions   = [statement.value]
      resources = each.key == "registry" && statement.value == "ecs:DescribeClusters" && length(local.readable[each.key]) > 0 ? local.readable[each.key] : local.scopes[statement.value].resources

      dynamic "condition" {
        for_each = local.scopes[statement.value].cluster && length(local.readable[each.key]) > 0 ? [true] : []

        content {
          test     = "ArnLike"
          variable = "ecs:cluster"
          values   = local.readable[each.key]
        }
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.cluster_roles) > 0 ? [var.cluster_roles] : []

    content {
      sid       = "AssumeClusterRoles"
      actions   = ["sts:AssumeRole"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = each.key == "services" ? local.routes_parameter_arns : []

    content {
      sid       = "ReadRoutes"
      actions   = ["ssm:GetParameter"]
      resources = [statement.value]
    }
  }

  # No narrower resource: AWS hides composite alarms from a caller whose permission has one.
  # Source: CloudWatch API Reference, "DescribeAlarms".
  dynamic "statement" {
    for_each = each.key == "tasks" && var.stop_on_alarms ? [true] : []

    content {
      sid       = "ReadAlarms"
      actions   = ["cloudwatch:DescribeAlarms"]
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = aws_dynamodb_table.ledger

    content {
      sid       = "KeepLedger"
      actions   = each.value.ledger_actions
      resources = [statement.value.arn]
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null || local.ledger_count == 0 ? [] : [var.kms_key_arn]

    content {
      sid       = "UseKeyForLedger"
      actions   = local.ledger_key_actions
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = local.via["dynamodb"]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "notify" && var.signing_secret_arn != null ? [var.signing_secret_arn] : []

    content {
      sid       = "ReadSigningSecret"
      actions   = [local.secret_keeper == "ssm" ? "ssm:GetParameter" : "secretsmanager:GetSecretValue"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = each.key == "notify" && var.signing_secret_arn != null && var.signing_secret_kms_key_arn != null ? [var.signing_secret_kms_key_arn] : []

    content {
      sid       = "DecryptSigningSecret"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = { for sid, secrets in local.more_secrets : sid => secrets if each.key == "notify" && length(secrets.arns) > 0 }

    content {
      sid       = statement.key
      actions   = [statement.value.action]
      resources = statement.value.arns
    }
  }

  dynamic "statement" {
    for_each = each.key == "notify" && length(var.secret_kms_key_arns) > 0 ? [var.secret_kms_key_arns] : []

    content {
      sid       = "DecryptSecrets"
      actions   = ["kms:Decrypt"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = concat(local.via["secretsmanager"], local.via["ssm"])
      }
    }
  }

  # Lambda itself makes these calls with the function's role, to attach the function to the VPC. AWS checks the actions
  # before the interface exists, so no narrower resource is possible.
  # Source: AWS Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC".
  dynamic "statement" {
    for_each = contains(local.in_vpc, each.key) ? [true] : []

    content {
      sid       = "JoinVpc"
      actions   = local.vpc_actions
      resources = ["*"]
    }
  }

  # The code of the function must not make these calls.
  dynamic "statement" {
    for_each = contains(local.in_vpc, each.key) ? [true] : []

    content {
      sid       = "DenyVpcActionsToCode"
      effect    = "Deny"
      actions   = local.vpc_actions
      resources = ["*"]

      condition {
        test     = "ArnEquals"
        variable = "lambda:SourceFunctionArn"
        values   = ["arn:${local.partition}:lambda:${local.region}:${local.account}:function:${each.value.function}"]
      }
    }
  }
}
