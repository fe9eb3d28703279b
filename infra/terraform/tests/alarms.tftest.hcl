# Metrics and conditions of the alarms.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  archives           = { files = "./tests/archives" }
  unsigned           = true
}

run "one_failed_invocation_triggers_the_alarm" {
  command = plan

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.errors : alarm.evaluation_periods == 1 && alarm.threshold == 0])
    error_message = "One failed invocation does not trigger the alarm."
  }
}

run "a_new_dead_letter_triggers_the_alarm_while_older_ones_are_there" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.dead_letters :
      one([for query in alarm.metric_query : query.expression if query.return_data == true]) == "DIFF(FILL(m0, 0) + FILL(m1, 0))" &&
      toset([for query in alarm.metric_query : one(query.metric).metric_name if length(query.metric) > 0]) ==
      toset(["ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"])
    ])
    error_message = "Old dead letters hide new ones, or reading them counts as a new one."
  }

  # The metrics of an idle queue come up to 15 minutes late: an alarm on the newest minutes alone would miss the first dead letter.
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.dead_letters : alarm.datapoints_to_alarm == 1 && alarm.evaluation_periods > 15
    ])
    error_message = "A minute whose data come late is not evaluated again."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.dead_letters : length(coalesce(alarm.ok_actions, [])) == 0])
    error_message = "The alarm sends an OK while dead letters are still there."
  }
}

run "a_queue_that_is_never_empty_triggers_the_alarm_on_retries" {
  command = plan

  variables {
    stages = { notify = { age_alarm_s = 60 } }
  }

  assert {
    condition = {
      for stage, alarm in aws_cloudwatch_metric_alarm.retries : stage => "${alarm.datapoints_to_alarm} of ${alarm.evaluation_periods}"
    } == { services = "30 of 32", tasks = "30 of 32", notify = "2 of 4" }
    error_message = "A queue that is never empty triggers the alarm too early, too late or not at all."
  }

  # Without FILL, a minute with no message in work has no sum, and counts as an empty queue.
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.retries :
      one([for query in alarm.metric_query : query.expression if query.return_data == true]) == "FILL(m0, 0) + FILL(m1, 0)"
    ])
    error_message = "Messages that only wait, or are only in work, do not count."
  }
}

run "an_unread_queue_triggers_the_alarm_with_the_daemon_too" {
  command = plan

  variables {
    create_functions = false
    worker_role_arns = ["arn:aws:iam::111122223333:role/daemon"]
  }

  assert {
    condition = length(aws_cloudwatch_metric_alarm.unread) == 3 && alltrue([
      for alarm in aws_cloudwatch_metric_alarm.unread :
      alarm.treat_missing_data == "breaching" && alarm.comparison_operator == "LessThanThreshold"
    ])
    error_message = "A disabled event source mapping, or a missing daemon, does not trigger the alarm."
  }
}

run "the_ledger_has_alarms" {
  command = plan

  assert {
    condition = jsonencode({
      for name, alarm in aws_cloudwatch_metric_alarm.ledger : name => sort([
        for query in alarm.metric_query :
        "${one(query.metric).metric_name} ${lookup(one(query.metric).dimensions, "Operation", "-")}" if length(query.metric) > 0
      ])
      }) == jsonencode({
      throttles = ["ReadThrottleEvents -", "WriteThrottleEvents -"]
      errors    = [for operation in ["BatchGetItem", "BatchWriteItem", "PutItem", "Query"] : "SystemErrors ${operation}"]
    })
    error_message = "Throttles or errors of the table do not trigger an alarm."
  }
}

run "without_a_ledger_there_is_no_alarm_on_it" {
  command = plan

  variables {
    create_ledger = false
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.ledger) == 0
    error_message = "There is an alarm on a table that does not exist."
  }
}

run "alarms_without_a_topic_cause_a_warning" {
  command = plan

  variables {
    alarm_topic_arns = []
  }

  expect_failures = [check.alarms_reach_somebody]
}

run "without_alarms_there_is_no_warning" {
  command = plan

  variables {
    alarm_topic_arns = []
    create_alarms    = false
  }

  assert {
    condition = sum([
      length(aws_cloudwatch_metric_alarm.dead_letters), length(aws_cloudwatch_metric_alarm.age),
      length(aws_cloudwatch_metric_alarm.retries), length(aws_cloudwatch_metric_alarm.unread),
      length(aws_cloudwatch_metric_alarm.errors), length(aws_cloudwatch_metric_alarm.throttles),
      length(aws_cloudwatch_metric_alarm.ledger),
    ]) == 0
    error_message = "An alarm is created despite create_alarms = false."
  }
}

run "alarms_on_outcomes_come_from_the_functions_metrics" {
  command = plan

  variables {
    name_prefix    = "a-"
    outcome_alarms = { notified_percent = 99, last_task_s = 60 }
  }

  assert {
    condition     = aws_lambda_function.this["notify"].environment[0].variables.NOTIFIER_METRICS_NAMESPACE == "a-EcsTaskNotifier"
    error_message = "The function writes no metrics, or those of another installation."
  }

  assert {
    condition = toset(flatten([
      [for query in aws_cloudwatch_metric_alarm.notified_share[0].metric_query : [for metric in query.metric : metric.namespace]],
      [for alarm in aws_cloudwatch_metric_alarm.outcome_age : alarm.namespace],
    ])) == toset(["a-EcsTaskNotifier"])
    error_message = "An alarm reads another namespace than the function writes."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.notified_share[0].threshold == 99 &&
      one([for query in aws_cloudwatch_metric_alarm.notified_share[0].metric_query : query.expression if query.return_data == true]) ==
      "IF(FILL(delivered, 0) + FILL(gone, 0) + FILL(rejected, 0) + FILL(failed, 0) > 0, 100 * (FILL(delivered, 0) + FILL(gone, 0)) / (FILL(delivered, 0) + FILL(gone, 0) + FILL(rejected, 0) + FILL(failed, 0)), 100)"
    )
    error_message = "The share of notified containers is wrong, or an idle installation alarms."
  }

  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.outcome_age : name => "${alarm.metric_name} ${alarm.threshold}"
    } == { pending = "PendingAge 300000", late = "EventAge 60000" }
    error_message = "The limits in seconds are not those of the metrics in milliseconds."
  }

  assert {
    condition     = length([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget if widget.y == 24]) == 3
    error_message = "The dashboard does not show the outcomes."
  }
}

run "without_metrics_there_are_no_alarms_on_them" {
  command = plan

  variables {
    metrics_namespace = "none"
  }

  assert {
    condition = (
      length(aws_cloudwatch_metric_alarm.notified_share) + length(aws_cloudwatch_metric_alarm.failed) + length(aws_cloudwatch_metric_alarm.outcome_age) == 0 &&
      aws_lambda_function.this["notify"].environment[0].variables.NOTIFIER_METRICS_NAMESPACE == "none"
    )
    error_message = "An alarm waits for a metric that nobody writes."
  }
}

run "a_wrong_namespace_is_refused" {
  command = plan

  variables {
    metrics_namespace = "AWS/Mine"
  }

  expect_failures = [var.metrics_namespace]
}
