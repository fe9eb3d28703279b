resource "aws_sns_topic" "release" {
  #checkov:skip=CKV_AWS_26:An example
  name = "release"
}
