variable "create" {
  description = "Whether to create any resources"
  type        = bool
  default     = true
}

variable "create_functions" {
  description = "Whether to create the functions of the stages with their roles, archives and alarms. Without them a daemon processes the queues: see `examples/ecs-daemon`"
  type        = bool
  default     = true
}

variable "name_prefix" {
  description = "Prefix of every name, for several stacks in one account and region"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9-]{0,11})?$", var.name_prefix))
    error_message = "name_prefix must have at most 12 lower-case letters, digits and hyphens, and begin with a letter or digit. The name of the bucket allows no other characters."
  }

  validation {
    condition     = !can(regex("^(sg-|xn--|sthree-)", var.name_prefix))
    error_message = "name_prefix must not begin with `sg-`, `xn--` or `sthree-`: AWS reserves these prefixes for names of security groups and buckets."
  }
}

variable "name_suffix" {
  description = "Suffix of every name"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9-]{0,7}[a-z0-9])?$", var.name_suffix))
    error_message = "name_suffix must have at most 8 lower-case letters, digits and hyphens, and end with a letter or digit. The name of the bucket allows no other characters."
  }

  validation {
    condition     = !can(regex("(-s3alias|--ol-s3|--x-s3|-an)$", var.name_suffix))
    error_message = "name_suffix must not end with `-s3alias`, `--ol-s3`, `--x-s3` or `-an`: AWS reserves these suffixes for names of buckets."
  }
}

variable "tags" {
  description = "Tags of all resources that support tags"
  type        = map(string)
  default     = {}
}

variable "kms_key_arn" {
  description = "KMS key for queues, ledger, bucket, logs and the functions' environment. Default: AWS's own keys. The output `kms_key_policy` has the statements that the key's policy needs"
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key, not of an alias."
  }
}

variable "signing_secret_arn" {
  description = "Secret of Secrets Manager, or SecureString parameter of Systems Manager, with the keys that sign requests to tasks. `ecs-task-notifier keygen` makes a key; Terraform never reads it"
  type        = string
  default     = null

  validation {
    condition = var.signing_secret_arn == null || can(regex(
      "^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:|ssm:[^:]+:[0-9]{12}:parameter/)[^*?]+$", var.signing_secret_arn
    ))
    error_message = "signing_secret_arn must be the ARN of a secret of Secrets Manager, or of a parameter of Systems Manager."
  }
}

variable "signing_secret_kms_key_arn" {
  description = "KMS key that encrypts this secret. Default: AWS's own key"
  type        = string
  default     = null

  validation {
    condition     = var.signing_secret_kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", var.signing_secret_kms_key_arn))
    error_message = "signing_secret_kms_key_arn must be the ARN of a key, not of an alias."
  }
}

variable "secret_arns" {
  description = "Further secrets of Secrets Manager and parameters of Systems Manager that the notify function may read: keys of single services (`NOTIFIER_SIGNING_SECRETS`), request headers (`NOTIFIER_HEADERS_SECRET`), a private certificate authority and a client certificate (`NOTIFIER_TLS_CA`, `NOTIFIER_TLS_CERTIFICATE`, `NOTIFIER_TLS_KEY`). Set these variables in `environment`"
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for arn in var.secret_arns :
      can(regex("^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:|ssm:[^:]+:[0-9]{12}:parameter/)[^*?]+$", arn))
    ])
    error_message = "Every entry of secret_arns must be the ARN of a secret of Secrets Manager, or of a parameter of Systems Manager."
  }
}

variable "secret_kms_key_arns" {
  description = "KMS keys that encrypt these secrets, except AWS's own keys"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.secret_kms_key_arns : can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", arn))])
    error_message = "Every entry of secret_kms_key_arns must be the ARN of a key, not of an alias."
  }
}

