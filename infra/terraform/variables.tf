variable "create" {
  description = "Whether to create anything at all"
  type        = bool
  default     = true
}

variable "create_functions" {
  description = "Whether to create the three functions with their roles, archives and alarms. Without them the queues are for the daemon: see `examples/ecs-daemon`"
  type        = bool
  default     = true
}

variable "name_prefix" {
  description = "What every name begins with, so that several stacks fit into one account and region"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9-]{0,11})?$", var.name_prefix))
    error_message = "name_prefix takes at most 12 lower-case letters, digits and hyphens and begins with a letter or digit: the bucket's name allows no others."
  }

  validation {
    condition     = !can(regex("^(sg-|xn--|sthree-)", var.name_prefix))
    error_message = "name_prefix begins with `sg-`, `xn--` or `sthree-`: AWS takes no such name of a security group or of a bucket."
  }
}

variable "name_suffix" {
  description = "What every name ends with"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9-]{0,7}[a-z0-9])?$", var.name_suffix))
    error_message = "name_suffix takes at most 8 lower-case letters, digits and hyphens and ends with a letter or digit: the bucket's name allows no others."
  }

  validation {
    condition     = !can(regex("(-s3alias|--ol-s3|--x-s3|-an)$", var.name_suffix))
    error_message = "name_suffix ends with `-s3alias`, `--ol-s3`, `--x-s3` or `-an`: AWS takes no such name of a bucket."
  }
}

variable "tags" {
  description = "Tags of everything that can have tags"
  type        = map(string)
  default     = {}
}

variable "kms_key_arn" {
  description = "KMS key for queues, ledger, bucket, logs and the functions' environment; AWS's own keys when null. The output `kms_key_policy` has what its policy must allow"
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn is the ARN of a key, not of an alias."
  }
}

variable "signing_secret_arn" {
  description = "The secret of Secrets Manager, or the SecureString parameter of Systems Manager, that holds the keys by which requests to tasks are signed. `ecs-task-notifier keygen` makes one; Terraform never sees it"
  type        = string
  default     = null

  validation {
    condition = var.signing_secret_arn == null || can(regex(
      "^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:|ssm:[^:]+:[0-9]{12}:parameter/)[^*?]+$", var.signing_secret_arn
    ))
    error_message = "signing_secret_arn is the ARN of a secret of Secrets Manager, or of a parameter of Systems Manager."
  }
}

variable "signing_secret_kms_key_arn" {
  description = "The KMS key that encrypts this secret; AWS's own key when null"
  type        = string
  default     = null

  validation {
    condition     = var.signing_secret_kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", var.signing_secret_kms_key_arn))
    error_message = "signing_secret_kms_key_arn is the ARN of a key, not of an alias."
  }
}

variable "secret_arns" {
  description = "More secrets of Secrets Manager and parameters of Systems Manager that the notify function may read: keys of single services (`NOTIFIER_SIGNING_SECRETS`), request headers (`NOTIFIER_HEADERS_SECRET`), a private certificate authority and a client certificate (`NOTIFIER_TLS_CA`, `NOTIFIER_TLS_CERTIFICATE`, `NOTIFIER_TLS_KEY`). `environment` says which is which"
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for arn in var.secret_arns :
      can(regex("^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:|ssm:[^:]+:[0-9]{12}:parameter/)[^*?]+$", arn))
    ])
    error_message = "Every entry of secret_arns is the ARN of a secret of Secrets Manager, or of a parameter of Systems Manager."
  }
}

variable "secret_kms_key_arns" {
  description = "The KMS keys that encrypt these secrets, where they are not AWS's own"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.secret_kms_key_arns : can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", arn))])
    error_message = "Every entry of secret_kms_key_arns is the ARN of a key, not of an alias."
  }
}

variable "secret_stores" {
  description = "The services that keep all these secrets, `secretsmanager` or `ssm`: with `create_vpc_endpoints` each gets an endpoint. They are named here because an ARN may be unknown until it is created"
  type        = list(string)
  default     = ["secretsmanager"]

  validation {
    condition     = alltrue([for store in var.secret_stores : contains(["secretsmanager", "ssm"], store)])
    error_message = "secret_stores takes `secretsmanager` and `ssm`."
  }
}

