# Variables of the sources of events, of the routing rules and of other accounts.

variable "bucket_notifications" {
  description = "S3 buckets whose event notifications go to the observer queue. The bucket must be in the region of the queue. S3 has one notification configuration for each bucket, and the module owns it with `create = true`: **it removes every other notification of the bucket**. Where somebody else owns it, set `create = false` and add `observer_queue_arn` there; then the module only allows the bucket to send. Set `account` for a bucket of another account. `eventbridge` keeps the bucket's delivery to EventBridge on"
  type = map(object({
    bucket      = string
    account     = optional(string)
    create      = optional(bool)
    eventbridge = optional(bool, false)
    notifications = optional(list(object({
      events        = optional(list(string), ["s3:ObjectCreated:*"])
      filter_prefix = optional(string)
      filter_suffix = optional(string)
    })), [{}])
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.bucket_notifications) : can(regex("^[a-z0-9][a-z0-9-]{0,24}$", name))])
    error_message = "Every key of bucket_notifications must have at most 25 lower-case letters, digits and hyphens."
  }

  validation {
    condition     = alltrue([for it in var.bucket_notifications : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", it.bucket))])
    error_message = "Every bucket of bucket_notifications must be the name of a bucket, not its ARN."
  }

  validation {
    condition     = alltrue([for it in var.bucket_notifications : it.account == null || can(regex("^[0-9]{12}$", it.account))])
    error_message = "account of bucket_notifications must be the 12 digits of an account."
  }

  validation {
    condition = alltrue(flatten([
      for it in var.bucket_notifications : [
        length(it.notifications) > 0,
        [for notification in it.notifications : length(notification.events) > 0 && alltrue([for event in notification.events : startswith(event, "s3:")])],
      ]
    ]))
    error_message = "Every entry of bucket_notifications must have notifications, and every one of these events such as `s3:ObjectCreated:*` or `s3:LifecycleExpiration:*`."
  }
}

variable "event_rules" {
  description = "Rules of EventBridge whose events go to the observer queue: `event_pattern` (JSON), or `schedule_expression` on the default bus. `event_bus_name` is the name or the ARN of a bus of this account and region. `input` sends a constant text instead of the event, for example a direct message of a schedule. EventBridge sends an event that it cannot deliver to the dead letters of the observer queue"
  type = map(object({
    description         = optional(string)
    event_pattern       = optional(string)
    schedule_expression = optional(string)
    event_bus_name      = optional(string, "default")
    state               = optional(string, "ENABLED")
    input               = optional(string)
    input_transformer = optional(object({
      input_paths    = optional(map(string))
      input_template = string
    }))
    maximum_event_age_in_seconds = optional(number, 86400)
    maximum_retry_attempts       = optional(number, 185)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.event_rules) : can(regex("^[a-z0-9][a-z0-9-]{0,24}$", name))])
    error_message = "Every key of event_rules must have at most 25 lower-case letters, digits and hyphens, because it is part of the rule's name."
  }

  validation {
    condition     = alltrue([for rule in var.event_rules : rule.event_pattern != null || rule.schedule_expression != null])
    error_message = "Every entry of event_rules must have event_pattern or schedule_expression."
  }

  validation {
    condition     = alltrue([for rule in var.event_rules : rule.event_pattern == null || can(keys(jsondecode(rule.event_pattern)))])
    error_message = "event_pattern of event_rules must be a JSON object: use jsonencode."
  }

  validation {
    condition = alltrue([
      for rule in var.event_rules :
      rule.schedule_expression == null || (rule.event_bus_name == "default" && can(regex("^(rate|cron)[(].+[)]$", rule.schedule_expression)))
    ])
    error_message = "schedule_expression of event_rules must be such as `rate(1 day)` or `cron(0 6 * * ? *)`, and EventBridge supports it only on the default bus."
  }

  validation {
    condition     = alltrue([for rule in var.event_rules : contains(["ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"], rule.state)])
    error_message = "state of event_rules must be `ENABLED`, `DISABLED` or `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`."
  }

  validation {
    condition     = alltrue([for rule in var.event_rules : rule.input == null || rule.input_transformer == null])
    error_message = "An entry of event_rules may have input or input_transformer, not both."
  }

  validation {
    condition = alltrue([
      for rule in var.event_rules :
      rule.maximum_event_age_in_seconds >= 60 && rule.maximum_event_age_in_seconds <= 86400 && rule.maximum_retry_attempts >= 0 && rule.maximum_retry_attempts <= 185
    ])
    error_message = "In event_rules, maximum_event_age_in_seconds must be from 60 to 86400, and maximum_retry_attempts from 0 to 185."
  }
}

