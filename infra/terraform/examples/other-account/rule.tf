# A rule of the other account that sends to the observer queue, in the same region. EventBridge needs a role of the
# rule's own account, and the queue's policy admits this role by `publisher_arns`.
# Source: Amazon EventBridge User Guide, "Sending events to an AWS service in another account".

data "aws_iam_policy_document" "events_assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account]
    }
  }
}

resource "aws_iam_role" "events" {
  provider = aws.shop

  name               = "ecs-task-notifier-events"
  assume_role_policy = data.aws_iam_policy_document.events_assume.json
}

data "aws_iam_policy_document" "events" {
  statement {
    sid       = "PublishToObserverQueue"
    actions   = ["sqs:SendMessage"]
    resources = [module.notifier.observer_queue_arn]
  }
}

resource "aws_iam_role_policy" "events" {
  provider = aws.shop

  name   = "publish"
  role   = aws_iam_role.events.id
  policy = data.aws_iam_policy_document.events.json
}

resource "aws_cloudwatch_event_rule" "orders" {
  provider = aws.shop

  name          = "ecs-task-notifier-orders"
  event_pattern = jsonencode({ source = ["com.example.orders"] })
}

resource "aws_cloudwatch_event_target" "orders" {
  provider = aws.shop

  rule      = aws_cloudwatch_event_rule.orders.name
  target_id = "ecs-task-notifier"
  arn       = module.notifier.observer_queue_arn
  role_arn  = aws_iam_role.events.arn
}
