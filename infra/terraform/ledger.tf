locals {
  ledger_count = var.create && var.create_ledger ? 1 : 0

  # Where outcomes are kept, as the setting `NOTIFIER_LEDGER` says it.
  ledger = local.ledger_count > 0 ? "dynamodb:${aws_dynamodb_table.ledger[0].name}" : "none"
}

# What the items mean is the code's business. It spreads a broadcast over partitions, so on-demand capacity suffices.
resource "aws_dynamodb_table" "ledger" {
  #checkov:skip=CKV_AWS_119:AWS's own key unless the user names one; a key costs a request for each use
  #checkov:skip=CKV2_AWS_16:Capacity is on demand, which needs no scaling
  #checkov:skip=CKV_AWS_28:The user decides; on by default

  count = local.ledger_count

  name         = "${var.name_prefix}ecs-task-notifier${var.name_suffix}"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"

  deletion_protection_enabled = var.ledger_deletion_protection

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  ttl {
    attribute_name = "expires"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.ledger_point_in_time_recovery
  }

  # Without a key of the user's own, the table is encrypted with the key of DynamoDB, which is free. The block is always
  # there: whether a key is given may be unknown until another resource of the same configuration is created.
  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = local.tags
}
