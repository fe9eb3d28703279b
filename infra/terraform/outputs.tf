locals {
  # Settings for a person's shell. The values come from AWS, and none contains a quotation mark.
  shell_settings = merge(local.registry_settings, !var.create ? {} : {
    AWS_REGION                  = local.region
    NOTIFIER_LEDGER             = local.ledger
    NOTIFIER_OBSERVER_QUEUE_URL = aws_sqs_queue.this["services"].url
    NOTIFIER_SERVICES_QUEUE_URL = aws_sqs_queue.this["tasks"].url
    NOTIFIER_TASKS_QUEUE_URL    = aws_sqs_queue.this["notify"].url
  })
}

output "queue_urls" {
  description = "URLs of the queues by the stage that processes them, not by the names of the settings: `services` is the observer queue, which receives requests for broadcasts"
  value       = { for stage, queue in aws_sqs_queue.this : stage => queue.url }
}

output "queue_arns" {
  description = "ARNs of the queues by stage"
  value       = { for stage, queue in aws_sqs_queue.this : stage => queue.arn }
}

output "observer_queue_url" {
  description = "URL of the queue that receives requests for broadcasts, for `NOTIFIER_OBSERVER_QUEUE_URL`"
  value       = try(aws_sqs_queue.this["services"].url, null)
}

output "observer_queue_arn" {
  description = "ARN of this queue, for notifications, rules and subscriptions that are not created here"
  value       = try(aws_sqs_queue.this["services"].arn, null)
}

output "services_queue_url" {
  description = "URL of the queue of services, which the stage `tasks` processes, for `NOTIFIER_SERVICES_QUEUE_URL`"
  value       = try(aws_sqs_queue.this["tasks"].url, null)
}

output "tasks_queue_url" {
  description = "URL of the queue of tasks, which the stage `notify` processes, for `NOTIFIER_TASKS_QUEUE_URL`"
  value       = try(aws_sqs_queue.this["notify"].url, null)
}

output "registry_queue_url" {
  description = "URL of the queue of task state change events, for `NOTIFIER_REGISTRY_QUEUE_URL`; null without `registry`"
  value       = try(aws_sqs_queue.this["registry"].url, null)
}

output "registry_settings" {
  description = "Environment variables of the registry, for a daemon; empty without `registry`"
  value       = local.registry_settings
}

output "registry_rule_arn" {
  description = "ARN of the rule that sends task state change events; null without `registry`"
  value       = one(aws_cloudwatch_event_rule.registry[*].arn)
}

output "environment_file" {
  description = "Region, queues and ledger as shell variables. Write them into a file and `source` it: `terraform output -raw environment_file`"
  value       = join("", [for name, value in local.shell_settings : "export ${name}='${value}'\n"])
}

output "dead_letter_queue_urls" {
  description = "URLs of the dead-letter queues by stage"
  value       = { for stage, queue in aws_sqs_queue.dead_letters : stage => queue.url }
}

output "dead_letter_queue_arns" {
  description = "ARNs of the dead-letter queues by stage"
  value       = { for stage, queue in aws_sqs_queue.dead_letters : stage => queue.arn }
}

output "function_names" {
  description = "Names of the functions by stage"
  value       = { for stage, function in aws_lambda_function.this : stage => function.function_name }
}

output "function_arns" {
  description = "ARNs of the functions by stage"
  value       = { for stage, function in aws_lambda_function.this : stage => function.arn }
}

output "role_arns" {
  description = "ARNs of the functions' roles by stage"
  value       = { for stage, role in aws_iam_role.function : stage => role.arn }
}

output "role_ids" {
  description = "Unique ids of the functions' roles by stage. A daemon on the same queues needs them in `NOTIFIER_TRUSTED_SENDERS`"
  value       = { for stage, role in aws_iam_role.function : stage => role.unique_id }
}

output "policies" {
  description = "IAM policies (JSON) for people and pipelines, by command: `plan`, `publish`, `report`, `redrive`, `cancel`"
  value       = { for task, document in data.aws_iam_policy_document.people : task => document.json }
}

output "kms_key_policy" {
  description = "Statements (JSON) that the policy of `kms_key_arn` needs in addition to the account's own, for `source_policy_documents`"
  value       = one(data.aws_iam_policy_document.key[*].json)
}

output "event_rule_arns" {
  description = "ARNs of the rules of `event_rules`"
  value       = { for name, rule in aws_cloudwatch_event_rule.this : name => rule.arn }
}

output "subscription_arns" {
  description = "ARNs of the subscriptions of `topics`"
  value       = { for name, subscription in aws_sns_topic_subscription.this : name => subscription.arn }
}

output "pipe_arns" {
  description = "ARNs of the pipes of `table_pipes`"
  value       = { for name, pipe in aws_pipes_pipe.this : name => pipe.arn }
}

output "stream_function_name" {
  description = "Name of the function that reads `table_streams`; null without one"
  value       = one(aws_lambda_function.stream[*].function_name)
}

output "stream_dead_letter_queue_url" {
  description = "URL of the queue with the positions of records that pipes and the stream function gave up; null without streams"
  value       = one(aws_sqs_queue.stream_dead_letters[*].url)
}

output "routes" {
  description = "Value of `NOTIFIER_ROUTES`: `ssm:NAME`; null without rules"
  value       = local.routes
}

output "routes_parameter_arn" {
  description = "ARN of the parameter with the rules, for the role of a daemon; null without rules"
  value       = one(local.routes_parameter_arns)
}

output "log_group_names" {
  description = "Names of the functions' log groups by stage"
  value       = { for stage, group in aws_cloudwatch_log_group.function : stage => group.name }
}

output "ledger" {
  description = "Value of `NOTIFIER_LEDGER`: `dynamodb:TABLE` or `none`"
  value       = local.ledger
}

output "ledger_arn" {
  description = "ARN of the ledger's table; null without a ledger"
  value       = one(aws_dynamodb_table.ledger[*].arn)
}

output "dynamodb_prefix_list_id" {
  description = "Prefix list of DynamoDB's gateway endpoint: the notify function's security group must allow egress to it on port 443; null without this endpoint"
  value       = one(aws_vpc_endpoint.dynamodb[*].prefix_list_id)
}

output "bucket" {
  description = "Name of the bucket with the function archives"
  value       = one(aws_s3_bucket.archives[*].id)
}

output "dashboard_name" {
  description = "Name of the dashboard"
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}

output "discovery_actions" {
  description = "ECS, EC2 and Systems Manager actions of all stages together, for the role of a daemon"
  value       = local.discovery_actions
}

output "ledger_actions" {
  description = "DynamoDB actions of all stages together, for the role of a daemon"
  value       = sort(distinct(flatten([for stage in local.all_stages : stage.ledger_actions])))
}
