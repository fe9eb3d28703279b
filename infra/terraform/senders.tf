# The allowed senders of each queue. The policies of the queues apply in addition to the permissions in IAM.

locals {
  # Messages of the inner queues set the task, the address and the method of a call, and those of the registry queue the
  # address of a task. So only their stages may send to them, and to the registry queue the schedule and the rule, even if IAM
  # allows others. A queue without an entry accepts every sender that IAM allows.
  inner_senders = {
    for stage, senders in {
      for stage, senders in local.senders : stage => concat(
        [for key, role in aws_iam_role.function : role.arn if contains(senders, key)],
        stage == "registry" ? aws_iam_role.sweep[*].arn : [],
        var.worker_role_arns,
      ) if contains(keys(local.queues), stage)
    } : stage => concat(senders, var.redriver_arns) if length(senders) > 0
  }

  # The same for the dead letters: only their stage writes codes and reasons.
  dead_letter_senders = {
    for stage, senders in {
      for stage in keys(local.queues) : stage => concat(
        [for key, role in aws_iam_role.function : role.arn if key == stage],
        var.worker_role_arns,
      )
    } : stage => senders if length(senders) > 0
  }
}

check "inner_queues_have_known_senders" {
  assert {
    condition     = !var.create || var.create_functions || length(var.worker_role_arns) > 0
    error_message = "Without functions and worker_role_arns, every principal that IAM allows may send to the inner queues. Add the daemon's role to worker_role_arns."
  }
}
