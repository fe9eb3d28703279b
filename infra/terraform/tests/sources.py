"""Tests that sources reach the observer queue: applies the module to MiniStack, and makes events of each kind by AWS's own API.

MiniStack's pipes do not deliver to queues, so of a pipe only source, target and role are compared. It does not check
permissions here: the tests of Terraform compare the statements of the policies.

    .venv/bin/python infra/terraform/tests/sources.py    (TF names another terraform)
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import people

MAIN = """
module "notifier" {
  source           = "./module"
  create_functions = false
  create_alarms    = false
  worker_role_arns = ["arn:aws:iam::000000000000:role/daemon"]

  bucket_notifications = {
    prices = { bucket = aws_s3_bucket.prices.id, notifications = [{ filter_prefix = "prices/", filter_suffix = ".json" }] }
  }
  event_rules = {
    orders = { event_bus_name = "orders", event_pattern = jsonencode({ source = ["com.example.orders"] }) }
    direct = { event_pattern = jsonencode({ source = ["com.example.release"] }), input = jsonencode({ cluster = "prod" }) }
  }
  topics = {
    envelope = { topic_arn = aws_sns_topic.this["envelope"].arn }
    raw      = { topic_arn = aws_sns_topic.this["raw"].arn, raw_message_delivery = true, filter_policy = jsonencode({ kind = ["release"] }) }
  }
  table_pipes = { items = { stream_arn = aws_dynamodb_table.items.stream_arn } }
}

resource "aws_s3_bucket" "prices" {
  bucket        = "prices"
  force_destroy = true
}

resource "aws_sns_topic" "this" {
  for_each = toset(["envelope", "raw"])
  name     = each.key
}

resource "aws_dynamodb_table" "items" {
  name             = "items"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "id"
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"

  attribute {
    name = "id"
    type = "S"
  }
}

output "observer_queue_url" {
  value = module.notifier.observer_queue_url
}

output "stream_arn" {
  value = aws_dynamodb_table.items.stream_arn
}

output "topics" {
  value = { for name, topic in aws_sns_topic.this : name => topic.arn }
}
"""

EVENTS_S = 60
QUIET_S = 5


def kind(body):
    """Returns what a message is, with a value from its event, by the shapes that AWS documents."""
    message = json.loads(body)
    if message.get("Event") == "s3:TestEvent":
        return []
    if message.get("Type") == "Notification":
        return [f"SNS {message['Message']}"]
    if "Records" in message:
        return [f"S3 {record['eventName']} {record['s3']['object']['key']}" for record in message["Records"]]
    if "detail-type" in message:
        return [f"EventBridge {message['detail-type']} {message['detail']['id']}"]
    return [f"raw {body}"]


def make_events(url, topics):
    """Makes one event of each kind, and for each filter one that must not arrive."""
    s3, events, sns = (people.client(url, service) for service in ["s3", "events", "sns"])
    for key in ["prices/new.json", "prices/new.txt", "reports/new.json"]:
        s3.put_object(Bucket="prices", Key=key, Body=b"{}")
    events.put_events(Entries=[
        {"EventBusName": bus, "Source": source, "DetailType": "Order Changed", "Detail": json.dumps({"id": f"{bus} {source}"})}
        for bus in ["orders", "default"]
        for source in ["com.example.orders", "com.example.other", "com.example.release"]
    ])
    sns.publish(TopicArn=topics["envelope"], Message="enveloped")
    for name in ["release", "other"]:
        attributes = {"kind": {"DataType": "String", "StringValue": name}}
        sns.publish(TopicArn=topics["raw"], Message=json.dumps({"cluster": name}), MessageAttributes=attributes)


EXPECTED = sorted([
    "S3 ObjectCreated:Put prices/new.json",
    "EventBridge Order Changed orders com.example.orders",
    'raw {"cluster":"prod"}',
    "SNS enveloped",
    'raw {"cluster": "release"}',
])


def received(sqs, queue):
    """Returns what arrives, until all that is expected is there and nothing more comes."""
    found, until = [], time.monotonic() + EVENTS_S
    while time.monotonic() < until:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=QUIET_S)
        messages = answer.get("Messages", [])
        for message in messages:
            found += kind(message["Body"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        if not messages and len(found) >= len(EXPECTED):
            break
    return sorted(found)


def main():
    url, emulator = people.ministack(people.free_port(), auth=False)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            shutil.copytree(people.MODULE, folder / "module", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "examples"))
            (folder / "main.tf").write_text(MAIN)
            # The stand-in for the provider only stores a bus.
            people.client(url, "events").create_event_bus(Name="orders")
            terraform = people.terraform(folder, url)
            terraform("init", "-input=false", "-no-color")
            terraform("apply", "-auto-approve", "-input=false", "-no-color")
            outputs = {name: output["value"] for name, output in json.loads(terraform("output", "-json")).items()}

            make_events(url, outputs["topics"])
            found = received(people.client(url, "sqs"), outputs["observer_queue_url"])
            for event in found:
                print(event)
            if found != EXPECTED:
                sys.exit(f"expected {EXPECTED}")

            pipe = people.client(url, "pipes").describe_pipe(Name="ecs-task-notifier-items")
            ends = [pipe["Source"], pipe["Target"].rpartition(":")[2], pipe["RoleArn"].rpartition("/")[2], pipe["CurrentState"]]
            expected = [outputs["stream_arn"], outputs["observer_queue_url"].rpartition("/")[2], f"ecs-task-notifier-pipe-items_{people.REGION}", "RUNNING"]
            if ends != expected:
                sys.exit(f"the pipe has {ends}, not {expected}")

            # A second plan finds nothing to change, and nothing stays behind.
            terraform("plan", "-detailed-exitcode", "-input=false", "-no-color")
            terraform("destroy", "-auto-approve", "-input=false", "-no-color")
            left = people.client(url, "sqs").list_queues().get("QueueUrls", [])
            if left:
                sys.exit(f"queues are left: {left}")
    finally:
        emulator.terminate()
        emulator.wait()


if __name__ == "__main__":
    main()
