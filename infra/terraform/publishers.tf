# Publishers from outside: principals, AWS services, and the key permissions that they need.

locals {
  # The ARN of a bucket has no account, so S3 must send the account. Other ARNs contain the account, and not every service
  # sends it in addition: if it does, it must match.
  publisher_services = {
    for index, publisher in var.publisher_services : "PublisherService${index + 1}" => {
      service        = publisher.service
      source_arns    = publisher.source_arns
      source_account = coalesce(publisher.source_account, local.account)
      account_test   = startswith(publisher.service, "s3.") ? "StringEquals" : "StringEqualsIfExists"
    }
  }

  publishers = merge(local.publisher_services, local.source_publishers)
}

# Statements that the policy of `kms_key_arn` needs in addition to the account's own. They depend on no resource that the
# key encrypts, so a key of the same configuration can use them.
data "aws_iam_policy_document" "key" {
  count = var.create ? 1 : 0

  # The log of the stream function is always included: a statement that depended on `table_streams` would depend on the
  # table, which the key may encrypt.
  statement {
    sid       = "EncryptLogs"
    actions   = ["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.${local.dns_suffix}"]
    }

    condition {
      test     = "ArnEquals"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values = [
        for function in concat([for stage in local.functions : stage.function], [local.stream.function]) :
        "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/lambda/${function}"
      ]
    }
  }

  # SQS encrypts the messages of a service with the permissions of that service.
  dynamic "statement" {
    for_each = merge(local.publishers, local.registry_publishers)

    content {
      sid       = statement.key
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = ["*"]

      principals {
        type        = "Service"
        identifiers = [statement.value.service]
      }

      condition {
        test     = "StringEqualsIfExists"
        variable = "aws:SourceAccount"
        values   = [statement.value.source_account]
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.publisher_arns) > 0 ? [var.publisher_arns] : []

    content {
      sid       = "Publishers"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = statement.value
      }

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = local.via["sqs"]
      }
    }
  }
}