variable "secret_stores" {
  description = "Services that store all these secrets, `secretsmanager` or `ssm`. With `create_vpc_endpoints` each gets an endpoint. The module cannot derive them from the ARNs, which may be unknown during plan"
  type        = list(string)
  default     = ["secretsmanager"]

  validation {
    condition     = alltrue([for store in var.secret_stores : contains(["secretsmanager", "ssm"], store)])
    error_message = "Every entry of secret_stores must be `secretsmanager` or `ssm`."
  }
}

variable "unsigned" {
  description = "Whether to send requests without a signature. Tasks then cannot distinguish them from requests of other senders"
  type        = bool
  default     = false
}

variable "subnet_ids" {
  description = "Subnets of the notify function, from which the tasks must be reachable. Use two, in two availability zones, so that the function still works when one fails. With `create_vpc_endpoints`, use one in each zone: AWS refuses two"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "Every entry of subnet_ids must begin with `subnet-`."
  }
}

variable "security_group_ids" {
  description = "Security groups of the notify function. They must allow egress to the tasks' ports and to port 443 of the AWS endpoints. The tasks' security groups must allow ingress from them"
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.security_group_ids) <= 5 && alltrue([for id in var.security_group_ids : startswith(id, "sg-")])
    error_message = "security_group_ids must have at most five ids, and each must begin with `sg-`."
  }
}

variable "ipv6" {
  description = "Whether the functions in the VPC get IPv6 addresses, for calls to tasks in IPv6-only subnets. The subnets of the functions must be dual-stack"
  type        = bool
  default     = false
}

variable "discovery_in_vpc" {
  description = "Whether the two discovery functions, and those of the registry and of streams if they exist, are in the VPC too. They call only AWS, so they do not need the VPC. In the VPC they need the same access to ECS, EC2, SQS and DynamoDB as the notify function"
  type        = bool
  default     = false
}

variable "create_vpc_endpoints" {
  description = "Whether to create VPC endpoints, for subnets without NAT. Their private DNS applies to the whole VPC: all its workloads then reach these services through the endpoints. The endpoints accept every network of the VPC; `vpc_endpoint_networks` adds others"
  type        = bool
  default     = false
}

variable "vpc_id" {
  description = "VPC of the endpoints. It needs DNS support and DNS hostnames"
  type        = string
  default     = null
}

variable "vpc_endpoint_services" {
  description = "AWS services that get an interface endpoint: those that the notify function calls, except DynamoDB and `secret_stores`"
  type        = list(string)
  default     = ["ec2", "ecs", "sqs"]
}

variable "existing_vpc_endpoints" {
  description = "Services that already have an endpoint in the VPC, `dynamodb` included. The module creates none for them, because AWS refuses a second endpoint with the same private DNS. The existing endpoint must accept the functions on port 443"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for service in var.existing_vpc_endpoints : can(regex("^[a-z0-9][a-z0-9.-]*$", service)) && !strcontains(service, "amazonaws")])
    error_message = "Every entry of existing_vpc_endpoints must be the short name of a service, such as `sqs` or `dynamodb`."
  }
}

variable "vpc_endpoint_service_names" {
  description = "Full names of endpoint services, by short name, if they are not `com.amazonaws.<region>.<service>`. The module knows the names in China for `ec2`, `ecr.api`, `ecr.dkr`, `sqs` and `sts`"
  type        = map(string)
  default     = {}
}

variable "vpc_endpoint_networks" {
  description = "Networks outside the VPC, in CIDR notation, that use its DNS and so its endpoints: peered VPCs, a VPN. Also the IPv6 networks of the VPC after the first, which AWS does not list with the VPC"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.vpc_endpoint_networks : can(cidrhost(cidr, 0))])
    error_message = "Every entry of vpc_endpoint_networks must be a network such as `10.0.0.0/8` or `fd00::/8`."
  }
}