variable "topics" {
  description = "SNS topics that the observer queue subscribes to, also of other accounts, whose topic's policy must allow this account `sns:Subscribe`. `filter_policy` is JSON, and `filter_policy_scope` says what it filters: `MessageAttributes` or `MessageBody`. SNS sends a message that it cannot deliver to the dead letters of the observer queue, unless `redrive = false`. `create = false` only allows the topic to send, for a subscription that exists elsewhere: the provider must be in the region of the topic"
  type = map(object({
    topic_arn            = string
    create               = optional(bool, true)
    raw_message_delivery = optional(bool, false)
    filter_policy        = optional(string)
    filter_policy_scope  = optional(string, "MessageAttributes")
    redrive              = optional(bool, true)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for topic in var.topics : can(regex("^arn:[^:*?]+:sns:[^:*?]+:[0-9]{12}:[^:*?]+$", topic.topic_arn))])
    error_message = "topic_arn of topics must be the ARN of a topic, without `*`."
  }

  validation {
    condition     = alltrue([for topic in var.topics : topic.filter_policy == null || can(keys(jsondecode(topic.filter_policy)))])
    error_message = "filter_policy of topics must be a JSON object: use jsonencode."
  }

  validation {
    condition     = alltrue([for topic in var.topics : contains(["MessageAttributes", "MessageBody"], topic.filter_policy_scope)])
    error_message = "filter_policy_scope of topics must be `MessageAttributes` or `MessageBody`."
  }
}

variable "table_pipes" {
  description = "Streams of DynamoDB tables of this account and region that an EventBridge Pipe reads into the observer queue, each with a role of its own. `filter_patterns` are at most five patterns (JSON), of which one must match. `table_kms_key_arn` is the customer-managed key of the table. The position of records that are given up goes to the queue `stream_dead_letter_queue_url`; the stream itself keeps them for 24 hours"
  type = map(object({
    stream_arn                         = string
    enabled                            = optional(bool, true)
    filter_patterns                    = optional(list(string), [])
    starting_position                  = optional(string, "LATEST")
    batch_size                         = optional(number, 10)
    maximum_batching_window_in_seconds = optional(number, 0)
    maximum_record_age_in_seconds      = optional(number, 43200)
    maximum_retry_attempts             = optional(number, 100)
    parallelization_factor             = optional(number, 1)
    table_kms_key_arn                  = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.table_pipes) : can(regex("^[a-z0-9][a-z0-9-]{0,24}$", name))])
    error_message = "Every key of table_pipes must have at most 25 lower-case letters, digits and hyphens, because it is part of the pipe's name."
  }

  validation {
    condition     = alltrue([for pipe in var.table_pipes : can(regex("^arn:[^:*?]+:dynamodb:[^:*?]+:[0-9]{12}:table/[^/*?]+/stream/[^*?]+$", pipe.stream_arn))])
    error_message = "stream_arn of table_pipes must be the ARN of a stream (the attribute `stream_arn` of a table), without `*`."
  }

  validation {
    condition = alltrue([
      for pipe in var.table_pipes :
      length(pipe.filter_patterns) <= 5 && alltrue([for pattern in pipe.filter_patterns : can(keys(jsondecode(pattern)))])
    ])
    error_message = "filter_patterns of table_pipes must have at most five JSON objects: use jsonencode."
  }

  # A target that is a queue takes at most 10 records at a time.
  validation {
    condition = alltrue(flatten([
      for pipe in var.table_pipes : [
        for limit in [
          [pipe.batch_size, 1, 10], [pipe.maximum_batching_window_in_seconds, 0, 300], [pipe.maximum_record_age_in_seconds, 60, 86400],
          [pipe.maximum_retry_attempts, 0, 10000], [pipe.parallelization_factor, 1, 10],
        ] : limit[0] >= limit[1] && limit[0] <= limit[2]
      ]
    ]))
    error_message = "A value of table_pipes is out of range. The ranges: batch_size from 1 to 10, maximum_batching_window_in_seconds from 0 to 300, maximum_record_age_in_seconds from 60 to 86400, maximum_retry_attempts from 0 to 10000, parallelization_factor from 1 to 10."
  }

  validation {
    condition     = alltrue([for pipe in var.table_pipes : contains(["LATEST", "TRIM_HORIZON"], pipe.starting_position)])
    error_message = "starting_position of table_pipes must be `LATEST` or `TRIM_HORIZON`."
  }
}

