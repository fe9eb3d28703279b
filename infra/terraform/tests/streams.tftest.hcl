# Streams of tables, by a pipe and by the function `ecs_table_stream`, with a mocked provider.

mock_provider "aws" {
  source = "./tests/mocks"
}

override_resource {
  target = aws_sqs_queue.this["services"]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:observer", url = "https://sqs.example/observer" }
}

override_resource {
  target = aws_sqs_queue.stream_dead_letters[0]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:stream_dead_letters" }
}

override_resource {
  target = aws_cloudwatch_log_group.stream[0]
  values = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/ecs_table_stream" }
}

variables {
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  archives           = { files = "./tests/archives" }
  unsigned           = true
}

run "a_pipe_reads_only_its_stream_and_sends_only_to_the_observer_queue" {
  command = apply

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/k"
    table_pipes = {
      items = {
        stream_arn        = "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/2026-01-01T00:00:00.000"
        table_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/table"
      }
    }
  }

  assert {
    condition = jsonencode({
      for statement in data.aws_iam_policy_document.pipe["items"].statement : statement.sid => [
        sort(statement.actions), one(statement.resources),
        { for condition in coalesce(statement.condition, []) : condition.variable => one(condition.values) },
      ]
      }) == jsonencode({
      ReadStream = [
        ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
        "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/2026-01-01T00:00:00.000", {},
      ]
      ListStreams            = [["dynamodb:ListStreams"], "*", {}]
      PublishToObserverQueue = [["sqs:SendMessage"], "arn:aws:sqs:eu-west-1:111122223333:observer", {}]
      SendDeadLetters        = [["sqs:SendMessage"], "arn:aws:sqs:eu-west-1:111122223333:stream_dead_letters", {}]
      UseKey = [
        ["kms:Decrypt", "kms:GenerateDataKey"], "arn:aws:kms:eu-west-1:111122223333:key/k",
        { "kms:ViaService" = "sqs.eu-west-1.amazonaws.com" },
      ]
      DecryptStream = [
        ["kms:Decrypt"], "arn:aws:kms:eu-west-1:111122223333:key/table",
        { "kms:ViaService" = "dynamodb.eu-west-1.amazonaws.com" },
      ]
    })
    error_message = "The pipe's role allows more or less than the pipe needs."
  }

  assert {
    condition = jsonencode([
      for statement in data.aws_iam_policy_document.pipe_assume["items"].statement : [
        one(one(statement.principals).identifiers), { for condition in statement.condition : condition.variable => one(condition.values) },
      ]
      ]) == jsonencode([["pipes.amazonaws.com", {
        "aws:SourceArn"     = "arn:aws:pipes:eu-west-1:111122223333:pipe/ecs-task-notifier-items"
        "aws:SourceAccount" = "111122223333"
    }]])
    error_message = "Another pipe may use the role."
  }

  assert {
    condition = (
      aws_pipes_pipe.this["items"].name == "ecs-task-notifier-items" && aws_pipes_pipe.this["items"].desired_state == "RUNNING" &&
      aws_pipes_pipe.this["items"].target == "arn:aws:sqs:eu-west-1:111122223333:observer" &&
      length(one(aws_pipes_pipe.this["items"].source_parameters).filter_criteria) == 0
    )
    error_message = "The pipe has the wrong name, target or filter."
  }

  # Bounded, and what is given up is known.
  assert {
    condition = alltrue([
      for parameters in one(aws_pipes_pipe.this["items"].source_parameters).dynamodb_stream_parameters :
      parameters.batch_size == 10 && parameters.maximum_record_age_in_seconds == 43200 && parameters.maximum_retry_attempts == 100 &&
      parameters.on_partial_batch_item_failure == "AUTOMATIC_BISECT" && parameters.starting_position == "LATEST" &&
      one(parameters.dead_letter_config).arn == "arn:aws:sqs:eu-west-1:111122223333:stream_dead_letters"
    ])
    error_message = "A poisonous record would block its shard, or be lost."
  }

  assert {
    condition     = aws_sqs_queue.stream_dead_letters[0].kms_master_key_id == var.kms_key_arn && length(aws_cloudwatch_metric_alarm.stream_dead_letters) == 1
    error_message = "The dead letters are not encrypted with the key, or have no alarm."
  }

  # A pipe needs no statement in the queue's policy, because it sends with its role.
  assert {
    condition     = alltrue([for statement in data.aws_iam_policy_document.queue["services"].statement : statement.effect == "Deny"])
    error_message = "The policy of the queue allows more than it must."
  }

  assert {
    condition     = length(aws_lambda_function.stream) == 0 && length(aws_s3_object.archive) == 3
    error_message = "A pipe needs no function."
  }
}

run "a_pipe_can_be_stopped_filtered_and_tuned" {
  command = apply

  variables {
    name_prefix = "blue-"
    name_suffix = "-2"
    table_pipes = {
      a-name-of-25-letters-long = {
        stream_arn                         = "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/1"
        enabled                            = false
        filter_patterns                    = ["{\"eventName\":[\"INSERT\"]}", "{\"eventName\":[\"REMOVE\"]}"]
        batch_size                         = 1
        maximum_batching_window_in_seconds = 5
        parallelization_factor             = 2
        starting_position                  = "TRIM_HORIZON"
      }
    }
  }

  assert {
    condition = alltrue([
      for pipe in aws_pipes_pipe.this : (
        pipe.desired_state == "STOPPED" &&
        [for filter in one(one(pipe.source_parameters).filter_criteria).filter : filter.pattern] == ["{\"eventName\":[\"INSERT\"]}", "{\"eventName\":[\"REMOVE\"]}"] &&
        one(one(pipe.source_parameters).dynamodb_stream_parameters).parallelization_factor == 2 &&
        one(one(pipe.source_parameters).dynamodb_stream_parameters).starting_position == "TRIM_HORIZON"
      )
    ])
    error_message = "The pipe does not have the configured attributes."
  }

  # IAM allows 64 characters.
  assert {
    condition = alltrue([
      for role in aws_iam_role.pipe : length(role.name) <= 64 && startswith(role.name, "blue-") && endswith(role.name, "-2")
    ])
    error_message = "The name of the role is too long, or two stacks would have the same name."
  }
}