variable "route_table_ids" {
  description = "Route tables of the subnets, for the gateway endpoint of DynamoDB that `create_vpc_endpoints` adds for the ledger. AWS refuses route tables that already have a route to DynamoDB: leave these out. If all have one, add `dynamodb` to `existing_vpc_endpoints`"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.route_table_ids : startswith(id, "rtb-")])
    error_message = "Every entry of route_table_ids must begin with `rtb-`."
  }
}

variable "architecture" {
  description = "Processor of the functions: `arm64` or `x86_64`"
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be `arm64` or `x86_64`."
  }
}

variable "archives" {
  description = "Source of the functions' archives. `files`: a folder with `<function>/bootstrap.zip`, the output of `make lambda`, or with the zip files of a release. `version` with `sha256`: a release. Terraform downloads the archives and compares them with the release's `SHA256SUMS`; `sha256` is the SHA-256 of that file, and `url` is another place with the release's files. `version` with `s3`: the release's files in a bucket of the same region, below `prefix`. Default: `target/lambda/<architecture>` of this repository"
  type = object({
    files   = optional(string)
    version = optional(string)
    sha256  = optional(string)
    url     = optional(string)
    s3 = optional(object({
      bucket = string
      prefix = optional(string, "")
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.archives.files == null || (var.archives.version == null && var.archives.s3 == null)
    error_message = "archives must have either files or the version of a release, not both."
  }

  validation {
    condition     = var.archives.version == null || can(regex("^[0-9]+[.][0-9]+[.][0-9]+(-[0-9A-Za-z.-]+)?$", var.archives.version))
    error_message = "archives.version must be a version such as `1.2.3`, without a `v`."
  }

  validation {
    condition     = var.archives.s3 == null || (var.archives.version != null && var.archives.sha256 == null && var.archives.url == null)
    error_message = "archives.s3 needs version, which is part of the archives' names, and excludes sha256 and url."
  }

  validation {
    condition     = var.archives.version == null || var.archives.s3 != null || can(regex("^[0-9a-f]{64}$", var.archives.sha256))
    error_message = "archives.version needs sha256: the SHA-256 of the release's file SHA256SUMS, as 64 lower-case hexadecimal digits."
  }

  validation {
    condition     = var.archives.url == null || (var.archives.version != null && can(regex("^(https|file)://[^ ]+$", var.archives.url)))
    error_message = "archives.url needs version, and must begin with https:// or file://."
  }
}

variable "cluster_arns" {
  description = "ECS clusters that the functions may read. An ARN may contain `*`. Default: every cluster of the account, in the module's region and in `cluster_regions`"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.cluster_arns : can(regex("^arn:[^:]+:ecs:[^:]+:[^:]+:cluster/", arn))])
    error_message = "Every entry of cluster_arns must be the ARN of a cluster."
  }
}

variable "allow_networks" {
  description = "Networks whose addresses may be called, in CIDR notation. Default: the private ranges that VPCs use. Recommended: the VPC's own ranges"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.allow_networks : can(regex("^[0-9a-fA-F.:]+/[0-9]{1,3}$", cidr))])
    error_message = "Every entry of allow_networks must be a network such as `10.0.0.0/8` or `fd00::/8`."
  }
}

variable "health" {
  description = "Whether a container must be healthy to be called: `detect` (only containers with a health check), `require` or `ignore`"
  type        = string
  default     = "detect"

  validation {
    condition     = contains(["detect", "require", "ignore"], var.health)
    error_message = "health must be `detect`, `require` or `ignore`."
  }
}

variable "timeout_ms" {
  description = "Time-out of one HTTP attempt, including the whole answer, in milliseconds"
  type        = number
  default     = 3000

  validation {
    condition     = var.timeout_ms >= 1 && var.timeout_ms <= 10000
    error_message = "timeout_ms must be from 1 to 10000: all attempts of a delivery must fit into the function's time-out."
  }
}

variable "concurrency" {
  description = "Number of tasks that one notify function calls at the same time. A function may have 1,024 open files"
  type        = number
  default     = 256

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 900
    error_message = "concurrency must be from 1 to 900."
  }
}

