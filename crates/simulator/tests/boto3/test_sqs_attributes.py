"""Attributes of SQS as boto3 sees them: those of queues, those of messages, and those that SQS itself adds."""

import json
import time

import pytest
from sqs_help import attributes, make, md5_of_attributes, receive, receive_one, refused, send, text

MIB = 1 << 20


# Of queues.


def test_queue_attributes_come_as_asked_for(sqs):
    url = make(sqs, VisibilityTimeout="7")
    asked = attributes(sqs, url, "VisibilityTimeout", "DelaySeconds")
    assert asked == {"VisibilityTimeout": "7", "DelaySeconds": "0"}
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url)
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
    message = refused("InvalidAttributeName", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"])
    assert message == "Unknown Attribute Colour."


def test_queue_attributes_are_set_together_or_not_at_all(sqs):
    url = make(sqs)
    wanted = {
        "DelaySeconds": "420",
        "MaximumMessageSize": "2048",
        "MessageRetentionPeriod": "604800",
        "ReceiveMessageWaitTimeSeconds": "10",
        "VisibilityTimeout": "69",
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes=wanted)
    assert attributes(sqs, url).items() >= wanted.items()
    wrong = {"DelaySeconds": "1", "VisibilityTimeout": "43201"}
    refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes=wrong)
    assert attributes(sqs, url, "DelaySeconds") == {"DelaySeconds": "420"}


@pytest.mark.parametrize(
    "name, values",
    [
        ("DelaySeconds", ["-1", "901", "x"]),
        ("MaximumMessageSize", ["1023", "1048577", ""]),
        ("MessageRetentionPeriod", ["59", "1209601"]),
        ("ReceiveMessageWaitTimeSeconds", ["-1", "21"]),
        ("VisibilityTimeout", ["-1", "43201"]),
        ("Policy", ["not JSON"]),
    ],
)
def test_queue_attributes_have_ranges(sqs, name, values):
    url = make(sqs)
    for value in values:
        message = refused("InvalidAttributeValue", make, sqs=sqs, **{name: value})
        assert message == f"Invalid value for the parameter {name}."
        refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={name: value})


def test_queue_attributes_that_a_standard_queue_does_not_have(sqs):
    for name, message in (
        ("Colour", "Unknown Attribute Colour."),
        ("QueueArn", "Unknown Attribute QueueArn."),
        ("FifoQueue", "Unknown Attribute FifoQueue."),
        ("ContentBasedDeduplication", "Unknown Attribute ContentBasedDeduplication."),
        ("DeduplicationScope", "You can specify the DeduplicationScope only when FifoQueue is set to true."),
        ("FifoThroughputLimit", "You can specify the FifoThroughputLimit only when FifoQueue is set to true."),
    ):
        assert refused("InvalidAttributeName", make, sqs=sqs, **{name: "true"}) == message


def test_policies_and_encryption_are_kept(sqs):
    policy = {"Version": "2012-10-17", "Statement": []}
    url = make(sqs, Policy=json.dumps(policy), KmsMasterKeyId="alias/mine")
    found = attributes(sqs, url)
    assert json.loads(found["Policy"]) == policy and found["KmsMasterKeyId"] == "alias/mine"
    assert (found["SqsManagedSseEnabled"], found["KmsDataKeyReusePeriodSeconds"]) == ("false", "300")
    both = {"KmsMasterKeyId": "alias/mine", "SqsManagedSseEnabled": "true"}
    refused("InvalidAttributeName", sqs.set_queue_attributes, QueueUrl=url, Attributes=both)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": "", "KmsMasterKeyId": ""})
    assert not {"Policy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"} & set(attributes(sqs, url))


def test_a_change_is_dated(sqs):
    url = make(sqs)
    time.sleep(1.1)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "1"})
    found = attributes(sqs, url)
    assert int(found["LastModifiedTimestamp"]) > int(found["CreatedTimestamp"])


# Of messages.

MIXED = {
    "Text": text("héllo"),
    "text.custom": text("x", "String.json"),
    "Count": text("12.50", "Number"),
    "Count-int": text("-7", "Number.int"),
    "_bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff\x10"},
    "png": {"DataType": "Binary.png", "BinaryValue": b"\x89PNG"},
}


