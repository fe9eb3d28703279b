# The source of the functions' code: a folder, a release to download, or a release in a bucket.

locals {
  from_s3      = var.archives.s3 != null
  from_release = var.archives.version != null && !local.from_s3

  bucket_full = "${var.name_prefix}ecs-task-notifier-lambdas-${local.account}-${local.region}${var.name_suffix}"
  # S3 allows 63 characters. In a longer name, a hash of the full name replaces account and region.
  bucket       = length(local.bucket_full) <= 63 ? local.bucket_full : "${var.name_prefix}ecs-task-notifier-lambdas-${substr(sha256(local.bucket_full), 0, 12)}${var.name_suffix}"
  bucket_count = length(local.archived) > 0 && !local.from_s3 ? 1 : 0

  # Below the working directory, so that the path is the same on every machine.
  release_dir = ".terraform/ecs-task-notifier/${coalesce(var.archives.version, "none")}-${var.architecture}"
  release_url = coalesce(
    var.archives.url,
    "https://github.com/ecs-task-notifier/ecs-task-notifier/releases/download/v${coalesce(var.archives.version, "0")}",
  )
  release_names = {
    for name, it in local.archived :
    name => "ecs-task-notifier-${coalesce(var.archives.version, "0")}-lambda-${var.architecture}-${it.binary}.zip"
  }

  files_dir = coalesce(var.archives.files, "${path.module}/../../target/lambda/${var.architecture}")
  # A folder may contain a release's archives instead of those from `make lambda`.
  released = {
    for name, it in local.archived :
    name => tolist(fileset(local.files_dir, "ecs-task-notifier-*-lambda-${var.architecture}-${it.binary}.zip"))
  }
  files = {
    for name, it in local.archived : name => "${local.files_dir}/${
      length(local.released[name]) > 0 ? local.released[name][0] : "${it.binary}/bootstrap.zip"
    }"
  }

  # The location of the code for Lambda.
  code = {
    for name in keys(local.archived) : name => local.from_s3 ? {
      bucket  = var.archives.s3.bucket
      key     = "${var.archives.s3.prefix}${local.release_names[name]}"
      version = null
      } : {
      bucket  = aws_s3_object.archive[name].bucket
      key     = aws_s3_object.archive[name].key
      version = aws_s3_object.archive[name].version_id
    }
  }
}

# Downloads a release whenever Terraform must upload its archives again.
resource "terraform_data" "release" {
  count = local.from_release ? local.bucket_count : 0

  triggers_replace = [
    local.release_names, local.release_url, var.archives.sha256, aws_s3_bucket.archives[0].id, var.kms_key_arn,
  ]

  provisioner "local-exec" {
    interpreter = ["sh", "${path.module}/fetch_release.sh"]
    command     = local.release_dir

    environment = {
      RELEASE_URL    = local.release_url
      RELEASE_SHA256 = var.archives.sha256
      RELEASE_FILES  = join(" ", values(local.release_names))
    }
  }
}

resource "aws_s3_bucket" "archives" {
  #checkov:skip=CKV_AWS_18:Only Lambda reads the bucket, and CloudTrail records its writers
  #checkov:skip=CKV_AWS_144:The archives can be built again
  #checkov:skip=CKV2_AWS_62:Nothing depends on notifications of new archives

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

    # Long enough for a rollback to an archive of a few releases ago.
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
  for_each = { for name, it in local.archived : name => it if !local.from_s3 }

  bucket = aws_s3_bucket.archives[0].id
  key    = "${each.value.binary}/${var.architecture}.zip"
  source = local.from_release ? "${local.release_dir}/${local.release_names[each.key]}" : local.files[each.key]

  # The file of a release does not exist before the download, but its checksum is known.
  source_hash = (
    local.from_release ? "${var.archives.version} ${var.archives.sha256}" :
    fileexists(local.files[each.key]) ? filemd5(local.files[each.key]) : null
  )

  # An object may have ten tags, other resources fifty. With the default tags of the user's provider it might have too many.
  override_provider {
    default_tags {
      tags = {}
    }
  }

  lifecycle {
    precondition {
      condition     = local.from_release || fileexists(local.files[each.key])
      error_message = "${local.files[each.key]} is missing. `make lambda` builds the functions' archives. Without a build, set `archives` to a release."
    }

    precondition {
      condition     = local.from_release || length(local.released[each.key]) <= 1
      error_message = "${local.files_dir} contains several versions of ${each.value.binary}: keep one."
    }
  }

  depends_on = [
    terraform_data.release,
    # An object that is uploaded before versioning is enabled has no version id.
    aws_s3_bucket_versioning.archives,
    aws_s3_bucket_server_side_encryption_configuration.archives,
  ]
}
