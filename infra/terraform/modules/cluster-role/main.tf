# A role in another account. The notifier assumes it to read the ECS clusters of that account, and can do nothing else.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  count     = var.create ? 1 : 0
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  regions   = length(var.regions) > 0 ? distinct(var.regions) : [data.aws_region.current.region]

  # The same lists as those of the notifier's own roles.
  stages = jsondecode(file("${path.module}/../../stages.json"))
  known  = jsondecode(file("${path.module}/../../actions.json"))
  actions = sort(distinct(concat(
    flatten([for stage in local.stages : stage.actions]),
    var.anywhere ? ["ssm:DescribeInstanceInformation"] : [],
  )))

  scopes = {
    for action in local.actions : action => {
      cluster = local.known[action].cluster
      resources = (
        local.known[action].resource == "*" ? ["*"] :
        action == "ecs:DescribeClusters" && length(var.cluster_arns) > 0 ? var.cluster_arns :
        [for region in local.regions : "arn:${local.partition}:ecs:${region}:${local.account}:${local.known[action].resource}"]
      )
    }
  }
}

# The account is the principal, and the condition names the roles in it. A policy that names a role as principal cannot be
# written before the role exists, and loses it when the role is created again.
data "aws_iam_policy_document" "assume" {
  count = local.count

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = distinct([for arn in var.principal_arns : "arn:${local.partition}:iam::${element(split(":", arn), 4)}:root"])
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values   = var.principal_arns
    }

    dynamic "condition" {
      for_each = var.external_id == null ? [] : [var.external_id]

      content {
        test     = "StringEquals"
        variable = "sts:ExternalId"
        values   = [condition.value]
      }
    }
  }
}

data "aws_iam_policy_document" "discovery" {
  #checkov:skip=CKV_AWS_356:Some of these actions support no resource

  count = local.count

  dynamic "statement" {
    for_each = toset(local.actions)

    content {
      sid       = join("", [for word in split(":", statement.value) : title(word)])
      actions   = [statement.value]
      resources = local.scopes[statement.value].resources

      dynamic "condition" {
        for_each = local.scopes[statement.value].cluster && length(var.cluster_arns) > 0 ? [true] : []

        content {
          test     = "ArnLike"
          variable = "ecs:cluster"
          values   = var.cluster_arns
        }
      }
    }
  }
}

resource "aws_iam_role" "this" {
  count = local.count

  name                 = var.name
  description          = "Allows ecs-task-notifier of another account to read ECS clusters"
  assume_role_policy   = data.aws_iam_policy_document.assume[0].json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = merge({ Application = "ecs-task-notifier" }, var.tags)
}

resource "aws_iam_role_policy" "this" {
  count = local.count

  name   = "discovery"
  role   = aws_iam_role.this[0].id
  policy = data.aws_iam_policy_document.discovery[0].json
}
