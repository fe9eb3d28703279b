# A bucket of the other account. Only the provider of that account can write its notifications.
resource "aws_s3_bucket" "prices" {
  #checkov:skip=CKV_AWS_18:An example
  #checkov:skip=CKV_AWS_21:An example
  #checkov:skip=CKV_AWS_144:An example
  #checkov:skip=CKV_AWS_145:An example
  #checkov:skip=CKV2_AWS_6:An example
  #checkov:skip=CKV2_AWS_61:An example
  provider = aws.shop

  bucket_prefix = "prices-"
}

resource "aws_s3_bucket_notification" "prices" {
  provider = aws.shop

  bucket = aws_s3_bucket.prices.id

  queue {
    queue_arn = module.notifier.observer_queue_arn
    events    = ["s3:ObjectCreated:*"]
  }

  # S3 refuses a queue that it may not write: the module first writes the queue's policy.
  depends_on = [module.notifier]
}