variable "unsigned" {
  description = "Whether requests may go without a signature: tasks cannot tell them from anybody else's then"
  type        = bool
  default     = false
}

variable "subnet_ids" {
  description = "Subnets of the notify function: from them the tasks must be reachable. Two, in two availability zones, keep it working when one fails. With `create_vpc_endpoints`, one in each zone: AWS refuses two"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "Every entry of subnet_ids begins with `subnet-`."
  }
}

variable "security_group_ids" {
  description = "Security groups of the notify function. They need a way out to the tasks' ports and to port 443 of the AWS endpoints; the tasks' own groups must let them in"
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.security_group_ids) <= 5 && alltrue([for id in var.security_group_ids : startswith(id, "sg-")])
    error_message = "security_group_ids holds at most five ids, and every one begins with `sg-`."
  }
}

variable "ipv6" {
  description = "Whether the functions in the VPC get IPv6 addresses, to call tasks in IPv6-only subnets. The subnets must be dual-stack"
  type        = bool
  default     = false
}

variable "discovery_in_vpc" {
  description = "Whether the two discovery functions are inside the VPC as well. They call only AWS, so they need not be; inside they need the way to ECS, EC2, SQS and DynamoDB that the notify function needs"
  type        = bool
  default     = false
}

variable "create_vpc_endpoints" {
  description = "Whether to create VPC endpoints, for subnets without NAT. Their private DNS counts for the whole VPC: from then on all its workloads reach these services through them. The endpoints let in every network of the VPC; `vpc_endpoint_networks` adds others"
  type        = bool
  default     = false
}

variable "vpc_id" {
  description = "The VPC of the endpoints. It needs DNS support and DNS hostnames"
  type        = string
  default     = null
}

variable "vpc_endpoint_services" {
  description = "The AWS services that get an interface endpoint: what the notify function calls, besides DynamoDB and `secret_stores`"
  type        = list(string)
  default     = ["ec2", "ecs", "sqs"]
}

variable "existing_vpc_endpoints" {
  description = "Services whose endpoint the VPC has already, `dynamodb` among them: none is created for these. AWS refuses a second endpoint with the same private DNS. The existing one must let the functions in on port 443"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for service in var.existing_vpc_endpoints : can(regex("^[a-z0-9][a-z0-9.-]*$", service)) && !strcontains(service, "amazonaws")])
    error_message = "existing_vpc_endpoints takes the short names of services, such as `sqs` or `dynamodb`."
  }
}

variable "vpc_endpoint_service_names" {
  description = "Full names of endpoint services, by short name, where they are not `com.amazonaws.<region>.<service>`. Those of China are known for `ec2`, `ecr.api`, `ecr.dkr`, `sqs` and `sts`"
  type        = map(string)
  default     = {}
}

variable "vpc_endpoint_networks" {
  description = "Networks outside the VPC, in CIDR notation, that use its DNS and so its endpoints: peered VPCs, a VPN; and IPv6 networks of the VPC after the first, which AWS does not list with it"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.vpc_endpoint_networks : can(cidrhost(cidr, 0))])
    error_message = "Every entry of vpc_endpoint_networks is a network such as `10.0.0.0/8` or `fd00::/8`."
  }
}

variable "route_table_ids" {
  description = "The route tables of the subnets, for the gateway endpoint of DynamoDB that `create_vpc_endpoints` adds for the ledger. AWS refuses those that have a route to DynamoDB already: leave them out, and if all have one, name `dynamodb` in `existing_vpc_endpoints`"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.route_table_ids : startswith(id, "rtb-")])
    error_message = "Every entry of route_table_ids begins with `rtb-`."
  }
}

variable "architecture" {
  description = "Processor of the functions: `arm64` or `x86_64`"
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is `arm64` or `x86_64`."
  }
}