variable "horizon_minutes" {
  description = "Period in which a failed delivery goes back to its queue for a retry, in minutes; 0 means no retry. `receives_max` of the stage `notify` limits it too: 20 receives, with the waits between them, last for half an hour on average"
  type        = number
  default     = 10

  validation {
    condition     = var.horizon_minutes >= 0 && var.horizon_minutes <= 60 && floor(var.horizon_minutes) == var.horizon_minutes
    error_message = "horizon_minutes must be a whole number from 0 to 60."
  }
}

variable "create_ledger" {
  description = "Whether to create the table of every broadcast and outcome. Without it outcomes are only in the log, and a message that SQS delivers twice calls its task twice"
  type        = bool
  default     = true
}

variable "ledger_days" {
  description = "Retention of a broadcast in the ledger, in days"
  type        = number
  default     = 30

  validation {
    condition     = var.ledger_days >= 1 && var.ledger_days <= 3650 && floor(var.ledger_days) == var.ledger_days
    error_message = "ledger_days must be a whole number from 1 to 3650."
  }
}

variable "ledger_point_in_time_recovery" {
  description = "Whether the ledger can be restored to any second of the last 35 days (point-in-time recovery)"
  type        = bool
  default     = true
}

variable "ledger_deletion_protection" {
  description = "Whether AWS refuses to delete the ledger. `terraform destroy` then fails until this is false"
  type        = bool
  default     = false
}

variable "aws_budget_percent" {
  description = "Share of the account's ECS and EC2 request rate that all functions together may use, in percent. With a ledger, they share it; without, it is divided among the stages by `budget_share_percent`, and among the `concurrency_max` functions of each stage"
  type        = number
  default     = 50

  validation {
    condition     = var.aws_budget_percent >= 1 && var.aws_budget_percent <= 100
    error_message = "aws_budget_percent must be from 1 to 100."
  }
}

variable "keep_warm_schedule" {
  description = "Schedule of a message that passes through the three functions and notifies no task, such as `rate(1 day)`. Default: none. AWS removes a function from its VPC after weeks without a call, and the next broadcast is late"
  type        = string
  default     = null

  validation {
    condition     = var.keep_warm_schedule == null || can(regex("^(rate|cron)[(].+[)]$", var.keep_warm_schedule))
    error_message = "keep_warm_schedule must be a schedule of EventBridge Scheduler such as `rate(1 day)` or `cron(0 6 * * ? *)`."
  }
}

variable "log_level" {
  description = "Log level of the functions: `error`, `warn`, `info`, `debug` or `trace`"
  type        = string
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.log_level)
    error_message = "log_level must be `error`, `warn`, `info`, `debug` or `trace`."
  }
}

variable "environment" {
  description = "Further environment variables of the functions, for example other `NOTIFIER_` settings. They override the module's own"
  type        = map(string)
  default     = {}
}

variable "stages" {
  description = "Values that override those of `stages.json` and `registry.json`, by stage (`services`, `tasks`, `notify`, `registry`)"
  type = map(object({
    timeout_s         = optional(number)
    visibility_s      = optional(number)
    receives_max      = optional(number)
    batch_size        = optional(number)
    batching_window_s = optional(number)
    concurrency_max   = optional(number)
    memory_mb         = optional(number)
    age_alarm_s       = optional(number)

    budget_share_percent = optional(number)
  }))
  default = {}

  validation {
    condition     = alltrue([for stage in keys(var.stages) : contains(["services", "tasks", "notify", "registry"], stage)])
    error_message = "Every key of stages must be `services`, `tasks`, `notify` or `registry`."
  }

  # AWS would refuse values outside these ranges, or they would disable an alarm or the budget. With fewer than five
  # receives, the messages of throttled invocations would end in the dead letters.
  validation {
    condition = alltrue(flatten([
      for stage in var.stages : [
        for limit in [
          [stage.timeout_s, 1, 900], [stage.visibility_s, 1, 43200], [stage.receives_max, 5, 1000],
          [stage.batch_size, 1, 10000], [stage.batching_window_s, 0, 300], [stage.concurrency_max, 2, 1000],
          [stage.memory_mb, 128, 10240], [stage.age_alarm_s, 60, 1209600], [stage.budget_share_percent, 1, 100],
        ] : limit[0] == null ? true : limit[0] >= limit[1] && limit[0] <= limit[2]
      ]
    ]))
    error_message = "A value of stages is out of range. The ranges: timeout_s from 1 to 900, visibility_s from 1 to 43200, receives_max from 5 to 1000, batch_size from 1 to 10000, batching_window_s from 0 to 300, concurrency_max from 2 to 1000, memory_mb from 128 to 10240, age_alarm_s from 60 to 1209600, budget_share_percent from 1 to 100."
  }
}

