"""Receipts of SQS as boto3 sees them: visibility, deleting, batches."""

import time

import pytest
from sqs_help import counts, make, md5, md5_of_attributes, receive, receive_one, refused, send, text

MEBIBYTE = 1 << 20
HOURS = 3600


# Visibility.


def test_a_received_message_is_hidden_for_its_time(sqs):
    url = make(sqs, VisibilityTimeout="1")
    send(sqs, url)
    first = receive_one(sqs, url)
    assert receive(sqs, url) == [] and counts(sqs, url) == (0, 1, 0)
    second = receive_one(sqs, url)
    assert second["MessageId"] == first["MessageId"] and second["ReceiptHandle"] != first["ReceiptHandle"]


def test_a_receive_can_ask_for_another_time(sqs):
    url = make(sqs)
    send(sqs, url)
    receive_one(sqs, url, VisibilityTimeout=0)
    receive_one(sqs, url, VisibilityTimeout=1)
    assert receive(sqs, url) == []
    receive_one(sqs, url)


def test_a_change_counts_from_now(sqs):
    url = make(sqs, VisibilityTimeout="1")
    send(sqs, url)
    handle = receive_one(sqs, url)["ReceiptHandle"]
    for _ in range(3):
        time.sleep(0.6)
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=1)
        assert receive(sqs, url) == []
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    receive_one(sqs, url)


def test_an_older_receipt_still_changes_the_visibility(sqs):
    url = make(sqs)
    send(sqs, url)
    old = receive_one(sqs, url, VisibilityTimeout=0)["ReceiptHandle"]
    receive_one(sqs, url, VisibilityTimeout=30)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=old, VisibilityTimeout=0)
    receive_one(sqs, url)