variable "archives" {
  description = "Where the functions' archives come from. `files`: a folder, with `<function>/bootstrap.zip` as `make lambda` writes it or the zip files of a release. `version` with `sha256`: a release; the archives are downloaded and must match its `SHA256SUMS`, whose own SHA-256 is `sha256`; `url` is another place that holds the release's files. `version` with `s3`: the release's files in a bucket of the same region, below `prefix`. Nothing: `target/lambda/<architecture>` of this repository"
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
    error_message = "archives names either files, or the version of a release."
  }

  validation {
    condition     = var.archives.version == null || can(regex("^[0-9]+[.][0-9]+[.][0-9]+(-[0-9A-Za-z.-]+)?$", var.archives.version))
    error_message = "archives.version is a version such as `1.2.3`, without a `v`."
  }

  validation {
    condition     = var.archives.s3 == null || (var.archives.version != null && var.archives.sha256 == null && var.archives.url == null)
    error_message = "archives.s3 needs the version that the archives' names begin with, and neither sha256 nor url."
  }

  validation {
    condition     = var.archives.version == null || var.archives.s3 != null || can(regex("^[0-9a-f]{64}$", var.archives.sha256))
    error_message = "archives.version needs sha256: the SHA-256 of the release's file SHA256SUMS, 64 hexadecimal digits in lower case."
  }

  validation {
    condition     = var.archives.url == null || (var.archives.version != null && can(regex("^(https|file)://[^ ]+$", var.archives.url)))
    error_message = "archives.url belongs to a version and begins with https:// or file://."
  }
}

variable "cluster_arns" {
  description = "The only ECS clusters that the functions may look into, `*` allowed in an ARN; every cluster of the account and region when empty"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.cluster_arns : can(regex("^arn:[^:]+:ecs:[^:]+:[^:]+:cluster/", arn))])
    error_message = "Every entry of cluster_arns is the ARN of a cluster."
  }
}

variable "allow_networks" {
  description = "The only networks whose addresses may be called, in CIDR notation; the ranges that VPCs use when empty. The VPC's own ranges are the best choice"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.allow_networks : can(regex("^[0-9a-fA-F.:]+/[0-9]{1,3}$", cidr))])
    error_message = "Every entry of allow_networks is a network such as `10.0.0.0/8` or `fd00::/8`."
  }
}

variable "health" {
  description = "Whether a container must be healthy to be called: `detect` (where it has a health check), `require` or `ignore`"
  type        = string
  default     = "detect"

  validation {
    condition     = contains(["detect", "require", "ignore"], var.health)
    error_message = "health is `detect`, `require` or `ignore`."
  }
}

variable "timeout_ms" {
  description = "How long one HTTP attempt waits for the whole answer, in milliseconds"
  type        = number
  default     = 3000

  validation {
    condition     = var.timeout_ms >= 1 && var.timeout_ms <= 10000
    error_message = "timeout_ms is from 1 to 10000: all attempts of a delivery must fit into the function's time."
  }
}

variable "concurrency" {
  description = "How many tasks one notify function calls at the same time. A function may have 1,024 files open"
  type        = number
  default     = 256

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 900
    error_message = "concurrency is from 1 to 900."
  }
}

variable "horizon_minutes" {
  description = "How long a delivery that failed goes back to its queue to be tried again, in minutes; 0 means never. `receives_max` of the stage `notify` ends it too: 20 receives, with the waits between them, last for half an hour on average"
  type        = number
  default     = 10

  validation {
    condition     = var.horizon_minutes >= 0 && var.horizon_minutes <= 60 && floor(var.horizon_minutes) == var.horizon_minutes
    error_message = "horizon_minutes is a whole number from 0 to 60."
  }
}

variable "create_ledger" {
  description = "Whether to create the table of every broadcast and outcome. Without it nothing is kept but the log, and a message that comes twice calls its task twice"
  type        = bool
  default     = true
}

variable "ledger_days" {
  description = "How long the ledger keeps a broadcast, in days"
  type        = number
  default     = 30

  validation {
    condition     = var.ledger_days >= 1 && var.ledger_days <= 3650 && floor(var.ledger_days) == var.ledger_days
    error_message = "ledger_days is a whole number from 1 to 3650."
  }
}