run "the_stream_function_reads_the_streams_and_sends_only_to_the_observer_queue" {
  command = apply

  variables {
    table_streams = {
      items  = { stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/1" }
      orders = { stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders/stream/2", table_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/table" }
    }
  }

  assert {
    condition = jsonencode({
      for statement in data.aws_iam_policy_document.stream[0].statement : statement.sid => [sort(statement.actions), sort(statement.resources)]
      }) == jsonencode({
      ReadStreams = [
        ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
        ["arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/1", "arn:aws:dynamodb:eu-west-1:111122223333:table/orders/stream/2"],
      ]
      ListStreams            = [["dynamodb:ListStreams"], ["*"]]
      PublishToObserverQueue = [["sqs:SendMessage"], ["arn:aws:sqs:eu-west-1:111122223333:observer"]]
      SendDeadLetters        = [["sqs:SendMessage"], ["arn:aws:sqs:eu-west-1:111122223333:stream_dead_letters"]]
      Log                    = [["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/ecs_table_stream:*"]]
      DecryptStreams         = [["kms:Decrypt"], ["arn:aws:kms:eu-west-1:111122223333:key/table"]]
    })
    error_message = "The role allows more or less than the function needs."
  }

  assert {
    condition = (
      aws_lambda_function.stream[0].function_name == "ecs_table_stream" && length(aws_lambda_function.stream[0].vpc_config) == 0 &&
      aws_lambda_function.stream[0].environment[0].variables == tomap({
        NOTIFIER_OBSERVER_QUEUE_URL = "https://sqs.example/observer"
        NOTIFIER_LOG_LEVEL          = "info"
      })
    )
    error_message = "The function does not know its queue, or has settings that it does not use."
  }

  assert {
    condition = alltrue([
      for mapping in aws_lambda_event_source_mapping.stream : (
        mapping.function_response_types == toset(["ReportBatchItemFailures"]) && mapping.bisect_batch_on_function_error &&
        mapping.maximum_record_age_in_seconds == 43200 && mapping.maximum_retry_attempts == 100 && mapping.starting_position == "LATEST" &&
        one(one(mapping.destination_config).on_failure).destination_arn == "arn:aws:sqs:eu-west-1:111122223333:stream_dead_letters"
      )
    ]) && length(aws_lambda_event_source_mapping.stream) == 2
    error_message = "One record could block its shard, or be lost, or make the whole batch run again."
  }

  assert {
    condition     = endswith(aws_s3_object.archive["stream"].source, "ecs_table_stream/bootstrap.zip") && aws_s3_object.archive["stream"].key == "ecs_table_stream/arm64.zip"
    error_message = "The function gets the archive of another function."
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.stream) == ["errors", "iterator_age", "throttles"] && aws_cloudwatch_metric_alarm.stream["iterator_age"].threshold == 900000
    error_message = "A stream that nobody reads triggers no alarm."
  }

  # The stages know nothing of it.
  assert {
    condition     = keys(aws_lambda_function.this) == ["notify", "services", "tasks"] && length(aws_sqs_queue.this) == 3
    error_message = "The stream function is a stage."
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.key[0].statement : [for arn in one(statement.condition).values : element(split(":", arn), 6)]
      if statement.sid == "EncryptLogs"
      ] == [[
        "/aws/lambda/ecs_service_task_notify", "/aws/lambda/ecs_service_discovery", "/aws/lambda/ecs_service_task_discovery",
        "/aws/lambda/ecs_table_stream",
    ]]
    error_message = "CloudWatch Logs cannot use the key for the function's log."
  }
}

run "the_stream_function_works_beside_a_daemon_and_in_the_vpc" {
  command = apply

  variables {
    create_functions = false
    worker_role_arns = ["arn:aws:iam::111122223333:role/daemon"]
    discovery_in_vpc = true
    name_prefix      = "blue-"
    table_streams    = { items = { stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/1", filter_patterns = ["{\"eventName\":[\"INSERT\"]}"] } }
  }

  assert {
    condition = (
      length(aws_lambda_function.this) == 0 && aws_lambda_function.stream[0].function_name == "blue-ecs_table_stream" &&
      keys(aws_s3_object.archive) == ["stream"] && length(aws_lambda_function.stream[0].vpc_config) == 1
    )
    error_message = "The function is missing, is outside the VPC, or brings the stages with it."
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.stream[0].statement : one(one(statement.condition).values) if statement.sid == "DenyVpcActionsToCode"
    ] == ["arn:aws:lambda:eu-west-1:111122223333:function:blue-ecs_table_stream"]
    error_message = "The code of the function may create network interfaces."
  }

  assert {
    condition     = one(one(aws_lambda_event_source_mapping.stream["items"].filter_criteria).filter).pattern == "{\"eventName\":[\"INSERT\"]}"
    error_message = "The filter is missing."
  }
}

run "a_release_has_the_archive_of_the_stream_function" {
  command = plan

  variables {
    archives      = { files = "./tests/release" }
    table_streams = { items = { stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/items/stream/1" } }
  }

  assert {
    condition     = basename(aws_s3_object.archive["stream"].source) == "ecs-task-notifier-9.9.9-lambda-arm64-ecs_table_stream.zip"
    error_message = "The archive of the release is not found."
  }
}
