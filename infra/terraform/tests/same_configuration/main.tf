# A configuration that creates the secret, the key and the network in the same run as the module, so that their ARNs and
# ids are unknown in its first plan.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.8"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:In a key's policy `*` means this key
  #checkov:skip=CKV_AWS_111:As above
  #checkov:skip=CKV_AWS_356:As above
  source_policy_documents = [module.notifier.kms_key_policy]

  statement {
    sid       = "AccountByIam"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
}

resource "aws_kms_key" "this" {
  description         = "Queues, ledger and logs of ecs-task-notifier"
  enable_key_rotation = true
  policy              = data.aws_iam_policy_document.key.json
}

resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57:Only for a test
  for_each = toset(["signing", "authority"])

  name       = "notifier-${each.key}"
  kms_key_id = aws_kms_key.this.arn
}

resource "terraform_data" "network" {
  input = { vpc = "vpc-1", subnets = ["subnet-1"], group = "sg-1", table = "rtb-1" }
}

module "notifier" {
  source = "../.."

  alarm_topic_arns = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  archives         = { files = "./tests/archives" }

  subnet_ids         = terraform_data.network.output.subnets
  security_group_ids = [terraform_data.network.output.group]

  signing_secret_arn         = aws_secretsmanager_secret.this["signing"].arn
  signing_secret_kms_key_arn = aws_kms_key.this.arn
  secret_arns                = [aws_secretsmanager_secret.this["authority"].arn]
  secret_kms_key_arns        = [aws_kms_key.this.arn]
  kms_key_arn                = aws_kms_key.this.arn

  create_vpc_endpoints = true
  vpc_id               = terraform_data.network.output.vpc
  route_table_ids      = [terraform_data.network.output.table]

  publisher_arns = [terraform_data.publisher.output]
  publisher_services = [{
    service     = "events.amazonaws.com"
    source_arns = [terraform_data.rule.output]
  }]

  bucket_notifications = { prices = { bucket = aws_s3_bucket.prices.id } }
  event_rules          = { orders = { event_pattern = "{\"source\":[\"com.example\"]}", event_bus_name = aws_cloudwatch_event_bus.orders.arn } }
  topics               = { release = { topic_arn = aws_sns_topic.release.arn } }
  table_pipes          = { items = { stream_arn = aws_dynamodb_table.items.stream_arn } }
  table_streams        = { items = { stream_arn = aws_dynamodb_table.items.stream_arn, table_kms_key_arn = aws_kms_key.this.arn } }
  cluster_roles        = [terraform_data.role.output]
  registry             = { clusters = [aws_ecs_cluster.prod.arn] }
  routes               = <<-TOML
    [[route]]
    name  = "prices"
    match = { source = ["aws.s3"] }
    to    = { cluster = "${aws_ecs_cluster.prod.arn}" }
  TOML
}

resource "aws_s3_bucket" "prices" {
  #checkov:skip=CKV_AWS_18:Only for a test
  #checkov:skip=CKV_AWS_21:Only for a test
  #checkov:skip=CKV_AWS_144:Only for a test
  #checkov:skip=CKV_AWS_145:Only for a test
  #checkov:skip=CKV2_AWS_6:Only for a test
  #checkov:skip=CKV2_AWS_61:Only for a test
  #checkov:skip=CKV2_AWS_62:Only for a test
  bucket_prefix = "prices-"
}

resource "aws_cloudwatch_event_bus" "orders" {
  name = "orders"
}

resource "aws_sns_topic" "release" {
  #checkov:skip=CKV_AWS_26:Only for a test
  name = "release"
}

resource "aws_dynamodb_table" "items" {
  #checkov:skip=CKV_AWS_28:Only for a test
  #checkov:skip=CKV2_AWS_16:Only for a test
  name             = "items"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "id"
  stream_enabled   = true
  stream_view_type = "NEW_IMAGE"

  attribute {
    name = "id"
    type = "S"
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.this.arn
  }
}

resource "aws_ecs_cluster" "prod" {
  #checkov:skip=CKV_AWS_65:Only for a test
  name = "prod"
}

resource "terraform_data" "role" {
  input = "arn:aws:iam::444455556666:role/ecs-task-notifier"
}

resource "terraform_data" "publisher" {
  input = "arn:aws:iam::444455556666:role/deploy"
}

resource "terraform_data" "rule" {
  input = "arn:aws:events:eu-west-1:111122223333:rule/release"
}