variable "ledger_point_in_time_recovery" {
  description = "Whether the ledger can be restored to any second of the last 35 days"
  type        = bool
  default     = true
}

variable "ledger_deletion_protection" {
  description = "Whether AWS refuses to delete the ledger. Then `terraform destroy` fails until it is switched off"
  type        = bool
  default     = false
}

variable "aws_budget_percent" {
  description = "How much of the account's ECS and EC2 request rate all functions together may use, in percent. It is divided among the stages, by `budget_share_percent`, and among the `concurrency_max` functions of each"
  type        = number
  default     = 50

  validation {
    condition     = var.aws_budget_percent >= 1 && var.aws_budget_percent <= 100
    error_message = "aws_budget_percent is from 1 to 100."
  }
}

variable "keep_warm_schedule" {
  description = "When a message that notifies nobody goes through the three functions, such as `rate(1 day)`; never when null. AWS takes a function out of its VPC after weeks without a call, and the next broadcast waits until it is back"
  type        = string
  default     = null

  validation {
    condition     = var.keep_warm_schedule == null || can(regex("^(rate|cron)[(].+[)]$", var.keep_warm_schedule))
    error_message = "keep_warm_schedule is a schedule of EventBridge Scheduler such as `rate(1 day)` or `cron(0 6 * * ? *)`."
  }
}

variable "log_level" {
  description = "How much the functions log: `error`, `warn`, `info`, `debug` or `trace`"
  type        = string
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.log_level)
    error_message = "log_level is `error`, `warn`, `info`, `debug` or `trace`."
  }
}

variable "environment" {
  description = "More environment variables of the functions, for example other `NOTIFIER_` settings; they win over the module's own"
  type        = map(string)
  default     = {}
}

variable "stages" {
  description = "Other values than those of `stages.json`, by stage (`services`, `tasks`, `notify`)"
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
    condition     = alltrue([for stage in keys(var.stages) : contains(["services", "tasks", "notify"], stage)])
    error_message = "The stages are `services`, `tasks` and `notify`."
  }

  # What AWS would refuse, or what would switch an alarm or the budget off. With fewer than five receives, throttled
  # invocations would end in the dead letters.
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
    error_message = "Every stage takes timeout_s from 1 to 900, visibility_s from 1 to 43200, receives_max from 5 to 1000, batch_size from 1 to 10000, batching_window_s from 0 to 300, concurrency_max from 2 to 1000, memory_mb from 128 to 10240, age_alarm_s from 60 to 1209600 and budget_share_percent from 1 to 100."
  }
}

variable "publisher_arns" {
  description = "Roles, users and accounts that may ask for broadcasts, by the policy of the observer queue. Those of other accounts need it; those of this account may have the permission in IAM instead"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.publisher_arns : can(regex("^([0-9]{12}|arn:[^:]+:iam::[0-9]{12}:(root|role/.+|user/.+))$", arn))])
    error_message = "Every entry of publisher_arns is the ARN of a role, a user or an account (`arn:aws:iam::111122223333:root`), or an account's 12 digits."
  }

  # Source: Amazon SQS Developer Guide, "Amazon SQS policy quotas".
  validation {
    condition     = length(var.publisher_arns) <= 40
    error_message = "publisher_arns takes at most 40 entries: a queue's policy may name 50 principals. An account's ARN lets in all roles of the account that have the permission in IAM."
  }
}

