"""Ordered failures of SQS as boto3 sees them; judged_by_boto3_sqs.rs orders the ones that each test names."""

import pytest
from botocore.exceptions import ConnectionClosedError
from sqs_help import counts, make, receive, refused, send


def test_entries_are_dropped(sqs):
    url = make(sqs)
    batch = [{"Id": f"e{n}", "MessageBody": str(n)} for n in range(4)]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=batch)
    assert [it["Id"] for it in answer["Successful"]] == ["e0", "e2"]
    assert [(it["Id"], it["Code"], it["SenderFault"]) for it in answer["Failed"]] == [
        ("e1", "InternalError", False),
        ("e3", "InternalError", False),
    ]
    found = receive(sqs, url)
    assert [it["Body"] for it in found] == ["0", "2"]
    deletes = [{"Id": it["Body"], "ReceiptHandle": it["ReceiptHandle"]} for it in found]
    changes = [it | {"VisibilityTimeout": 0} for it in deletes]
    answer = sqs.change_message_visibility_batch(QueueUrl=url, Entries=changes)
    assert (answer["Successful"], answer["Failed"][0]["Id"]) == ([{"Id": "2"}], "0")
    answer = sqs.delete_message_batch(QueueUrl=url, Entries=deletes)
    assert [it["Id"] for it in answer["Failed"]] == ["0"]
    assert counts(sqs, url) == (0, 1, 0)


def test_messages_are_delivered_twice(sqs):
    url = make(sqs)
    for n in range(3):
        send(sqs, url, str(n))
    first = receive(sqs, url)
    assert [it["Body"] for it in first] == ["0", "1", "2"]
    second = receive(sqs, url)
    assert [it["MessageId"] for it in second] == [first[1]["MessageId"]]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=second[0]["ReceiptHandle"])
    assert receive(sqs, url) == [] and counts(sqs, url) == (0, 2, 0)


def test_an_answer_is_lost_and_the_message_sent(sqs):
    url = make(sqs)
    with pytest.raises(ConnectionClosedError):
        send(sqs, url)
    assert counts(sqs, url) == (1, 0, 0)


def test_a_throttled_client_gets_through_by_retrying(sqs, patient):
    url = make(sqs)
    refused("RequestThrottled", send, sqs=sqs, url=url, status=403, shape="RequestThrottled")
    send(patient("sqs"), url)
    assert counts(sqs, url) == (1, 0, 0)
