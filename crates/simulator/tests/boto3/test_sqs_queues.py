"""Queues of SQS as boto3 sees them: names, attributes, tags, lists, and errors by both of their codes."""

import pytest
from sqs_help import attributes, make, refused, send

PREFIX = "arn:aws:sqs:eu-central-1:111122223333"


@pytest.fixture
def queue(sqs):
    """The URL of a new queue."""
    return make(sqs)


def name_of(url):
    return url.rsplit("/", 1)[1]


def test_a_queue_is_there_from_the_start(sqs):
    url = sqs.get_queue_url(QueueName="at-start")["QueueUrl"]
    assert attributes(sqs, url, "VisibilityTimeout") == {"VisibilityTimeout": "7"}


# Create, find, change, delete.


def test_a_new_queue_has_aws_defaults(sqs, queue):
    found = attributes(sqs, queue)
    now = int(found.pop("CreatedTimestamp"))
    assert now == int(found.pop("LastModifiedTimestamp"))
    assert found == {
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "QueueArn": f"{PREFIX}:{name_of(queue)}",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "30",
    }


def test_creating_twice_needs_the_same_attributes(sqs, queue):
    name = name_of(queue)
    assert sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "0"})["QueueUrl"] == queue
    assert sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId="111122223333")["QueueUrl"] == queue
    refused("QueueAlreadyExists", sqs.create_queue, QueueName=name, Attributes={"DelaySeconds": "1"})
    with pytest.raises(sqs.exceptions.QueueNameExists):
        sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "1"})


def test_attributes_change_within_their_ranges(sqs, queue):
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "43200"})
    assert attributes(sqs, queue, "VisibilityTimeout", "QueueArn")["VisibilityTimeout"] == "43200"
    for name, value in {
        "VisibilityTimeout": "43201",
        "MaximumMessageSize": "1048577",
        "MessageRetentionPeriod": "59",
        "DelaySeconds": "901",
        "ReceiveMessageWaitTimeSeconds": "21",
    }.items():
        refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=queue, Attributes={name: value})
    refused("InvalidAttributeName", sqs.set_queue_attributes, QueueUrl=queue, Attributes={"Colour": "red"})
    refused("InvalidAttributeName", sqs.get_queue_attributes, QueueUrl=queue, AttributeNames=["Colour"])


def test_fifo_queues_and_impossible_names_are_refused(sqs):
    unsupported = "AWS.SimpleQueueService.UnsupportedOperation"
    refused(unsupported, sqs.create_queue, QueueName="jobs.fifo", Attributes={"FifoQueue": "true"})
    for name in ["a b", "a.b", "x" * 81]:
        refused("InvalidParameterValue", sqs.create_queue, QueueName=name)


def test_an_absent_queue_has_both_codes(sqs, queue):
    absent = queue + "-absent"
    for call in [sqs.purge_queue, sqs.delete_queue, sqs.get_queue_attributes, sqs.receive_message]:
        refused("AWS.SimpleQueueService.NonExistentQueue", call, shape="QueueDoesNotExist", QueueUrl=absent)
        with pytest.raises(sqs.exceptions.QueueDoesNotExist):
            call(QueueUrl=absent)


def test_a_deleted_queue_is_gone_and_its_name_rests(sqs, queue):
    sqs.delete_queue(QueueUrl=queue)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        send(sqs, queue)
    with pytest.raises(sqs.exceptions.QueueDeletedRecently):
        sqs.create_queue(QueueName=name_of(queue))


def test_a_purge_empties_the_queue_once_a_minute(sqs, queue):
    for body in ["held", "waiting"]:
        send(sqs, queue, body)
    held = sqs.receive_message(QueueUrl=queue)["Messages"][0]["ReceiptHandle"]
    sqs.purge_queue(QueueUrl=queue)
    assert {attributes(sqs, queue)[f"ApproximateNumberOfMessages{kind}"] for kind in ["", "NotVisible"]} == {"0"}
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=held)
    refused("AWS.SimpleQueueService.PurgeQueueInProgress", sqs.purge_queue, status=403, QueueUrl=queue)


def test_tags_are_kept(sqs):
    url = sqs.create_queue(QueueName="tagged", tags={"team": "a"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"stage": "test", "team": "b"})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"stage": "test", "team": "b"}
    sqs.untag_queue(QueueUrl=url, TagKeys=["stage", "team"])
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=url)


def test_queues_are_listed_by_prefix_and_page(sqs):
    urls = [sqs.create_queue(QueueName=f"list-{n}")["QueueUrl"] for n in range(5)]
    assert sqs.list_queues(QueueNamePrefix="list-")["QueueUrls"] == urls
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="none-")
    config = {"PageSize": 2}
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix="list-", PaginationConfig=config)
    assert [page["QueueUrls"] for page in pages] == [urls[:2], urls[2:4], urls[4:]]
