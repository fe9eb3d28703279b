use std::collections::HashSet;
use std::time::Instant;

use serde_json::json;
use tokio::time::sleep;

use super::*;
use crate::faults::{Fault, When};

const EPOCH: Duration = Duration::from_hours(500_000);
const ARN: &str = "arn:aws:sqs:eu-west-1:111122223333";

/// SQS with one queue `jobs` of these attributes, whose dead letters go to `dead` if `receives_max` is given.
async fn sqs(attributes: Value, receives_max: Option<u32>) -> (Sqs, Faults) {
    let faults = Faults::default();
    let clock = Clock::starting_at(EPOCH);
    let sqs = Sqs::new("http://127.0.0.1:9", "eu-west-1", "111122223333", clock, faults.clone());
    let mut attributes = attributes;
    if let Some(count) = receives_max {
        ok(&sqs, "CreateQueue", json!({"QueueName": "dead"})).await;
        let policy = json!({"deadLetterTargetArn": format!("{ARN}:dead"), "maxReceiveCount": count});
        attributes["RedrivePolicy"] = json!(policy.to_string());
    }
    ok(&sqs, "CreateQueue", json!({"QueueName": "jobs", "Attributes": attributes})).await;
    (sqs, faults)
}

async fn ok(sqs: &Sqs, operation: &str, body: Value) -> Value {
    sqs.call(operation, body).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
}

async fn refused(sqs: &Sqs, operation: &str, body: Value) -> String {
    sqs.call(operation, body).await.expect_err(operation).code
}

async fn send(sqs: &Sqs, body: &str) {
    ok(sqs, "SendMessage", json!({"QueueUrl": "jobs", "MessageBody": body})).await;
}

/// Receives up to ten messages with the members of `more`.
async fn receive(sqs: &Sqs, queue: &str, more: Value) -> Vec<Value> {
    let mut ask =
        json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"]});
    ask.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
    let answer = ok(sqs, "ReceiveMessage", ask).await;
    answer["Messages"].as_array().cloned().unwrap_or_default()
}

fn bodies(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["Body"].as_str().expect("body")).collect()
}

