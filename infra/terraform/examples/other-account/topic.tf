# A topic of the other account. Its policy allows the notifier's account to subscribe.

data "aws_caller_identity" "notifier" {}

resource "aws_sns_topic" "release" {
  #checkov:skip=CKV_AWS_26:An example
  provider = aws.shop

  name = "release"
}

data "aws_iam_policy_document" "release" {
  statement {
    sid       = "NotifierMaySubscribe"
    actions   = ["sns:Subscribe"]
    resources = [aws_sns_topic.release.arn]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.notifier.account_id}:root"]
    }
  }
}

resource "aws_sns_topic_policy" "release" {
  provider = aws.shop

  arn    = aws_sns_topic.release.arn
  policy = data.aws_iam_policy_document.release.json
}
