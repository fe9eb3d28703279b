# S3 must have no other notifications on this bucket: the module owns the bucket's whole notification configuration.
resource "aws_s3_bucket" "prices" {
  #checkov:skip=CKV_AWS_18:An example
  #checkov:skip=CKV_AWS_21:An example
  #checkov:skip=CKV_AWS_144:An example
  #checkov:skip=CKV_AWS_145:An example
  #checkov:skip=CKV2_AWS_61:An example
  #checkov:skip=CKV2_AWS_62:The module creates the notifications
  bucket_prefix = "prices-"
}

resource "aws_s3_bucket_public_access_block" "prices" {
  bucket                  = aws_s3_bucket.prices.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}
