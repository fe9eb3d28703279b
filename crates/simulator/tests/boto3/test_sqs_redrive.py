"""Dead-letter queues of SQS as boto3 sees them: redrive policies, and move tasks that bring messages back."""

import base64
import json
import time
import uuid

import pytest
from sqs_help import arn, attributes, counts, make, new_name, receive, receive_one, refused, send, text

MISSING_SOURCE = "The resource that you specified for the SourceArn parameter doesn't exist."


def policy(sqs, dead, count=1):
    return json.dumps({"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": count})


def pair(sqs, count=1):
    """A queue whose messages are visible again at once, and its dead-letter queue."""
    dead = make(sqs)
    return make(sqs, VisibilityTimeout="0", RedrivePolicy=policy(sqs, dead, count)), dead


def kill(sqs, url, dead, *bodies):
    """Sends messages and receives them until they are in the dead-letter queue."""
    for body in bodies:
        send(sqs, url, body)
    before = counts(sqs, dead)[0]
    wait(lambda: receive(sqs, url) == [] and counts(sqs, dead)[0] == before + len(bodies))


def wait(until, seconds=10):
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# Policies.


def test_the_count_comes_back_as_a_number(sqs):
    dead = make(sqs)
    given = json.dumps({"maxReceiveCount": "42", "deadLetterTargetArn": arn(sqs, dead)})
    url = make(sqs, RedrivePolicy=given)
    found = json.loads(attributes(sqs, url)["RedrivePolicy"])
    assert found == {"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": 42}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})
    assert "RedrivePolicy" not in attributes(sqs, url)


def test_policies_that_cannot_be(sqs):
    url, dead = make(sqs), make(sqs)
    target = arn(sqs, dead)
    for wrong in (
        "no JSON",
        json.dumps({"deadLetterTargetArn": target}),
        json.dumps({"maxReceiveCount": 3}),
        json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 0}),
        json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 1001}),
        json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": "many"}),
        json.dumps({"deadLetterTargetArn": target + "-none", "maxReceiveCount": 3}),
        json.dumps({"deadLetterTargetArn": "dummy", "maxReceiveCount": 3}),
    ):
        change = {"QueueUrl": url, "Attributes": {"RedrivePolicy": wrong}}
        refused("InvalidParameterValue", sqs.set_queue_attributes, **change)
        refused("InvalidParameterValue", make, sqs=sqs, RedrivePolicy=wrong)


def test_a_dead_letter_queue_says_whose_letters_it_takes(sqs):
    url, dead = make(sqs), make(sqs)
    change = {"QueueUrl": url, "Attributes": {"RedrivePolicy": policy(sqs, dead)}}

    def allow(**members):
        sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(members)})

    allow(redrivePermission="denyAll")
    refused("InvalidParameterValue", sqs.set_queue_attributes, **change)
    allow(redrivePermission="byQueue", sourceQueueArns=[arn(sqs, dead)])
    refused("InvalidParameterValue", sqs.set_queue_attributes, **change)
    allow(redrivePermission="byQueue", sourceQueueArns=[arn(sqs, url)])
    sqs.set_queue_attributes(**change)
    found = json.loads(attributes(sqs, dead)["RedriveAllowPolicy"])
    assert found == {"redrivePermission": "byQueue", "sourceQueueArns": [arn(sqs, url)]}
    for wrong in ({"redrivePermission": "some"}, {"redrivePermission": "byQueue"}, {}):
        with pytest.raises(sqs.exceptions.ClientError):
            allow(**wrong)


