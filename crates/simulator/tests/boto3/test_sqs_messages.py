"""Messages of SQS as boto3 sees them: content and its digests, limits, what a receive asks for, delays, long polling.

boto3 compares the digest of every body with its own, sent and received; the tests compare those of attributes.
"""

import threading
import time

import pytest
from sqs_help import counts, make, md5, md5_of_attributes, receive, refused, send, text

MIB = 1 << 20


@pytest.fixture
def queue(sqs):
    """The URL of a new queue."""
    return make(sqs)


# Content.


def test_a_message_arrives_as_it_was_sent(sqs, queue):
    body = "tab\t line\n ünïcödé 🚀 \ud7ff\ue000\ufffd"
    attributes = {
        "trace.id": {"DataType": "String", "StringValue": "ä"},
        "count": {"DataType": "Number.int", "StringValue": "-12"},
        "blob": {"DataType": "Binary.gzip", "BinaryValue": b"\x00\xff\x01"},
    }
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sent = sqs.send_message(
        QueueUrl=queue,
        MessageBody=body,
        MessageAttributes=attributes,
        MessageSystemAttributes=header,
        MessageGroupId="tenant-1",
    )
    assert sent["MD5OfMessageBody"] == md5(body)
    assert sent["MD5OfMessageAttributes"] == md5_of_attributes(attributes)
    assert sent["MD5OfMessageSystemAttributes"] == md5_of_attributes(header)
    (got,) = receive(sqs, queue, AttributeNames=["All"], MessageAttributeNames=["All"])
    assert (got["MessageId"], got["Body"]) == (sent["MessageId"], body)
    assert got["MessageAttributes"] == attributes
    assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    system = got["Attributes"]
    assert system["AWSTraceHeader"] == header["AWSTraceHeader"]["StringValue"]
    assert (system["MessageGroupId"], system["ApproximateReceiveCount"]) == ("tenant-1", "1")
    assert int(system["SentTimestamp"]) <= int(system["ApproximateFirstReceiveTimestamp"])


def test_attributes_come_only_when_asked_for(sqs, queue):
    value = text("x")
    sqs.send_message(QueueUrl=queue, MessageBody="m", MessageAttributes={"a.b": value, "a.c": value, "d": value})
    for asked, names in [([], None), (["d", "e"], {"d"}), (["a.*"], {"a.b", "a.c"}), ([".*"], {"a.b", "a.c", "d"})]:
        (got,) = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=asked, VisibilityTimeout=0)["Messages"]
        assert "Attributes" not in got
        if names is None:
            assert "MessageAttributes" not in got and "MD5OfMessageAttributes" not in got
        else:
            assert got["MessageAttributes"].keys() == names
            assert got["MD5OfMessageAttributes"] == md5_of_attributes({name: value for name in names})


def test_a_message_holds_a_mebibyte_with_its_attributes(sqs, queue):
    name = {"k": {"DataType": "String", "StringValue": "v"}}
    sqs.send_message(QueueUrl=queue, MessageBody="x" * MIB)
    sqs.send_message(QueueUrl=queue, MessageBody="x" * (MIB - 8), MessageAttributes=name)
    assert len(receive(sqs, queue)) == 2
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=queue, MessageBody="x" * (MIB + 1))
    refused(
        "InvalidParameterValue", sqs.send_message, QueueUrl=queue, MessageBody="x" * (MIB - 7), MessageAttributes=name
    )


def test_what_xml_cannot_carry_is_refused(sqs, queue):
    for wrong in ["\x00", "\x0b", "\ufffe", "\uffff"]:
        refused("InvalidMessageContents", sqs.send_message, QueueUrl=queue, MessageBody=wrong)
        with pytest.raises(sqs.exceptions.InvalidMessageContents):
            sqs.send_message(QueueUrl=queue, MessageBody=wrong)
    refused("MissingParameter", sqs.send_message, QueueUrl=queue, MessageBody="")
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=queue, MessageBody="m", DelaySeconds=901)
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=queue, MessageBody="m", MessageDeduplicationId="d")
    eleven = {f"a{n}": text("x") for n in range(11)}
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=queue, MessageBody="m", MessageAttributes=eleven)


# Receiving.


def test_a_receipt_belongs_to_its_queue(sqs, queue):
    other = make(sqs)
    sqs.send_message(QueueUrl=other, MessageBody="m")
    handle = receive(sqs, other)[0]["ReceiptHandle"]
    for wrong in [handle, "invented"]:
        with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=wrong)
        with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
            sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=wrong, VisibilityTimeout=1)


def test_a_receive_has_limits(sqs, queue):
    for n in range(10):
        send(sqs, queue, str(n))
    assert len(sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)["Messages"]) == 1, "one unless asked for more"
    assert len(receive(sqs, queue, VisibilityTimeout=0)) == 10
    for wrong in [{"MaxNumberOfMessages": 0}, {"MaxNumberOfMessages": 11}, {"WaitTimeSeconds": 21}]:
        refused("InvalidParameterValue", receive, sqs=sqs, url=queue, **wrong)
    refused("InvalidParameterValue", receive, sqs=sqs, url=queue, VisibilityTimeout=43_201)
    refused("InvalidAttributeName", receive, sqs=sqs, url=queue, MessageSystemAttributeNames=["Colour"])


def test_a_delay_is_the_messages_or_else_the_queues(sqs):
    url = make(sqs, DelaySeconds="1")
    sqs.send_message(QueueUrl=url, MessageBody="later")
    sqs.send_message(QueueUrl=url, MessageBody="now", DelaySeconds=0)
    assert counts(sqs, url) == (1, 0, 1)
    assert [message["Body"] for message in receive(sqs, url)] == ["now"]
    assert [message["Body"] for message in receive(sqs, url, WaitTimeSeconds=5)] == ["later"]


def test_a_long_poll_ends_with_a_message_or_with_its_time(sqs, queue):
    begun = time.monotonic()
    assert receive(sqs, queue, WaitTimeSeconds=1) == []
    assert 0.9 < time.monotonic() - begun < 5
    sender = threading.Timer(0.5, sqs.send_message, kwargs={"QueueUrl": queue, "MessageBody": "late"})
    sender.start()
    begun = time.monotonic()
    (message,) = receive(sqs, queue, WaitTimeSeconds=20)
    assert message["Body"] == "late" and 0.4 < time.monotonic() - begun < 10
    sender.join()
