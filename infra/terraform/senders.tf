# Who may send to which queue. The policies of the queues come on top of the permissions in IAM.

locals {
  # The inner queues say which task is called, where and how. So only the stage before them may write to them, whatever
  # IAM allows to others. A queue without an entry takes what IAM allows.
  inner_senders = {
    for stage, senders in {
      for stage, previous in local.previous : stage => concat(
        [for key, role in aws_iam_role.function : role.arn if key == previous],
        var.worker_role_arns,
      ) if contains(keys(local.queues), stage)
    } : stage => concat(senders, var.redriver_arns) if length(senders) > 0
  }

  # The same for the dead letters: their codes and reasons are the stage's own words.
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
    error_message = "Without functions and worker_role_arns, everybody whom IAM allows may send to the inner queues. Name the daemon's role in worker_role_arns."
  }
}
