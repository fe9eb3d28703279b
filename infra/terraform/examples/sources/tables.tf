# A stream keeps each change for 24 hours. `NEW_IMAGE` includes the item as it is now, `KEYS_ONLY` only its key.
resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_28:An example
  #checkov:skip=CKV_AWS_119:An example
  #checkov:skip=CKV2_AWS_16:On-demand capacity needs no scaling
  for_each = toset(["settings", "prices"])

  name             = "notifier-example-${each.key}"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "id"
  stream_enabled   = true
  stream_view_type = "NEW_IMAGE"

  attribute {
    name = "id"
    type = "S"
  }
}