async fn counts(sqs: &Sqs, queue: &str) -> [String; 3] {
    let answer = ok(sqs, "GetQueueAttributes", json!({"QueueUrl": queue, "AttributeNames": ["All"]})).await;
    ["", "NotVisible", "Delayed"].map(|kind| {
        let name = format!("ApproximateNumberOfMessages{kind}");
        answer["Attributes"][name].as_str().expect("count").to_owned()
    })
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_with_the_first_message() {
    let (sqs, _) = sqs(json!({}), None).await;
    let started = tokio::time::Instant::now();
    let (found, ()) = tokio::join!(receive(&sqs, "jobs", json!({"WaitTimeSeconds": 20})), async {
        sleep(Duration::from_secs(7)).await;
        send(&sqs, "late").await;
    });
    assert_eq!(bodies(&found), ["late"]);
    assert_eq!(started.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_sees_what_becomes_visible_and_ends_empty_in_time() {
    let (sqs, _) = sqs(json!({"ReceiveMessageWaitTimeSeconds": "20"}), None).await;
    ok(&sqs, "SendMessage", json!({"QueueUrl": "jobs", "MessageBody": "delayed", "DelaySeconds": 5})).await;
    let started = tokio::time::Instant::now();
    assert_eq!(bodies(&receive(&sqs, "jobs", json!({"VisibilityTimeout": 60})).await), ["delayed"]);
    assert_eq!(started.elapsed().as_secs(), 5);
    assert!(receive(&sqs, "jobs", json!({})).await.is_empty());
    assert_eq!(started.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_that_is_dropped_takes_nothing_with_it() {
    let (sqs, _) = sqs(json!({}), None).await;
    let poll = receive(&sqs, "jobs", json!({"WaitTimeSeconds": 20}));
    assert!(tokio::time::timeout(Duration::from_secs(1), poll).await.is_err());
    send(&sqs, "kept").await;
    assert_eq!(bodies(&receive(&sqs, "jobs", json!({})).await), ["kept"]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_ends_when_its_queue_is_deleted() {
    let (sqs, _) = sqs(json!({}), None).await;
    let (polled, _) = tokio::join!(
        refused(&sqs, "ReceiveMessage", json!({"QueueUrl": "jobs", "WaitTimeSeconds": 20})),
        ok(&sqs, "DeleteQueue", json!({"QueueUrl": "jobs"}))
    );
    assert_eq!(polled, "QueueDoesNotExist");
    assert_eq!(refused(&sqs, "CreateQueue", json!({"QueueName": "jobs"})).await, "QueueDeletedRecently");
    sleep(Duration::from_mins(1)).await;
    ok(&sqs, "CreateQueue", json!({"QueueName": "jobs"})).await;
}

#[tokio::test(start_paused = true)]
async fn a_poison_message_ends_in_the_dead_letter_queue_and_comes_back_as_a_new_one() {
    let (sqs, _) = sqs(json!({"VisibilityTimeout": "10"}), Some(2)).await;
    send(&sqs, "poison").await;
    for _ in 0..2 {
        assert_eq!(receive(&sqs, "jobs", json!({})).await.len(), 1);
        sleep(Duration::from_secs(10)).await;
    }
    assert!(receive(&sqs, "jobs", json!({})).await.is_empty());
    let dead = receive(&sqs, "dead", json!({"VisibilityTimeout": 0})).await.remove(0);
    assert_eq!(dead["Attributes"]["ApproximateReceiveCount"], "3");
    assert_eq!(dead["Attributes"]["SentTimestamp"], "1800000000000");
    assert_eq!(dead["Attributes"]["ApproximateFirstReceiveTimestamp"], "1800000000000");
    assert_eq!(dead["Attributes"]["DeadLetterQueueSourceArn"], format!("{ARN}:jobs"));

    let dead_arn = format!("{ARN}:dead");
    ok(&sqs, "StartMessageMoveTask", json!({"SourceArn": dead_arn})).await;
    sleep(Duration::from_secs(1)).await;
    let back = receive(&sqs, "jobs", json!({})).await.remove(0);
    assert_eq!(back["Body"], "poison");
    assert_ne!(back["MessageId"], dead["MessageId"]);
    assert_eq!(back["Attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!(back["Attributes"]["SentTimestamp"], "1800000020000");
    let tasks = ok(&sqs, "ListMessageMoveTasks", json!({"SourceArn": dead_arn})).await;
    assert_eq!(tasks["Results"][0]["Status"], "COMPLETED");
    assert_eq!(tasks["Results"][0]["ApproximateNumberOfMessagesMoved"], 1);
}

#[tokio::test(start_paused = true)]
async fn each_queue_in_a_chain_of_dead_letter_queues_delivers_before_it_gives_up() {
    let (sqs, _) = sqs(json!({"VisibilityTimeout": "0"}), Some(1)).await;
    ok(&sqs, "CreateQueue", json!({"QueueName": "last"})).await;
    let policy = json!({"deadLetterTargetArn": format!("{ARN}:last"), "maxReceiveCount": 1}).to_string();
    let attributes = json!({"RedrivePolicy": policy, "VisibilityTimeout": "0"});
    ok(&sqs, "SetQueueAttributes", json!({"QueueUrl": "dead", "Attributes": attributes})).await;
    send(&sqs, "poison").await;
    for (queue, received) in [("jobs", 1), ("jobs", 0), ("dead", 1), ("dead", 0), ("last", 1)] {
        assert_eq!(receive(&sqs, queue, json!({})).await.len(), received, "{queue}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_their_dead_letter_queue_messages_stay() {
    let (sqs, _) = sqs(json!({"VisibilityTimeout": "0"}), Some(1)).await;
    send(&sqs, "poison").await;
    ok(&sqs, "DeleteQueue", json!({"QueueUrl": "dead"})).await;
    for _ in 0..3 {
        assert_eq!(receive(&sqs, "jobs", json!({})).await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_task_keeps_its_rate_and_can_be_cancelled() {
    let (sqs, _) = sqs(json!({"VisibilityTimeout": "0"}), Some(1)).await;
    for n in 0..10 {
        send(&sqs, &n.to_string()).await;
    }
    while !receive(&sqs, "jobs", json!({})).await.is_empty() {}
    let source = json!({"SourceArn": format!("{ARN}:dead"), "MaxNumberOfMessagesPerSecond": 2});
    let task = ok(&sqs, "StartMessageMoveTask", source.clone()).await;
    assert_eq!(refused(&sqs, "StartMessageMoveTask", source).await, "InvalidParameterValueException");
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(counts(&sqs, "jobs").await[0], "3", "one at once, then one every half second");
    let cancelled = ok(&sqs, "CancelMessageMoveTask", task.clone()).await;
    assert_eq!(cancelled["ApproximateNumberOfMessagesMoved"], 3);
    sleep(Duration::from_secs(9)).await;
    assert_eq!(counts(&sqs, "jobs").await[0], "3");
    assert_eq!(counts(&sqs, "dead").await[0], "7");
    let list = ok(&sqs, "ListMessageMoveTasks", json!({"SourceArn": format!("{ARN}:dead")})).await;
    assert_eq!(list["Results"][0]["Status"], "CANCELLED");
    assert_eq!(list["Results"][0].get("TaskHandle"), None);
    assert_eq!(refused(&sqs, "CancelMessageMoveTask", task).await, "UnsupportedOperation");
}

#[tokio::test(start_paused = true)]
async fn a_letter_without_a_source_fails_the_task_and_stays() {
    let (sqs, _) = sqs(json!({}), Some(1)).await;
    ok(&sqs, "SendMessage", json!({"QueueUrl": "dead", "MessageBody": "sent here"})).await;
    ok(&sqs, "StartMessageMoveTask", json!({"SourceArn": format!("{ARN}:dead")})).await;
    sleep(Duration::from_millis(1)).await;
    let list = ok(&sqs, "ListMessageMoveTasks", json!({"SourceArn": format!("{ARN}:dead")})).await;
    assert_eq!(list["Results"][0]["Status"], "FAILED");
    assert_eq!(list["Results"][0]["FailureReason"], "CouldNotDetermineMessageSource");
    assert_eq!(counts(&sqs, "dead").await, ["1", "0", "0"]);
}

#[tokio::test(start_paused = true)]
async fn ordered_faults_drop_entries_and_deliver_twice() {
    let (sqs, faults) = sqs(json!({}), None).await;
    faults.order("SendMessageBatch", When::Nth(2), Fault::DropEntry);
    faults.order("ReceiveMessage", When::First(1), Fault::DeliverTwice);
    let entries: Vec<_> = ["a", "b", "c"].map(|id| json!({"Id": id, "MessageBody": id})).into();
    let answer = ok(&sqs, "SendMessageBatch", json!({"QueueUrl": "jobs", "Entries": entries})).await;
    assert_eq!(answer["Failed"][0]["Id"], "b");
    assert_eq!(answer["Failed"][0]["SenderFault"], false);
    let first = receive(&sqs, "jobs", json!({})).await;
    assert_eq!(bodies(&first), ["a", "c"]);
    let second = receive(&sqs, "jobs", json!({})).await;
    assert_eq!(bodies(&second), ["a"], "delivered twice although its visibility time-out is not over");
    assert_eq!(second[0]["MessageId"], first[0]["MessageId"]);
    assert_ne!(second[0]["ReceiptHandle"], first[0]["ReceiptHandle"]);
    assert!(receive(&sqs, "jobs", json!({})).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn retention_counts_from_the_first_send() {
    let (sqs, _) = sqs(json!({"MessageRetentionPeriod": "60", "VisibilityTimeout": "0"}), Some(1)).await;
    ok(
        &sqs,
        "SetQueueAttributes",
        json!({"QueueUrl": "dead", "Attributes": {"MessageRetentionPeriod": "90"}}),
    )
    .await;
    send(&sqs, "forgotten").await;
    send(&sqs, "poison").await;
    sleep(Duration::from_secs(50)).await;
    receive(&sqs, "jobs", json!({"MaxNumberOfMessages": 1})).await;
    sleep(Duration::from_secs(5)).await;
    receive(&sqs, "jobs", json!({"MaxNumberOfMessages": 2})).await;
    receive(&sqs, "jobs", json!({"MaxNumberOfMessages": 1})).await;
    assert_eq!((counts(&sqs, "jobs").await[0].as_str(), counts(&sqs, "dead").await[0].as_str()), ("0", "2"));
    sleep(Duration::from_secs(34)).await;
    assert_eq!(counts(&sqs, "dead").await[0], "2");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(counts(&sqs, "dead").await[0], "0");
}

/// All consumers at once get every message exactly once, however many wait.
#[tokio::test(start_paused = true)]
async fn many_waiting_consumers_share_what_is_sent() {
    let (sqs, _) = sqs(json!({}), None).await;
    let sqs = Arc::new(sqs);
    let consumers: Vec<_> = (0..20)
        .map(|_| {
            let sqs = Arc::clone(&sqs);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                loop {
                    let found =
                        receive(&sqs, "jobs", json!({"WaitTimeSeconds": 5, "MaxNumberOfMessages": 3})).await;
                    if found.is_empty() {
                        return seen;
                    }
                    seen.extend(found.iter().map(|m| m["MessageId"].to_string()));
                }
            })
        })
        .collect();
    for n in 0..300 {
        send(&sqs, &n.to_string()).await;
        tokio::task::yield_now().await;
    }
    let mut all = Vec::new();
    for consumer in consumers {
        all.extend(consumer.await.expect("consumer"));
    }
    assert_eq!(all.len(), 300);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 300);
}

/// The whole way in and out; the store's own test holds more. The bound is generous: anything linear in the queue's
/// length misses it by far.
#[tokio::test]
async fn twenty_thousand_messages_are_no_burden() {
    let (sqs, _) = sqs(json!({}), None).await;
    let started = Instant::now();
    for batch in 0..2_000 {
        let entries: Vec<_> =
            (0..10).map(|n| json!({"Id": n.to_string(), "MessageBody": format!("{batch}-{n}")})).collect();
        ok(&sqs, "SendMessageBatch", json!({"QueueUrl": "jobs", "Entries": entries})).await;
    }
    let mut left = 20_000;
    while left > 0 {
        let found = receive(&sqs, "jobs", json!({})).await;
        let entries: Vec<_> = found
            .iter()
            .enumerate()
            .map(|(n, m)| json!({"Id": n.to_string(), "ReceiptHandle": m["ReceiptHandle"]}))
            .collect();
        left -= entries.len();
        ok(&sqs, "DeleteMessageBatch", json!({"QueueUrl": "jobs", "Entries": entries})).await;
    }
    assert_eq!(counts(&sqs, "jobs").await, ["0", "0", "0"]);
    assert!(started.elapsed() < Duration::from_mins(1), "took {:?}", started.elapsed());
}