def test_message_attributes_are_filtered_and_the_digest_is_of_those_returned(sqs):
    url = make(sqs, VisibilityTimeout="0")
    sent = send(sqs, url, MessageAttributes=MIXED)
    assert sent["MD5OfMessageAttributes"] == md5_of_attributes(MIXED)
    for wanted, names in (
        ([], set()),
        (["none"], set()),
        (["All"], set(MIXED)),
        ([".*"], set(MIXED)),
        (["Count"], {"Count"}),
        (["Count.*"], {"Count", "Count-int"}),
        (["text.*", "png"], {"text.custom", "png"}),
    ):
        found = receive_one(sqs, url, MessageAttributeNames=wanted)
        expected = {name: MIXED[name] for name in names}
        assert found.get("MessageAttributes", {}) == expected
        assert found.get("MD5OfMessageAttributes") == (md5_of_attributes(expected) if names else None)


@pytest.mark.parametrize("name", ["", "AWS.x", "aws.x", "Amazon.y", ".a", "a.", "a..b", "a b", "é", "n" * 257])
def test_names_of_message_attributes_that_cannot_be(sqs, name):
    refused("InvalidParameterValue", send, sqs=sqs, url=make(sqs), MessageAttributes={name: text("x")})


@pytest.mark.parametrize(
    "value",
    [
        {"DataType": "Text", "StringValue": "x"},
        {"DataType": "", "StringValue": "x"},
        {"DataType": "String"},
        {"DataType": "String", "StringValue": ""},
        {"DataType": "Binary"},
        {"DataType": "Number", "StringValue": "twelve"},
    ],
)
def test_values_of_message_attributes_that_cannot_be(sqs, value):
    refused("InvalidParameterValue", send, sqs=sqs, url=make(sqs), MessageAttributes={"a": value})


def test_ten_message_attributes_are_the_most(sqs):
    url = make(sqs)
    send(sqs, url, MessageAttributes={f"a{n}": text("x") for n in range(10)})
    eleven = {f"a{n}": text("x") for n in range(11)}
    message = refused("InvalidParameterValue", send, sqs=sqs, url=url, MessageAttributes=eleven)
    assert message == "Number of message attributes [11] exceeds the allowed maximum [10]."


# Of SQS itself.


def test_system_attributes_tell_how_a_message_fared(sqs):
    url = make(sqs, VisibilityTimeout="0")
    before = time.time()
    send(sqs, url)
    first = receive_one(sqs, url, AttributeNames=["All"])["Attributes"]
    time.sleep(0.1)
    second = receive_one(sqs, url, MessageSystemAttributeNames=["All"])["Attributes"]
    names = {"SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"}
    assert set(first) == set(second) == names
    assert (first.pop("ApproximateReceiveCount"), second.pop("ApproximateReceiveCount")) == ("1", "2")
    assert first == second
    received, sent = int(first["ApproximateFirstReceiveTimestamp"]), int(first["SentTimestamp"])
    assert len(str(sent)) == 13 and 0 <= received - sent <= (time.time() - before) * 1000 + 1


def test_system_attributes_come_as_asked_for(sqs):
    url = make(sqs, VisibilityTimeout="0")
    send(sqs, url)
    assert "Attributes" not in receive_one(sqs, url)
    for names in (["SenderId"], ["SenderId", "SequenceNumber"]):
        assert set(receive_one(sqs, url, MessageSystemAttributeNames=names)["Attributes"]) == {"SenderId"}
    both = receive_one(sqs, url, AttributeNames=["SentTimestamp"], MessageSystemAttributeNames=["SenderId"])
    assert set(both["Attributes"]) == {"SenderId", "SentTimestamp"}
    refused("InvalidAttributeName", receive, sqs=sqs, url=url, AttributeNames=["Colour"])


def test_the_trace_header_travels_beside_a_full_message(sqs):
    url = make(sqs)
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    header = {"AWSTraceHeader": text(trace)}
    sent = send(sqs, url, "x" * MIB, MessageSystemAttributes=header)
    assert sent["MD5OfMessageSystemAttributes"] == md5_of_attributes(header)
    found = receive_one(sqs, url, AttributeNames=["AWSTraceHeader"])
    assert found["Attributes"] == {"AWSTraceHeader": trace}
    refused("InvalidParameterValue", send, sqs=sqs, url=url, MessageSystemAttributes={"Other": text("x")})


def test_groups_make_queues_fair_and_deduplication_is_for_fifo(sqs):
    url = make(sqs)
    send(sqs, url, MessageGroupId="tenant-1")
    found = receive_one(sqs, url, MessageSystemAttributeNames=["All"])
    assert found["Attributes"]["MessageGroupId"] == "tenant-1"
    for group in ("", "g" * 129, "group 123"):
        message = refused("InvalidParameterValue", send, sqs=sqs, url=url, MessageGroupId=group)
        assert message.endswith("can only include alphanumeric and punctuation characters. 1 to 128 in length.")
    refused("InvalidParameterValue", send, sqs=sqs, url=url, MessageDeduplicationId="once")
