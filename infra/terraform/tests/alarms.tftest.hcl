# What the alarms look at.

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

run "one_failed_invocation_is_told" {
  command = plan

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.errors : alarm.evaluation_periods == 1 && alarm.threshold == 0])
    error_message = "A failure must repeat within a minute to be seen."
  }
}

run "a_letter_is_told_while_others_lie_there" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.dead_letters :
      one([for query in alarm.metric_query : query.expression if query.return_data == true]) == "DIFF(FILL(m0, 0) + FILL(m1, 0))" &&
      toset([for query in alarm.metric_query : one(query.metric).metric_name if length(query.metric) > 0]) ==
      toset(["ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"])
    ])
    error_message = "Letters that lie there hide those that come, or a look at them counts as a letter."
  }

  # The metrics of an idle queue come up to 15 minutes late: an alarm on the newest minutes alone would not see the first letter.
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.dead_letters : alarm.datapoints_to_alarm == 1 && alarm.evaluation_periods > 15
    ])
    error_message = "A minute whose data come late is not looked at again."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.dead_letters : length(coalesce(alarm.ok_actions, [])) == 0])
    error_message = "People are told that all is well while letters lie there."
  }
}

run "messages_that_age_no_more_are_told_by_a_queue_that_is_never_empty" {
  command = plan

  variables {
    stages = { notify = { age_alarm_s = 60 } }
  }

  assert {
    condition = {
      for stage, alarm in aws_cloudwatch_metric_alarm.retries : stage => "${alarm.datapoints_to_alarm} of ${alarm.evaluation_periods}"
    } == { services = "30 of 32", tasks = "30 of 32", notify = "2 of 4" }
    error_message = "A queue that is never empty is told too early, too late or not at all."
  }

  # Without the filling, a minute in which nothing is in work has no sum, and counts as a queue that is empty.
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.retries :
      one([for query in alarm.metric_query : query.expression if query.return_data == true]) == "FILL(m0, 0) + FILL(m1, 0)"
    ])
    error_message = "Messages that only wait, or are only in work, do not count."
  }
}

run "a_queue_that_nobody_reads_is_told_with_the_daemon_too" {
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
    error_message = "A disabled mapping, or a daemon that is gone, is not noticed."
  }
}

run "the_ledger_is_watched" {
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
    error_message = "Throttles or errors of the table are not seen."
  }
}

run "without_a_ledger_nothing_watches_it" {
  command = plan

  variables {
    create_ledger = false
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.ledger) == 0
    error_message = "An alarm watches a table that is not there."
  }
}

run "alarms_without_a_topic_are_warned_of" {
  command = plan

  variables {
    alarm_topic_arns = []
  }

  expect_failures = [check.alarms_reach_somebody]
}

run "without_alarms_nothing_is_warned_of" {
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
    error_message = "An alarm is created all the same."
  }
}
