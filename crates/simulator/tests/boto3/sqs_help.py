"""What the SQS tests share: queues of their own, receives, refusals, and digests computed by hand."""

import hashlib
import itertools
import struct
import time

import pytest
from botocore.exceptions import ClientError

NUMBERS = itertools.count()


def new_name():
    """A name that no run has used before, so that the same tests can be run again against one server."""
    return f"q-{time.time_ns()}-{next(NUMBERS)}"


def make(sqs, **attributes):
    """The URL of a new queue."""
    return sqs.create_queue(QueueName=new_name(), Attributes=attributes)["QueueUrl"]


def attributes(sqs, url, *names):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names or ["All"]).get("Attributes", {})


def arn(sqs, url):
    return attributes(sqs, url, "QueueArn")["QueueArn"]


def counts(sqs, url):
    """How many messages are visible, in flight, delayed."""
    found = attributes(sqs, url)
    return tuple(int(found[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible", "Delayed"))


def send(sqs, url, body="body", **more):
    return sqs.send_message(QueueUrl=url, MessageBody=body, **more)


def receive(sqs, url, **more):
    more = {"MaxNumberOfMessages": 10} | more
    return sqs.receive_message(QueueUrl=url, **more).get("Messages", [])


def receive_one(sqs, url, **more):
    (message,) = receive(sqs, url, WaitTimeSeconds=3, **more)
    return message


def refused(code, call, status=400, shape=None, **parameters):
    """Asserts that a call fails: `code` as the query protocol called it, `shape` as the model calls it."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    assert response["Error"]["Code"] == code
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    if shape is not None:
        assert response["Error"]["QueryErrorCode"] == shape
    return response["Error"]["Message"]


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def md5_of_attributes(attributes):
    """The digest of message attributes as the Developer Guide defines it."""
    digest = hashlib.md5()

    def add(part):
        digest.update(struct.pack(">I", len(part)) + part)

    for name in sorted(attributes):
        value = attributes[name]
        add(name.encode())
        add(value["DataType"].encode())
        digest.update(b"\x01" if "StringValue" in value else b"\x02")
        add(value["StringValue"].encode() if "StringValue" in value else value["BinaryValue"])
    return digest.hexdigest()


def text(value, data_type="String"):
    return {"DataType": data_type, "StringValue": value}
