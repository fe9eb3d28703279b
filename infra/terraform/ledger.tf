locals {
  ledger_count = var.create && var.create_ledger ? 1 : 0

  # Value of the setting `NOTIFIER_LEDGER`.
  ledger = local.ledger_count > 0 ? "dynamodb:${aws_dynamodb_table.ledger[0].name}" : "none"
}

# The code defines the items. It spreads a broadcast over several partitions, so on-demand capacity suffices.
resource "aws_dynamodb_table" "ledger" {
  #checkov:skip=CKV_AWS_119:AWS's own key unless the user sets one; each use of a key costs a request
  #checkov:skip=CKV2_AWS_16:On-demand capacity needs no scaling
  #checkov:skip=CKV_AWS_28:A variable sets it; on by default

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

  # Without a customer-managed key, DynamoDB encrypts the table with its own key, which is free. The block is always
  # present, because during plan it may be unknown whether a key is set.
  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = local.tags
}