def test_sources_of_a_dead_letter_queue(sqs):
    dead = make(sqs)
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == []
    urls = sorted(make(sqs, RedrivePolicy=policy(sqs, dead)) for _ in range(3))
    assert sorted(sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"]) == urls
    pages = sqs.get_paginator("list_dead_letter_source_queues").paginate(
        QueueUrl=dead, PaginationConfig={"PageSize": 2}
    )
    pages = [page["queueUrls"] for page in pages]
    assert [len(page) for page in pages] == [2, 1] and sorted(sum(pages, [])) == urls


# Dead letters.


def test_a_message_dies_after_its_last_receive(sqs):
    url, dead = pair(sqs, count=3)
    sent = send(sqs, url, "poison", MessageAttributes={"k": text("v")})
    for count in ("1", "2", "3"):
        found = receive_one(sqs, url, AttributeNames=["All"])
        assert found["Attributes"]["ApproximateReceiveCount"] == count
        assert "DeadLetterQueueSourceArn" not in found["Attributes"]
    alive = found["Attributes"]
    assert receive(sqs, url, WaitTimeSeconds=1) == []
    letter = receive_one(sqs, dead, AttributeNames=["All"], MessageAttributeNames=["All"])
    assert (letter["MessageId"], letter["Body"]) == (sent["MessageId"], "poison")
    assert letter["MessageAttributes"] == {"k": text("v")}
    assert letter["Attributes"]["ApproximateReceiveCount"] == "4"
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == arn(sqs, url)
    for name in ("SentTimestamp", "ApproximateFirstReceiveTimestamp"):
        assert letter["Attributes"][name] == alive[name]


def test_the_dead_do_not_hold_up_the_living(sqs):
    url, dead = pair(sqs)
    for n in range(15):
        send(sqs, url, f"poison {n}")
    for _ in range(2):
        receive(sqs, url)
    send(sqs, url, "alive")
    wait(lambda: any(it["Body"] == "alive" for it in receive(sqs, url)))
    wait(lambda: receive(sqs, url) == [] and counts(sqs, dead)[0] == 16)


# Move tasks.


def results(sqs, dead, **more):
    return sqs.list_message_move_tasks(SourceArn=arn(sqs, dead), **more)["Results"]


def test_letters_go_back_to_their_own_sources_as_new_messages(sqs):
    dead = make(sqs)
    urls = [make(sqs, VisibilityTimeout="0", RedrivePolicy=policy(sqs, dead)) for _ in range(2)]
    for number, url in enumerate(urls):
        kill(sqs, url, dead, *(f"{number}-{n}" for n in range(3)))
    old = {it["MessageId"]: it for it in receive(sqs, dead, VisibilityTimeout=0, AttributeNames=["All"])}
    task = sqs.start_message_move_task(SourceArn=arn(sqs, dead))
    decoded = json.loads(base64.b64decode(task["TaskHandle"]))
    assert uuid.UUID(decoded["taskId"]) and decoded["sourceArn"] == arn(sqs, dead)
    wait(lambda: results(sqs, dead)[0]["Status"] == "COMPLETED")
    (found,) = results(sqs, dead)
    assert (found["ApproximateNumberOfMessagesMoved"], found["ApproximateNumberOfMessagesToMove"]) == (6, 6)
    assert len(str(found["StartedTimestamp"])) == 13
    assert not {"TaskHandle", "DestinationArn", "MaxNumberOfMessagesPerSecond", "FailureReason"} & set(found)
    for number, url in enumerate(urls):
        back = receive(sqs, url, VisibilityTimeout=30, AttributeNames=["All"])
        assert {it["Body"] for it in back} == {f"{number}-{n}" for n in range(3)}
        assert {it["Attributes"]["ApproximateReceiveCount"] for it in back} == {"1"}
        assert not {it["MessageId"] for it in back} & set(old)
        latest = max(int(it["Attributes"]["SentTimestamp"]) for it in old.values())
        assert all(int(it["Attributes"]["SentTimestamp"]) > latest for it in back)
    assert counts(sqs, dead) == (0, 0, 0)


def test_a_destination_can_be_chosen(sqs):
    url, dead = pair(sqs)
    other = make(sqs)
    kill(sqs, url, dead, "a", "b")
    sqs.start_message_move_task(SourceArn=arn(sqs, dead), DestinationArn=arn(sqs, other))
    wait(lambda: results(sqs, dead)[0]["Status"] == "COMPLETED")
    assert results(sqs, dead)[0]["DestinationArn"] == arn(sqs, other)
    assert {it["Body"] for it in receive(sqs, other)} == {"a", "b"}


def test_one_task_at_a_time_with_its_rate_until_cancelled(sqs):
    url, dead = pair(sqs)
    kill(sqs, url, dead, *(str(n) for n in range(8)))
    start = {"SourceArn": arn(sqs, dead), "MaxNumberOfMessagesPerSecond": 1}
    handle = sqs.start_message_move_task(**start)["TaskHandle"]
    message = refused("InvalidParameterValue", sqs.start_message_move_task, **start)
    assert message.startswith("There is already a task running.")
    wait(lambda: counts(sqs, url)[0] == 2)
    (running,) = results(sqs, dead)
    assert (running["Status"], running["TaskHandle"]) == ("RUNNING", handle)
    assert running["MaxNumberOfMessagesPerSecond"] == 1
    assert sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"] == 2
    wait(lambda: results(sqs, dead)[0]["Status"] == "CANCELLED")
    assert counts(sqs, dead)[0] == 6
    refused("AWS.SimpleQueueService.UnsupportedOperation", sqs.cancel_message_move_task, TaskHandle=handle)


def test_a_task_fails_when_its_destination_is_gone(sqs):
    url, dead = pair(sqs)
    other = make(sqs)
    kill(sqs, url, dead, "a", "b", "c")
    sqs.start_message_move_task(
        SourceArn=arn(sqs, dead), DestinationArn=arn(sqs, other), MaxNumberOfMessagesPerSecond=2
    )
    sqs.delete_queue(QueueUrl=other)
    wait(lambda: results(sqs, dead)[0]["Status"] == "FAILED")
    (failed,) = results(sqs, dead)
    assert failed["FailureReason"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert counts(sqs, dead)[0] >= 2


def test_the_latest_tasks_come_first(sqs):
    url, dead = pair(sqs)
    for number in range(3):
        kill(sqs, url, dead, *("x" * number))
        sqs.start_message_move_task(SourceArn=arn(sqs, dead), DestinationArn=arn(sqs, make(sqs)))
        wait(lambda: results(sqs, dead)[0]["Status"] == "COMPLETED")
    assert [it["ApproximateNumberOfMessagesMoved"] for it in results(sqs, dead, MaxResults=10)] == [2, 1, 0]
    assert len(results(sqs, dead)) == 1
    for size in (0, 11):
        refused("InvalidParameterValue", sqs.list_message_move_tasks, SourceArn=arn(sqs, dead), MaxResults=size)


def test_tasks_that_cannot_be(sqs):
    url, dead = pair(sqs)
    start, none = sqs.start_message_move_task, arn(sqs, dead) + "-none"
    message = refused("InvalidParameterValue", start, SourceArn=arn(sqs, url))
    assert message == "Source queue must be configured as a Dead Letter Queue."
    gone = {"status": 404, "shape": "ResourceNotFoundException"}
    assert refused("ResourceNotFoundException", start, **gone, SourceArn=none) == MISSING_SOURCE
    refused("ResourceNotFoundException", start, **gone, SourceArn=arn(sqs, dead), DestinationArn=none)
    with pytest.raises(sqs.exceptions.ResourceNotFoundException):
        sqs.list_message_move_tasks(SourceArn=none)
    for rate in (0, 501):
        refused("InvalidParameterValue", start, SourceArn=arn(sqs, dead), MaxNumberOfMessagesPerSecond=rate)


def test_handles_that_cannot_be(sqs):
    def handle(source):
        return base64.b64encode(json.dumps({"taskId": str(uuid.uuid4()), "sourceArn": source}).encode()).decode()

    cancel, gone = sqs.cancel_message_move_task, {"status": 404}
    message = refused("InvalidParameterValue", cancel, TaskHandle="foobared")
    assert message == "Value for parameter TaskHandle is invalid."
    none = f"arn:aws:sqs:eu-central-1:111122223333:{new_name()}"
    assert refused("ResourceNotFoundException", cancel, **gone, TaskHandle=handle(none)) == MISSING_SOURCE
    known = handle(arn(sqs, make(sqs)))
    assert refused("ResourceNotFoundException", cancel, **gone, TaskHandle=known) == "Task does not exist."
