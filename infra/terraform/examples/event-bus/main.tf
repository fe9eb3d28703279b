# A bus that accepts events of other accounts, and a rule that sends them to the observer queue.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.8"
    }
  }
}

data "aws_partition" "current" {}

resource "aws_cloudwatch_event_bus" "notifier" {
  name = "notifier"
}

data "aws_iam_policy_document" "bus" {
  statement {
    sid       = "OtherAccountsMaySend"
    actions   = ["events:PutEvents"]
    resources = [aws_cloudwatch_event_bus.notifier.arn]

    principals {
      type        = "AWS"
      identifiers = [for account in var.accounts : "arn:${data.aws_partition.current.partition}:iam::${account}:root"]
    }
  }
}

resource "aws_cloudwatch_event_bus_policy" "notifier" {
  event_bus_name = aws_cloudwatch_event_bus.notifier.name
  policy         = data.aws_iam_policy_document.bus.json
}

module "notifier" {
  source = "../.."

  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids
  signing_secret_arn = var.signing_secret_arn
  alarm_topic_arns   = var.alarm_topic_arns
  archives           = var.archives

  event_rules = {
    orders = {
      event_bus_name = aws_cloudwatch_event_bus.notifier.name
      # A pattern on `account` keeps the events of each account apart from those of the others.
      event_pattern = jsonencode({ account = var.accounts, source = ["com.example.orders"] })
    }
  }
}
