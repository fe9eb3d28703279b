locals {
  archives_dir = coalesce(var.archives_dir, "${path.module}/../../target/lambda/${var.architecture}")
  bucket_full  = "${var.name_prefix}ecs-task-notifier-lambdas-${local.account}-${local.region}${var.name_suffix}"
  # S3 takes 63 characters. A hash of the full name stands for account and region where it is longer.
  bucket       = length(local.bucket_full) <= 63 ? local.bucket_full : "${var.name_prefix}ecs-task-notifier-lambdas-${substr(sha256(local.bucket_full), 0, 12)}${var.name_suffix}"
  bucket_count = length(local.functions) > 0 ? 1 : 0
}

resource "aws_s3_bucket" "archives" {
  #checkov:skip=CKV_AWS_18:Only Lambda reads the bucket, and CloudTrail records who writes it
  #checkov:skip=CKV_AWS_144:The archives can be built again
  #checkov:skip=CKV2_AWS_62:Nobody waits for a new archive

  count = local.bucket_count

  bucket        = local.bucket
  force_destroy = !var.keep_bucket
  tags          = local.tags
}

resource "aws_s3_bucket_public_access_block" "archives" {
  count = local.bucket_count

  bucket                  = aws_s3_bucket.archives[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "archives" {
  count = local.bucket_count

  bucket = aws_s3_bucket.archives[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "archives" {
  count = local.bucket_count

  bucket = aws_s3_bucket.archives[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "archives" {
  count = local.bucket_count

  bucket = aws_s3_bucket.archives[0].id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "archives" {
  count = local.bucket_count

  bucket = aws_s3_bucket.archives[0].id

  rule {
    id     = "forget-old-versions"
    status = "Enabled"

    filter {}

    # Long enough to roll back to an archive of a few releases ago.
    noncurrent_version_expiration {
      noncurrent_days = 90
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.archives]
}

data "aws_iam_policy_document" "archives" {
  count = local.bucket_count

  statement {
    sid       = "OnlyByTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.archives[0].arn, "${aws_s3_bucket.archives[0].arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "archives" {
  count = local.bucket_count

  bucket = aws_s3_bucket.archives[0].id
  policy = data.aws_iam_policy_document.archives[0].json

  depends_on = [aws_s3_bucket_public_access_block.archives]
}

resource "aws_s3_object" "archive" {
  for_each = local.functions

  bucket      = aws_s3_bucket.archives[0].id
  key         = "${each.value.binary}/${var.architecture}.zip"
  source      = "${local.archives_dir}/${each.value.binary}/bootstrap.zip"
  source_hash = filemd5("${local.archives_dir}/${each.value.binary}/bootstrap.zip")
  tags        = merge(local.tags, { Stage = each.key })

  # A version of an object written before versioning began could not be named.
  depends_on = [
    aws_s3_bucket_versioning.archives,
    aws_s3_bucket_server_side_encryption_configuration.archives,
  ]
}
