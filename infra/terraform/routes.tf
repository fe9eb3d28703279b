# The routing rules: a parameter of Systems Manager that the first stage reads.

locals {
  # The name of the parameter, without the value: an unknown value must not make `count` unknown.
  routes_count = var.create && var.routes != null ? 1 : 0
  routes_name  = "/${var.name_prefix}ecs-task-notifier${var.name_suffix}/routes"
  # UTF-8 bytes, which Systems Manager counts; `length` counts characters.
  routes_bytes = var.routes == null ? 0 : length(base64encode(var.routes)) / 4 * 3 - length(regexall("=", base64encode(var.routes)))

  # At most one: the module's own parameter, or the user's.
  routes_references = local.routes_count > 0 ? [local.routes_name] : var.routes_parameter == null ? [] : [var.routes_parameter]

  # Value of the setting `NOTIFIER_ROUTES`.
  routes = one([for name in local.routes_references : "ssm:${name}"])

  routes_parameter_arns = [
    for name in local.routes_references : startswith(name, "arn:") ? name :
    "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter/${trimprefix(name, "/")}"
  ]
}

resource "aws_ssm_parameter" "routes" {
  #checkov:skip=CKV2_AWS_34:Rules name clusters and event types, nothing secret
  #checkov:skip=CKV_AWS_337:As above

  count = local.routes_count

  name        = local.routes_name
  description = "Routing rules of ecs-task-notifier (TOML)"
  type        = "String"
  # A standard parameter has at most 4 KB. The provider replaces an advanced parameter that becomes standard.
  tier  = local.routes_bytes > 4096 ? "Advanced" : "Standard"
  value = var.routes
  tags  = local.tags

  lifecycle {
    precondition {
      condition     = var.routes_parameter == null
      error_message = "Set either routes, the text of the rules, or routes_parameter, the name of a parameter that contains it."
    }
  }
}
