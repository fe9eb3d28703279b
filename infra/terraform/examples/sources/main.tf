# A notifier whose observer queue receives events of every kind of source.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.8"
    }
  }
}

module "notifier" {
  source = "../.."

  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids
  signing_secret_arn = var.signing_secret_arn
  alarm_topic_arns   = var.alarm_topic_arns
  archives           = var.archives
  routes             = file("${path.module}/routes.toml")

  bucket_notifications = {
    prices = {
      bucket        = aws_s3_bucket.prices.id
      notifications = [{ filter_prefix = "prices/", filter_suffix = ".json" }]
    }
  }

  event_rules = {
    orders = {
      event_bus_name = aws_cloudwatch_event_bus.orders.name
      event_pattern  = jsonencode({ source = ["com.example.orders"], detail-type = ["Order Changed"] })
    }
    nightly = {
      schedule_expression = "cron(0 3 * * ? *)"
      # A direct message, which needs no rule in routes.toml.
      input = jsonencode({ cluster = "prod", services = ["search"] })
    }
  }

  topics = {
    release = { topic_arn = aws_sns_topic.release.arn }
  }

  table_pipes = {
    settings = {
      stream_arn      = aws_dynamodb_table.this["settings"].stream_arn
      filter_patterns = [jsonencode({ eventName = ["INSERT", "MODIFY"] })]
    }
  }

  table_streams = {
    prices = { stream_arn = aws_dynamodb_table.this["prices"].stream_arn, parallelization_factor = 2 }
  }
}