def test_a_message_stays_hidden_for_twelve_hours_at_most(sqs):
    url = make(sqs)
    send(sqs, url)
    change = {"QueueUrl": url, "ReceiptHandle": receive_one(sqs, url)["ReceiptHandle"]}
    for seconds in (-1, 12 * HOURS + 1):
        message = refused(
            "InvalidParameterValue", sqs.change_message_visibility, VisibilityTimeout=seconds, **change
        )
        assert f"Value {seconds} for parameter VisibilityTimeout is invalid." in message
    time.sleep(1.1)
    message = refused(
        "InvalidParameterValue", sqs.change_message_visibility, VisibilityTimeout=12 * HOURS, **change
    )
    assert message.endswith("Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
    sqs.change_message_visibility(VisibilityTimeout=12 * HOURS - 5, **change)


def test_only_a_message_in_flight_can_be_changed(sqs):
    url = make(sqs)
    send(sqs, url)
    change = {"QueueUrl": url, "ReceiptHandle": receive_one(sqs, url)["ReceiptHandle"]}
    sqs.change_message_visibility(VisibilityTimeout=0, **change)
    refused(
        "AWS.SimpleQueueService.MessageNotInflight",
        sqs.change_message_visibility,
        shape="MessageNotInflight",
        VisibilityTimeout=10,
        **change,
    )
    with pytest.raises(sqs.exceptions.MessageNotInflight):
        sqs.change_message_visibility(VisibilityTimeout=10, **change)
    handle = change["ReceiptHandle"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    message = refused("InvalidParameterValue", sqs.change_message_visibility, VisibilityTimeout=10, **change)
    assert message == (
        f"Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not "
        "available for visibility timeout change."
    )


# Deleting.


def test_a_deleted_message_never_comes_back_and_can_be_deleted_again(sqs):
    url = make(sqs, VisibilityTimeout="1")
    send(sqs, url)
    handle = receive_one(sqs, url)["ReceiptHandle"]
    for _ in range(3):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert counts(sqs, url) == (0, 0, 0)
    assert receive(sqs, url, WaitTimeSeconds=2) == []


def test_a_receipt_whose_time_is_over_still_deletes(sqs):
    url = make(sqs)
    send(sqs, url)
    handle = receive_one(sqs, url, VisibilityTimeout=1)["ReceiptHandle"]
    time.sleep(1.2)
    assert counts(sqs, url) == (1, 0, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert counts(sqs, url) == (0, 0, 0)


def test_an_older_receipt_deletes_nothing_and_says_nothing(sqs):
    url = make(sqs)
    send(sqs, url)
    old = receive_one(sqs, url, VisibilityTimeout=0)["ReceiptHandle"]
    new = receive_one(sqs, url)["ReceiptHandle"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=old)
    assert counts(sqs, url) == (0, 1, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=new)
    assert counts(sqs, url) == (0, 0, 0)


def test_invented_receipts_are_refused(sqs):
    url = make(sqs)
    message = refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle="garbage")
    assert message == 'The input receipt handle "garbage" is not a valid receipt handle.'
    change = {"QueueUrl": url, "ReceiptHandle": "garbage", "VisibilityTimeout": 1}
    refused("ReceiptHandleIsInvalid", sqs.change_message_visibility, **change)
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=url, ReceiptHandle="Z2FyYmFnZQ==")


# Batches.


def entries(sqs, kind, ids):
    """Entries of one of the three batch operations, and the operation."""
    more = {
        "send": {"MessageBody": "x"},
        "delete": {"ReceiptHandle": "x"},
        "change": {"ReceiptHandle": "x", "VisibilityTimeout": 1},
    }[kind]
    call = {
        "send": sqs.send_message_batch,
        "delete": sqs.delete_message_batch,
        "change": sqs.change_message_visibility_batch,
    }[kind]
    return call, [{"Id": it} | more for it in ids]


@pytest.mark.parametrize("kind", ["send", "delete", "change"])
@pytest.mark.parametrize(
    "ids, shape, message",
    [
        ([], "EmptyBatchRequest", None),
        (
            [f"e{n}" for n in range(11)],
            "TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 11.",
        ),
        (["a", "b", "a"], "BatchEntryIdsNotDistinct", "Id a repeated."),
        ([""], "InvalidBatchEntryId", None),
        (["a:b"], "InvalidBatchEntryId", None),
        (
            ["x" * 81],
            "InvalidBatchEntryId",
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most "
            "80 letters long.",
        ),
    ],
)
def test_batches_are_refused_as_a_whole(sqs, kind, ids, shape, message):
    call, batch = entries(sqs, kind, ids)
    code = f"AWS.SimpleQueueService.{shape}"
    found = refused(code, call, shape=shape, QueueUrl=make(sqs), Entries=batch)
    assert message is None or found == message
    with pytest.raises(getattr(sqs.exceptions, shape)):
        call(QueueUrl=make(sqs), Entries=batch)


def test_ten_messages_are_sent_at_once(sqs):
    url = make(sqs)
    attribute = {"k": text("v")}
    batch = [{"Id": f"e_{n}-x", "MessageBody": f"body {n}"} for n in range(10)]
    batch[3] |= {"MessageAttributes": attribute, "DelaySeconds": 900, "MessageGroupId": "tenant"}
    answer = sqs.send_message_batch(QueueUrl=url, Entries=batch)
    assert "Failed" not in answer
    assert [it["Id"] for it in answer["Successful"]] == [it["Id"] for it in batch]
    assert [it["MD5OfMessageBody"] for it in answer["Successful"]] == [md5(f"body {n}") for n in range(10)]
    assert answer["Successful"][3]["MD5OfMessageAttributes"] == md5_of_attributes(attribute)
    assert counts(sqs, url) == (9, 0, 1)
    sent = {it["MessageId"] for it in answer["Successful"]}
    assert len(sent) == 10 and {it["MessageId"] for it in receive(sqs, url)} < sent


def test_a_batch_has_one_mebibyte_in_all(sqs):
    url = make(sqs)

    def batch(last):
        bodies = ["x" * (MEBIBYTE // 4)] * 3 + ["x" * last]
        return [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]

    message = refused(
        "AWS.SimpleQueueService.BatchRequestTooLong",
        sqs.send_message_batch,
        shape="BatchRequestTooLong",
        QueueUrl=url,
        Entries=batch(MEBIBYTE // 4 + 1),
    )
    assert message == "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes."
    assert counts(sqs, url) == (0, 0, 0)
    assert len(sqs.send_message_batch(QueueUrl=url, Entries=batch(MEBIBYTE // 4))["Successful"]) == 4


def test_entries_fail_beside_those_that_succeed(sqs):
    url = make(sqs, MaximumMessageSize="1024")
    batch = [
        {"Id": "good", "MessageBody": "x" * 1024},
        {"Id": "long", "MessageBody": "x" * 1025},
        {"Id": "illegal", "MessageBody": "\x00"},
        {"Id": "late", "MessageBody": "x", "DelaySeconds": 901},
    ]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=batch)
    assert [it["Id"] for it in answer["Successful"]] == ["good"]
    failed = {it["Id"]: it for it in answer["Failed"]}
    assert {it: failed[it]["Code"] for it in failed} == {
        "long": "InvalidParameterValue",
        "illegal": "InvalidMessageContents",
        "late": "InvalidParameterValue",
    }
    assert all(it["SenderFault"] for it in failed.values())
    assert failed["long"]["Message"] == (
        "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes."
    )
    assert counts(sqs, url) == (1, 0, 0)


def test_an_entry_without_a_body_fails_the_whole_batch(sqs):
    url = make(sqs)
    batch = [{"Id": "a", "MessageBody": "x"}, {"Id": "b", "MessageBody": ""}]
    refused("MissingParameter", sqs.send_message_batch, QueueUrl=url, Entries=batch)
    assert counts(sqs, url) == (0, 0, 0)


def test_receipts_in_batches(sqs):
    url = make(sqs)
    for n in range(4):
        send(sqs, url, str(n))
    handles = [it["ReceiptHandle"] for it in receive(sqs, url)]
    changes = [
        {"Id": "zero", "ReceiptHandle": handles[0], "VisibilityTimeout": 0},
        {"Id": "garbage", "ReceiptHandle": "garbage", "VisibilityTimeout": 0},
        {"Id": "much", "ReceiptHandle": handles[1], "VisibilityTimeout": 43201},
        {"Id": "more", "ReceiptHandle": handles[1], "VisibilityTimeout": 60},
    ]
    answer = sqs.change_message_visibility_batch(QueueUrl=url, Entries=changes)
    assert [it["Id"] for it in answer["Successful"]] == ["zero", "more"]
    assert {it["Id"]: it["Code"] for it in answer["Failed"]} == {
        "garbage": "ReceiptHandleIsInvalid",
        "much": "InvalidParameterValue",
    }
    assert counts(sqs, url) == (1, 3, 0)
    deletes = [{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(handles)]
    deletes.append({"Id": "garbage", "ReceiptHandle": "garbage"})
    answer = sqs.delete_message_batch(QueueUrl=url, Entries=deletes)
    assert len(answer["Successful"]) == 4 and answer["Failed"][0]["Id"] == "garbage"
    assert counts(sqs, url) == (0, 0, 0)