variable "publisher_arns" {
  description = "Roles, users and accounts that the policy of the observer queue allows to publish. Principals of other accounts need this entry; principals of this account may have the permission in IAM instead"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.publisher_arns : can(regex("^([0-9]{12}|arn:[^:]+:iam::[0-9]{12}:(root|role/.+|user/.+))$", arn))])
    error_message = "Every entry of publisher_arns must be the ARN of a role, a user or an account (`arn:aws:iam::111122223333:root`), or the 12 digits of an account."
  }

  # Source: Amazon SQS Developer Guide, "Amazon SQS policy quotas".
  validation {
    condition     = length(var.publisher_arns) <= 40
    error_message = "publisher_arns must have at most 40 entries: a queue's policy may name 50 principals. The ARN of an account allows all its roles that have the permission in IAM."
  }
}

variable "publisher_services" {
  description = "AWS services that may publish, with the ARNs of their resources, for sources that the module does not create: `{ service = \"events.amazonaws.com\", source_arns = [rule ARN] }`. Default of `source_account`: this account"
  type = list(object({
    service        = string
    source_arns    = list(string)
    source_account = optional(string)
  }))
  default = []

  validation {
    condition     = alltrue([for publisher in var.publisher_services : can(regex("^[a-z0-9.-]+\\.amazonaws\\.com(\\.cn)?$", publisher.service))])
    error_message = "Every service of publisher_services must be a service principal such as `events.amazonaws.com`, `sns.amazonaws.com` or `s3.amazonaws.com`."
  }

  validation {
    condition = alltrue([
      for publisher in var.publisher_services :
      length(publisher.source_arns) > 0 && alltrue([for arn in publisher.source_arns : can(regex("^arn:[^:]+:[^:*]+:", arn))])
    ])
    error_message = "Every entry of publisher_services must have the ARNs of rules, topics or buckets in source_arns. Without them the service could publish for every AWS account."
  }

  validation {
    condition     = alltrue([for publisher in var.publisher_services : publisher.source_account == null || can(regex("^[0-9]{12}$", publisher.source_account))])
    error_message = "source_account of publisher_services must be the 12 digits of an account."
  }

  # A queue's policy may have 20 statements, and the module uses two of them.
  validation {
    condition     = length(var.publisher_services) <= 18
    error_message = "publisher_services must have at most 18 entries. One entry may have several source_arns, and an ARN may contain `*`."
  }
}

variable "publisher_policy_documents" {
  description = "Further policy documents (JSON). Their statements become part of the observer queue's policy"
  type        = list(string)
  default     = []
}

variable "worker_role_arns" {
  description = "Roles of daemons that process these queues, beside the functions or instead of them. They may send to the inner queues and to the dead-letter queues"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.worker_role_arns : can(regex("^arn:[^:]+:iam::[0-9]{12}:role/", arn))])
    error_message = "Every entry of worker_role_arns must be the ARN of a role."
  }
}

