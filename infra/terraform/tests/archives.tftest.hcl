# The source of the functions' code. Applied on a mocked provider; the download of the release is real.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
  unsigned           = true
}

run "a_release" {
  module {
    source = "./tests/release"
  }
}

run "a_release_is_downloaded_and_uploaded_without_a_build" {
  command = apply

  variables {
    archives = { version = "9.9.9", sha256 = run.a_release.sha256, url = run.a_release.url }
  }

  assert {
    condition = alltrue([
      for object in aws_s3_object.archive :
      filesha256(object.source) == filesha256("tests/release/${basename(object.source)}")
    ])
    error_message = "The uploaded archives are not those of the release."
  }

  assert {
    condition = { for stage, object in aws_s3_object.archive : stage => basename(object.source) } == {
      services = "ecs-task-notifier-9.9.9-lambda-arm64-ecs_service_discovery.zip"
      tasks    = "ecs-task-notifier-9.9.9-lambda-arm64-ecs_service_task_discovery.zip"
      notify   = "ecs-task-notifier-9.9.9-lambda-arm64-ecs_service_task_notify.zip"
    }
    error_message = "A function gets the archive of another function or processor."
  }
}

run "a_release_may_be_in_a_folder" {
  command = plan

  variables {
    archives = { files = "./tests/release" }
  }

  assert {
    condition = alltrue([
      for object in aws_s3_object.archive :
      startswith(basename(object.source), "ecs-task-notifier-9.9.9-lambda-arm64-") && object.source_hash == filemd5(object.source)
    ])
    error_message = "The release's archives are not found, or a change of them is not detected."
  }
}

run "a_release_may_be_in_a_bucket" {
  command = plan

  variables {
    architecture = "x86_64"
    archives     = { version = "9.9.9", s3 = { bucket = "ours", prefix = "releases/" } }
  }

  assert {
    condition = { for stage, function in aws_lambda_function.this : stage => "${function.s3_bucket}/${function.s3_key}" } == {
      services = "ours/releases/ecs-task-notifier-9.9.9-lambda-x86_64-ecs_service_discovery.zip"
      tasks    = "ours/releases/ecs-task-notifier-9.9.9-lambda-x86_64-ecs_service_task_discovery.zip"
      notify   = "ours/releases/ecs-task-notifier-9.9.9-lambda-x86_64-ecs_service_task_notify.zip"
    }
    error_message = "A function's code has the wrong location."
  }

  assert {
    condition     = length(aws_s3_bucket.archives) == 0 && length(aws_s3_object.archive) == 0 && length(terraform_data.release) == 0
    error_message = "The module creates a bucket too."
  }
}

run "without_archives_the_error_says_what_builds_them" {
  command = plan

  variables {
    archives = { files = "./tests/nowhere" }
  }

  expect_failures = [aws_s3_object.archive]
}

run "a_release_without_its_checksum_is_refused" {
  command = plan

  variables {
    archives = { version = "9.9.9" }
  }

  expect_failures = [var.archives]
}

run "a_release_by_a_tag_is_refused" {
  command = plan

  variables {
    archives = { version = "v9.9.9", s3 = { bucket = "ours" } }
  }

  expect_failures = [var.archives]
}

run "two_sources_are_refused" {
  command = plan

  variables {
    archives = { files = "./tests/archives", version = "9.9.9", s3 = { bucket = "ours" } }
  }

  expect_failures = [var.archives]
}

run "plain_http_is_refused" {
  command = plan

  variables {
    archives = {
      version = "9.9.9"
      sha256  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
      url     = "http://mirror.example"
    }
  }

  expect_failures = [var.archives]
}
