# A notifier in one account that serves the clusters of another, and receives events from there.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.8"
    }
  }
}

provider "aws" {}

provider "aws" {
  alias = "shop"

  assume_role {
    role_arn = var.role_arn
  }
}

data "aws_partition" "current" {}

locals {
  role_name = "ecs-task-notifier"
}

# In the account of the notifier.
module "notifier" {
  source = "../.."

  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids
  signing_secret_arn = var.signing_secret_arn
  alarm_topic_arns   = var.alarm_topic_arns
  archives           = var.archives

  # The name is fixed, so the ARN is known before the role exists. The two modules then do not depend on each other.
  cluster_roles            = ["arn:${data.aws_partition.current.partition}:iam::${var.account}:role/${local.role_name}"]
  cluster_role_external_id = var.external_id

  # The ARN by the policy: the topic must allow the subscription first.
  topics               = { release = { topic_arn = aws_sns_topic_policy.release.arn } }
  bucket_notifications = { prices = { bucket = aws_s3_bucket.prices.id, account = var.account } }
  publisher_arns       = [aws_iam_role.events.arn]
}

# In the other account.
module "cluster_role" {
  source = "../../modules/cluster-role"

  providers = { aws = aws.shop }

  name           = local.role_name
  principal_arns = values(module.notifier.role_arns)
  external_id    = var.external_id
}