variable "worker_role_ids" {
  description = "Unique ids (`AROA…`, the attribute `unique_id`) of these roles, as trusted senders: the functions do not look up the daemons' messages in ECS first"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.worker_role_ids : can(regex("^AROA[A-Z0-9]+$", id))])
    error_message = "Every entry of worker_role_ids must be the unique id of a role, which begins with `AROA`."
  }
}

variable "redriver_arns" {
  description = "Roles and users that may send dead letters back to the inner queues. An ARN may contain `*`: `arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Operator_*`. Default: only the stages"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.redriver_arns : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/", arn))])
    error_message = "Every entry of redriver_arns must be the ARN of a role or a user. Name the role, not a session of it."
  }
}

variable "redriver_ids" {
  description = "Unique ids (`AROA…`, `AIDA…`) of roles and users as trusted senders: the functions do not look up their messages in ECS first. Redrivers without an entry can redrive too: the functions then look up each task before they call it"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.redriver_ids : can(regex("^(AROA|AIDA)[A-Z0-9]+$", id))])
    error_message = "Every entry of redriver_ids must be the unique id of a role (`AROA…`) or of a user (`AIDA…`)."
  }
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of the functions' roles"
  type        = string
  default     = null
}

variable "message_retention_s" {
  description = "Retention of a message on a queue, in seconds"
  type        = number
  default     = 345600

  validation {
    condition     = var.message_retention_s >= 3600 && var.message_retention_s <= 1209600
    error_message = "message_retention_s must be from 3600 (an hour) to 1209600 (14 days)."
  }
}

variable "dead_letter_retention_s" {
  description = "Retention of a dead letter, in seconds. SQS counts it from when the message was first sent, so it must be longer than `message_retention_s`"
  type        = number
  default     = 1209600

  validation {
    condition     = var.dead_letter_retention_s >= 3600 && var.dead_letter_retention_s <= 1209600
    error_message = "dead_letter_retention_s must be from 3600 (an hour) to 1209600 (14 days)."
  }
}

variable "log_retention_days" {
  description = "Retention of the functions' logs, in days"
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a number that CloudWatch Logs accepts, such as 7, 14, 30, 90 or 365."
  }
}

variable "keep_bucket" {
  description = "Whether `terraform destroy` refuses to delete the bucket while it contains archives. By default it deletes the archives too, because they can be built again"
  type        = bool
  default     = false
}

variable "create_alarms" {
  description = "Whether to create the alarms of the stages and of the ledger"
  type        = bool
  default     = true
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify. Without a topic an alarm is visible only in the console, and Terraform warns"
  type        = list(string)
  default     = []
}

variable "create_dashboard" {
  description = "Whether to create the CloudWatch dashboard"
  type        = bool
  default     = true
}

variable "metrics_namespace" {
  description = "CloudWatch namespace of the metrics that the functions write to their log. Default: `EcsTaskNotifier` with the module's prefix and suffix. `none`: no metrics, and no alarms on outcomes"
  type        = string
  default     = null

  validation {
    condition     = can(regex("^[A-Za-z0-9._/#-][A-Za-z0-9._/#:-]{0,254}$", coalesce(var.metrics_namespace, "none"))) && !startswith(coalesce(var.metrics_namespace, "none"), "AWS/")
    error_message = "metrics_namespace has at most 255 letters, digits and ._/#:-, and does not begin with AWS/."
  }
}

variable "outcome_alarms" {
  description = "Limits of the alarms on outcomes: the least percentage of called containers that must be notified in five minutes (`notified_percent`), the most deliveries that may fail in them (`failed`), and seconds since the event after which a retry (`pending_s`) or an outcome (`last_task_s`) is late"
  type = object({
    notified_percent = optional(number, 95)
    failed           = optional(number, 0)
    pending_s        = optional(number, 300)
    last_task_s      = optional(number, 600)
  })
  default  = {}
  nullable = false
}