variable "publisher_services" {
  description = "Services of AWS that may ask for broadcasts, and for which of their resources: `{ service = \"events.amazonaws.com\", source_arns = [rule ARN] }`. `source_account` is this account when null"
  type = list(object({
    service        = string
    source_arns    = list(string)
    source_account = optional(string)
  }))
  default = []

  validation {
    condition     = alltrue([for publisher in var.publisher_services : can(regex("^[a-z0-9.-]+\\.amazonaws\\.com(\\.cn)?$", publisher.service))])
    error_message = "Every service of publisher_services is a service principal such as `events.amazonaws.com`, `sns.amazonaws.com` or `s3.amazonaws.com`."
  }

  validation {
    condition = alltrue([
      for publisher in var.publisher_services :
      length(publisher.source_arns) > 0 && alltrue([for arn in publisher.source_arns : can(regex("^arn:[^:]+:[^:*]+:", arn))])
    ])
    error_message = "Every entry of publisher_services names the ARNs of rules, topics or buckets in source_arns: a service without them publishes for every account of AWS."
  }

  validation {
    condition     = alltrue([for publisher in var.publisher_services : publisher.source_account == null || can(regex("^[0-9]{12}$", publisher.source_account))])
    error_message = "source_account of publisher_services is an account's 12 digits."
  }

  # Two of the 20 statements that a queue's policy may have are the module's own.
  validation {
    condition     = length(var.publisher_services) <= 18
    error_message = "publisher_services takes at most 18 entries. One entry takes several source_arns, and a `*` in an ARN stands for several."
  }
}

variable "publisher_policy_documents" {
  description = "More policy documents (JSON) whose statements become part of the observer queue's policy"
  type        = list(string)
  default     = []
}

variable "worker_role_arns" {
  description = "Roles of daemons that work on these queues, beside the functions or instead of them. They may send to the inner queues and to the dead letters"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.worker_role_arns : can(regex("^arn:[^:]+:iam::[0-9]{12}:role/", arn))])
    error_message = "Every entry of worker_role_arns is the ARN of a role."
  }
}

variable "worker_role_ids" {
  description = "Unique ids (`AROA…`, the attribute `unique_id`) of these roles, where the functions are to believe the daemons' messages without asking ECS first"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.worker_role_ids : can(regex("^AROA[A-Z0-9]+$", id))])
    error_message = "Every entry of worker_role_ids is the unique id of a role: it begins with `AROA`."
  }
}

variable "redriver_arns" {
  description = "Roles and users that may send dead letters back to the inner queues, `*` allowed in an ARN: `arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Operator_*`. Without one, nobody but the stages can"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.redriver_arns : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/", arn))])
    error_message = "Every entry of redriver_arns is the ARN of a role or a user. A session of a role counts as its role."
  }
}

variable "redriver_ids" {
  description = "Unique ids (`AROA…`, `AIDA…`) of roles and users whose messages the functions believe without asking ECS first. Whoever is not named here can redrive too: the task is looked up before it is called"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.redriver_ids : can(regex("^(AROA|AIDA)[A-Z0-9]+$", id))])
    error_message = "Every entry of redriver_ids is the unique id of a role (`AROA…`) or of a user (`AIDA…`)."
  }
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of the functions' roles"
  type        = string
  default     = null
}

variable "message_retention_s" {
  description = "How long a message may wait on a queue, in seconds"
  type        = number
  default     = 345600

  validation {
    condition     = var.message_retention_s >= 3600 && var.message_retention_s <= 1209600
    error_message = "message_retention_s is from 3600 (an hour) to 1209600 (14 days)."
  }
}

variable "dead_letter_retention_s" {
  description = "How long a dead letter is kept, in seconds. It counts from when SQS first got the message, so it must be longer than `message_retention_s`"
  type        = number
  default     = 1209600

  validation {
    condition     = var.dead_letter_retention_s >= 3600 && var.dead_letter_retention_s <= 1209600
    error_message = "dead_letter_retention_s is from 3600 (an hour) to 1209600 (14 days)."
  }
}

variable "log_retention_days" {
  description = "How long the functions' logs are kept, in days"
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is one of the numbers that CloudWatch Logs takes, such as 7, 14, 30, 90 or 365."
  }
}

variable "keep_bucket" {
  description = "Whether `terraform destroy` refuses to delete the bucket while archives are in it. They can be built again, so by default nothing stays behind"
  type        = bool
  default     = false
}

variable "create_alarms" {
  description = "Whether to create the alarms of the stages and of the ledger"
  type        = bool
  default     = true
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify. Without one an alarm is only seen in the console, and Terraform warns"
  type        = list(string)
  default     = []
}

variable "create_dashboard" {
  description = "Whether to create the CloudWatch dashboard"
  type        = bool
  default     = true
}