variable "table_streams" {
  description = "Streams of DynamoDB tables of this account and region that the function `ecs_table_stream` reads into the observer queue. Unlike a pipe it reads more than 10 records at a time. The function exists only if there is an entry, also with `create_functions = false`. The other attributes are those of `table_pipes`"
  type = map(object({
    stream_arn                         = string
    enabled                            = optional(bool, true)
    filter_patterns                    = optional(list(string), [])
    starting_position                  = optional(string, "LATEST")
    batch_size                         = optional(number, 100)
    maximum_batching_window_in_seconds = optional(number, 0)
    maximum_record_age_in_seconds      = optional(number, 43200)
    maximum_retry_attempts             = optional(number, 100)
    parallelization_factor             = optional(number, 1)
    table_kms_key_arn                  = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for it in var.table_streams : can(regex("^arn:[^:*?]+:dynamodb:[^:*?]+:[0-9]{12}:table/[^/*?]+/stream/[^*?]+$", it.stream_arn))])
    error_message = "stream_arn of table_streams must be the ARN of a stream (the attribute `stream_arn` of a table), without `*`."
  }

  validation {
    condition = alltrue([
      for it in var.table_streams :
      length(it.filter_patterns) <= 5 && alltrue([for pattern in it.filter_patterns : can(keys(jsondecode(pattern)))])
    ])
    error_message = "filter_patterns of table_streams must have at most five JSON objects: use jsonencode."
  }

  validation {
    condition = alltrue(flatten([
      for it in var.table_streams : [
        for limit in [
          [it.batch_size, 1, 1000], [it.maximum_batching_window_in_seconds, 0, 300], [it.maximum_record_age_in_seconds, 60, 86400],
          [it.maximum_retry_attempts, 0, 10000], [it.parallelization_factor, 1, 10],
        ] : limit[0] >= limit[1] && limit[0] <= limit[2]
      ]
    ]))
    error_message = "A value of table_streams is out of range. The ranges: batch_size from 1 to 1000, maximum_batching_window_in_seconds from 0 to 300, maximum_record_age_in_seconds from 60 to 86400, maximum_retry_attempts from 0 to 10000, parallelization_factor from 1 to 10."
  }

  validation {
    condition     = alltrue([for it in var.table_streams : contains(["LATEST", "TRIM_HORIZON"], it.starting_position)])
    error_message = "starting_position of table_streams must be `LATEST` or `TRIM_HORIZON`."
  }
}

variable "routes" {
  description = "Routing rules (TOML): what becomes of an event, for example `file(\"routes.toml\")`. The module stores them in a parameter of Systems Manager, which the first stage reads. Above 4,096 bytes it is an advanced parameter, about 0.05 USD a month. Check them first: `ecs-task-notifier routes check`"
  type        = string
  default     = null

  # Systems Manager counts bytes, and so does Base64: four characters for three bytes.
  validation {
    condition     = var.routes == null ? true : length(base64encode(var.routes)) / 4 * 3 - length(regexall("=", base64encode(var.routes))) <= 8192
    error_message = "routes must have at most 8,192 bytes, the limit of a parameter. Divide the rules among several installations, or shorten their patterns."
  }

  validation {
    condition     = var.routes == null ? true : can(regex("(?m)^\\s*(\\[\\[\\s*route\\s*\\]\\]|route\\s*=)", var.routes))
    error_message = "routes must be the text of the rules, with at least one `[[route]]`, not the name of a file."
  }
}

variable "routes_parameter" {
  description = "Name or ARN of an existing parameter (type String) with the rules, instead of `routes`. With `discovery_in_vpc`, the first stage needs access to Systems Manager"
  type        = string
  default     = null

  validation {
    condition     = var.routes_parameter == null || can(regex("^(arn:[^:*?]+:ssm:[^:*?]+:[0-9]{12}:parameter)?[/A-Za-z0-9_.-]+$", var.routes_parameter))
    error_message = "routes_parameter must be the name or the ARN of a parameter of Systems Manager."
  }
}

variable "cluster_regions" {
  description = "Further regions of this account whose clusters the functions may read. Default: only the module's region"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.cluster_regions : can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", region))])
    error_message = "Every entry of cluster_regions must be the name of a region such as `eu-central-1`."
  }
}

variable "cluster_roles" {
  description = "Roles of other accounts that the functions assume to read the clusters there, at most one for each account. `modules/cluster-role` creates such a role. An account without a role here is never read"
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.cluster_roles : can(regex("^arn:[^:*?]+:iam::[0-9]{12}:role/[^*?]+$", arn))])
    error_message = "Every entry of cluster_roles must be the ARN of a role, without `*`."
  }

  validation {
    condition     = length(distinct([for arn in var.cluster_roles : element(split(":", arn), 4)])) == length(var.cluster_roles)
    error_message = "cluster_roles must have at most one role for each account."
  }
}

variable "cluster_role_external_id" {
  description = "External id that the trust policies of these roles require"
  type        = string
  default     = null

  validation {
    condition     = var.cluster_role_external_id == null ? true : (can(regex("^[A-Za-z0-9+=,.@:/-]+$", var.cluster_role_external_id)) && length(var.cluster_role_external_id) >= 2 && length(var.cluster_role_external_id) <= 1224)
    error_message = "cluster_role_external_id must have 2 to 1,224 letters, digits and characters of `+=,.@:/-`."
  }
}

variable "anywhere" {
  description = "Whether tasks on hosts outside AWS (ECS Anywhere) are called too, at the addresses that Systems Manager knows. Needs `allow_networks` with the networks of these hosts"
  type        = bool
  default     = false
}

variable "stop_on_alarms" {
  description = "Whether the second stage may read the states of all CloudWatch alarms of the account and Region, for broadcasts with `--stop-on-alarm`"
  type        = bool
  default     = false
}
