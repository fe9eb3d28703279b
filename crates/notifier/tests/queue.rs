//! The SQS adapter over the wire: each claim against our simulator, and against MiniStack where it can show it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Attribute};
use notifier::base::Rng;
use notifier::model::{DeadLetter, StageName};
use notifier::queue::limits::BATCH_BYTES_MAX;
use notifier::queue::{Consumer, DeadLetterError, EntryError, Message, Queue, QueueError, Trace};
use simulator::faults::{Fault, When};
use testkit::sqs::{SOON, Sqs, attribute, numbered};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout};

const CLOSE: Duration = Duration::from_secs(20);

fn letter(reason: &str) -> DeadLetter {
    let body = r#"{"notify_task_arn":"arn:t","broadcast":{"id":"b-1"}}"#;
    DeadLetter {
        code: Some("rejected".to_owned()),
        reason: Some(reason.to_owned()),
        ..DeadLetter::about(StageName::Notify, body, OffsetDateTime::UNIX_EPOCH)
    }
}

/// Receives exactly `count` messages.
async fn receive(consumer: &Consumer, count: usize) -> Vec<Message> {
    let mut all = Vec::new();
    while all.len() < count {
        let some = timeout(SOON, consumer.receive(count - all.len())).await.unwrap().unwrap();
        all.extend(some);
    }
    all
}

async fn many_messages_arrive_once_each(sqs: &Sqs) {
    let queue = sqs.queue("q", &[]).await;
    queue.publish(&numbered(25), &Trace::default()).await.unwrap();
    assert_eq!(sqs.bodies(&queue).await, numbered(25));
}

async fn a_trace_travels_with_its_message(sqs: &Sqs, xray: Option<&str>) {
    let queue = sqs.queue("q", &[]).await;
    let trace = Trace {
        parent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        state: Some("vendor=1".to_owned()),
        xray: xray.map(str::to_owned),
    };
    queue.publish(&numbered(1), &trace).await.unwrap();
    let consumer = Consumer::open(queue).await.unwrap();
    assert_eq!(receive(&consumer, 1).await[0].trace, trace);
}

async fn messages_of_a_broadcast_keep_their_group(sqs: &Sqs) {
    let queue = sqs.queue("q", &[]).await;
    let bodies = [r#"{"broadcast":{"id":"b-1"}}"#.to_owned(), r#"{"cluster":"prod"}"#.to_owned()];
    queue.publish(&bodies, &Trace::default()).await.unwrap();
    let mut groups = Vec::new();
    while groups.len() < bodies.len() {
        let call = sqs.client.receive_message().queue_url(queue.url()).max_number_of_messages(10);
        let call = call.message_system_attribute_names(System::All).wait_time_seconds(5);
        for message in call.send().await.unwrap().messages.unwrap() {
            let group = message.attributes.unwrap_or_default().remove(&System::MessageGroupId);
            groups.push((message.body.unwrap(), group));
        }
    }
    groups.sort_unstable();
    let [grouped, alone] = bodies;
    assert_eq!(groups, [(grouped, Some("b-1".to_owned())), (alone, None)]);
}

async fn large_messages_travel_in_several_batches(sqs: &Sqs) {
    let queue = sqs.queue("q", &[]).await;
    let bodies: Vec<_> = (0..7).map(|n| n.to_string().repeat(300 * 1024)).collect();
    queue.publish(&bodies, &Trace::default()).await.unwrap();
    assert_eq!(sqs.bodies(&queue).await, bodies);
}

async fn a_message_of_exactly_one_mebibyte_travels(sqs: &Sqs) {
    let queue = sqs.queue("q", &[]).await;
    let bodies = ["small".to_owned(), "x".repeat(BATCH_BYTES_MAX)];
    queue.publish(&bodies, &Trace::default()).await.unwrap();
    assert_eq!(sqs.bodies(&queue).await, bodies);
}

async fn an_oversized_body_is_refused_by_name_and_its_neighbours_arrive(sqs: &Sqs) {
    let queue = sqs.queue("q", &[]).await;
    let bodies = ["a".to_owned(), "x".repeat(BATCH_BYTES_MAX + 1), "b".to_owned()];
    let error = queue.publish(&bodies, &Trace::default()).await.unwrap_err();
    assert!(error.is_final());
    assert_eq!(
        error.to_string(),
        format!(
            "queue {} did not accept 1 of 3 messages; message 2: 1048577 bytes with attributes, but SQS accepts at most 1048576",
            queue.url()
        )
    );
    assert_eq!(sqs.bodies(&queue).await, ["a", "b"]);
}

async fn a_body_that_only_this_queue_refuses_does_not_take_its_neighbours_with_it(sqs: &Sqs) {
    let queue = sqs.queue("q", &[(Attribute::MaximumMessageSize, "1024")]).await;
    let bodies = ["a".to_owned(), "x".repeat(1025), "b".to_owned()];
    let error = queue.publish(&bodies, &Trace::default()).await.unwrap_err();
    assert_eq!(error.refused.iter().map(|one| one.index).collect::<Vec<_>>(), [1]);
    assert!(error.is_final(), "{error}");
    assert_eq!(sqs.bodies(&queue).await, ["a", "b"]);
}

async fn a_body_of_characters_that_sqs_refuses_does_not_take_its_neighbours_with_it(sqs: &Sqs) {
    let queue = sqs.queue("q", &[]).await;
    let bodies = ["a", "\u{1}", "b", "", "c"].map(str::to_owned);
    let error = queue.publish(&bodies, &Trace::default()).await.unwrap_err();
    assert_eq!(error.refused.iter().map(|one| one.index).collect::<Vec<_>>(), [1, 3], "{error}");
    assert!(error.is_final(), "{error}");
    assert_eq!(sqs.bodies(&queue).await, ["a", "b", "c"]);
}

async fn a_message_in_work_stays_invisible_long_past_its_visibility(sqs: &Sqs) {
    let queue = sqs.queue("q", &[(Attribute::VisibilityTimeout, "3")]).await;
    queue.publish(&numbered(12), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    let messages = receive(&consumer, 12).await;
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until {
        assert_eq!(sqs.depth(&queue).await, (0, 12));
        sleep(Duration::from_millis(200)).await;
    }
    for message in messages {
        consumer.delete(message).await;
    }
    consumer.close(CLOSE).await;
    assert_eq!(sqs.depth(&queue).await, (0, 0));
}

async fn a_dropped_message_comes_back_when_its_visibility_ends(sqs: &Sqs) {
    let queue = sqs.queue("q", &[(Attribute::VisibilityTimeout, "2")]).await;
    queue.publish(&numbered(1), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue).await.unwrap();
    let first = receive(&consumer, 1).await.remove(0);
    let (id, sent) = (first.id.clone(), first.sent);
    drop(first);
    let again = receive(&consumer, 1).await.remove(0);
    assert_eq!((again.id, again.sent, again.receives), (id, sent, 2));
}

async fn a_message_that_is_returned_is_there_again_at_once(sqs: &Sqs) {
    let queue = sqs.queue("q", &[(Attribute::VisibilityTimeout, "600")]).await;
    queue.publish(&numbered(13), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    for message in receive(&consumer, 13).await {
        consumer.return_after(message, Duration::ZERO).await;
    }
    consumer.close(CLOSE).await;
    assert_eq!(sqs.depth(&queue).await, (13, 0));
}

async fn a_message_that_is_returned_for_later_stays_away_until_then(sqs: &Sqs) {
    let queue = sqs.queue("q", &[(Attribute::VisibilityTimeout, "600")]).await;
    queue.publish(&numbered(1), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    let start = Instant::now();
    let message = receive(&consumer, 1).await.remove(0);
    consumer.return_after(message, Duration::from_secs(2)).await;
    let again = receive(&consumer, 1).await;
    assert!(start.elapsed() >= Duration::from_millis(1_500), "{:?}", start.elapsed());
    assert_eq!(again[0].receives, 2);
}

async fn a_dead_letter_takes_its_reason_along_and_leaves_its_queue(sqs: &Sqs) {
    let (queue, dead) = sqs.with_dead_letters("q", 30, 5).await;
    let body = r#"{"notify_task_arn":"arn:t"}"#.to_owned();
    queue.publish(std::slice::from_ref(&body), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    let message = receive(&consumer, 1).await.remove(0);
    let id = message.id.clone();
    consumer.dead_letter(message, &letter("it answered 404\u{0}\u{1b}"), Duration::ZERO).await.unwrap();
    consumer.close(CLOSE).await;
    assert_eq!(sqs.depth(&queue).await, (0, 0));
    let dead = sqs.drain(&dead).await;
    assert_eq!(dead.iter().map(|message| message.body().unwrap()).collect::<Vec<_>>(), [body]);
    let names = ["code", "reason", "stage", "broadcast", "task", "message_id"];
    let values = names.map(|name| attribute(&dead[0], name).unwrap());
    assert_eq!(values, ["rejected", "it answered 404\u{fffd}\u{fffd}", "notify", "b-1", "arn:t", &id]);
}

async fn the_largest_message_can_be_moved_to_the_dead_letters(sqs: &Sqs) {
    let (queue, dead) = sqs.with_dead_letters("q", 30, 5).await;
    queue.publish(&["x".repeat(BATCH_BYTES_MAX)], &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    let message = receive(&consumer, 1).await.remove(0);
    consumer.dead_letter(message, &letter("poison"), Duration::ZERO).await.unwrap();
    consumer.close(CLOSE).await;
    assert_eq!(sqs.depth(&queue).await, (0, 0));
    assert_eq!(sqs.depth(&dead).await, (1, 0));
}

async fn a_dead_letter_that_is_redriven_keeps_its_id_and_its_time(sqs: &Sqs) {
    let (queue, dead) = sqs.with_dead_letters("q", 30, 5).await;
    queue.publish(&numbered(1), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    let message = receive(&consumer, 1).await.remove(0);
    let (id, sent) = (message.id.clone(), message.sent);
    consumer.dead_letter(message, &letter("poison"), Duration::ZERO).await.unwrap();
    let from = sqs.attribute(&dead, Attribute::QueueArn).await;
    let to = sqs.attribute(&queue, Attribute::QueueArn).await;
    sqs.client.start_message_move_task().source_arn(from).destination_arn(to).send().await.unwrap();
    let again = receive(&consumer, 1).await.remove(0);
    assert_eq!((again.id, again.sent, again.receives), (id, sent, 1));
}

async fn the_last_delivery_is_known_as_such(sqs: &Sqs) {
    let (queue, _) = sqs.with_dead_letters("q", 30, 2).await;
    queue.publish(&numbered(1), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue).await.unwrap();
    let first = receive(&consumer, 1).await.remove(0);
    assert!(!consumer.is_last_receive(&first));
    consumer.return_after(first, Duration::ZERO).await;
    let second = receive(&consumer, 1).await.remove(0);
    assert!(consumer.is_last_receive(&second));
}

async fn without_a_dead_letter_queue_a_message_stays_on_its_queue(sqs: &Sqs) {
    let queue = sqs.queue("q", &[]).await;
    queue.publish(&numbered(1), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    let message = receive(&consumer, 1).await.remove(0);
    let error = consumer.dead_letter(message, &letter("poison"), Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, DeadLetterError::NoQueue { queue: url } if url == queue.url()));
    consumer.close(CLOSE).await;
    assert_eq!(sqs.depth(&queue).await, (1, 0));
}

async fn closing_makes_the_deletes_that_are_due(sqs: &Sqs) {
    let queue = sqs.queue("q", &[]).await;
    queue.publish(&numbered(33), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    for message in receive(&consumer, 33).await {
        consumer.delete(message).await;
    }
    consumer.close(CLOSE).await;
    assert_eq!(sqs.depth(&queue).await, (0, 0));
}

async fn a_queue_is_found_by_its_name_and_a_missing_one_is_named(sqs: &Sqs) {
    let queue = sqs.queue("q", &[]).await;
    let open = async |place: &str| Queue::open(sqs.client.clone(), place, Rng::seeded(1)).await;
    assert_eq!(open("q").await.unwrap().url(), queue.url());
    assert_eq!(open(queue.url()).await.unwrap().name(), "q");
    let error = open("missing").await.unwrap_err();
    assert!(matches!(&error, QueueError::Unknown { queue, .. } if queue == "missing"), "{error:?}");
    let gone = Queue::at(sqs.client.clone(), format!("{}-gone", queue.url()), Rng::seeded(1));
    let error = Consumer::open(gone.clone()).await.unwrap_err();
    assert!(matches!(error, QueueError::Unknown { .. }), "{error:?}");
    let error = gone.publish(&numbered(2), &Trace::default()).await.unwrap_err();
    assert_eq!(error.refused.len(), 2);
    assert!(!error.is_final(), "the bodies are not at fault: {error}");
}

testkit::on_both! {
    many_messages_arrive_once_each
    messages_of_a_broadcast_keep_their_group
    large_messages_travel_in_several_batches
    a_message_of_exactly_one_mebibyte_travels
    an_oversized_body_is_refused_by_name_and_its_neighbours_arrive
    a_body_that_only_this_queue_refuses_does_not_take_its_neighbours_with_it
    a_body_of_characters_that_sqs_refuses_does_not_take_its_neighbours_with_it
    a_message_in_work_stays_invisible_long_past_its_visibility
    a_dropped_message_comes_back_when_its_visibility_ends
    a_message_that_is_returned_is_there_again_at_once
    a_message_that_is_returned_for_later_stays_away_until_then
    a_dead_letter_takes_its_reason_along_and_leaves_its_queue
    the_largest_message_can_be_moved_to_the_dead_letters
    the_last_delivery_is_known_as_such
    without_a_dead_letter_queue_a_message_stays_on_its_queue
    closing_makes_the_deletes_that_are_due
    a_queue_is_found_by_its_name_and_a_missing_one_is_named
}

#[tokio::test]
async fn a_trace_travels_with_its_message_on_ministack() {
    // MiniStack drops system attributes of batches, where X-Ray's header is.
    a_trace_travels_with_its_message(&Sqs::ministack().await, None).await;
}

#[tokio::test]
async fn a_trace_travels_with_its_message_on_the_simulator() {
    let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
    a_trace_travels_with_its_message(&Sqs::simulated().await, Some(xray)).await;
}

// What follows needs calls to fail or to be counted, which only the simulator does.

#[tokio::test]
async fn message_move_tasks_bring_dead_letters_back_as_they_were() {
    a_dead_letter_that_is_redriven_keeps_its_id_and_its_time(&Sqs::simulated().await).await;
}

#[tokio::test]
async fn as_few_batches_as_possible_are_sent() {
    let sqs = Sqs::simulated().await;
    many_messages_arrive_once_each(&sqs).await;
    assert_eq!(sqs.simulator().count("SendMessageBatch"), 3);
}

#[tokio::test]
async fn entries_that_fail_for_now_are_sent_again_and_nothing_is_doubled() {
    let sqs = Sqs::simulated().await;
    let queue = sqs.queue("q", &[]).await;
    sqs.simulator().faults().order("SendMessageBatch", When::Every(3), Fault::DropEntry);
    queue.publish(&numbered(40), &Trace::default()).await.unwrap();
    assert_eq!(sqs.bodies(&queue).await, numbered(40));
}

#[tokio::test]
async fn throttled_failed_and_reset_calls_are_made_again() {
    for fault in [Fault::Throttle, Fault::Fail, Fault::Reset] {
        let sqs = Sqs::simulated().await;
        let queue = sqs.queue("q", &[]).await;
        // More than the SDK's own tries.
        sqs.simulator().faults().order("SendMessageBatch", When::First(5), fault);
        queue.publish(&numbered(3), &Trace::default()).await.unwrap();
        assert_eq!(sqs.bodies(&queue).await, numbered(3), "{fault:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_may_double_a_message_but_loses_none() {
    let sqs = Sqs::simulated().await;
    let queue = sqs.queue("q", &[]).await;
    sqs.simulator().faults().order("SendMessageBatch", When::Nth(2), Fault::LoseAnswer);
    queue.publish(&numbered(25), &Trace::default()).await.unwrap();
    let mut bodies = sqs.bodies(&queue).await;
    bodies.dedup();
    assert_eq!(bodies, numbered(25));
}

#[tokio::test]
async fn what_is_never_accepted_is_named_and_the_rest_is_there() {
    let sqs = Sqs::simulated().await;
    let queue = sqs.queue("q", &[]).await;
    // Entries are dropped until the tries are used up, then calls work again.
    sqs.simulator().faults().order("SendMessageBatch", When::Always, Fault::DropEntry);
    let error = queue.publish(&numbered(12), &Trace::default()).await.unwrap_err();
    assert_eq!(error.refused.iter().map(|one| one.index).collect::<Vec<_>>(), (0..12).collect::<Vec<_>>());
    assert!(
        error.refused.iter().all(|one| matches!(&one.error, EntryError::Entry { sender_fault: false, .. }))
    );
    assert!(!error.is_final());
    sqs.simulator().faults().clear();
    assert_eq!(sqs.bodies(&queue).await, Vec::<String>::new());
}

#[tokio::test]
async fn deletes_that_fail_for_now_are_made_again() {
    let sqs = Sqs::simulated().await;
    let queue = sqs.queue("q", &[]).await;
    queue.publish(&numbered(20), &Trace::default()).await.unwrap();
    sqs.simulator().faults().order("DeleteMessageBatch", When::Every(3), Fault::DropEntry);
    sqs.simulator().faults().order("DeleteMessageBatch", When::Nth(1), Fault::Fail);
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    for message in receive(&consumer, 20).await {
        consumer.delete(message).await;
    }
    consumer.close(CLOSE).await;
    assert_eq!(sqs.depth(&queue).await, (0, 0));
}

#[tokio::test]
async fn ten_deletes_share_a_call_and_quick_messages_are_never_extended() {
    let sqs = Sqs::simulated().await;
    let queue = sqs.queue("q", &[]).await;
    queue.publish(&numbered(30), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    for message in receive(&consumer, 30).await {
        consumer.delete(message).await;
    }
    consumer.close(CLOSE).await;
    assert_eq!(sqs.simulator().count("DeleteMessageBatch"), 3);
    assert_eq!(sqs.simulator().count("ChangeMessageVisibilityBatch"), 0);
}

#[tokio::test]
async fn an_extension_that_fails_is_made_again_in_time() {
    let sqs = Sqs::simulated().await;
    sqs.simulator().faults().order("ChangeMessageVisibilityBatch", When::Every(2), Fault::DropEntry);
    a_message_in_work_stays_invisible_long_past_its_visibility(&sqs).await;
}

#[tokio::test]
async fn a_message_that_is_returned_during_an_extension_is_not_hidden_again() {
    let sqs = Sqs::simulated().await;
    let queue = sqs.queue("q", &[(Attribute::VisibilityTimeout, "4")]).await;
    queue.publish(&numbered(1), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    let message = receive(&consumer, 1).await.remove(0);
    let slow = Fault::Delay(Duration::from_millis(600));
    sqs.simulator().faults().order("ChangeMessageVisibilityBatch", When::Nth(1), slow);
    timeout(SOON, async {
        while sqs.simulator().count("ChangeMessageVisibilityBatch") == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    consumer.return_after(message, Duration::ZERO).await;
    consumer.close(CLOSE).await;
    assert_eq!(sqs.simulator().count("ChangeMessageVisibilityBatch"), 2);
    assert_eq!(sqs.depth(&queue).await, (1, 0));
}

#[tokio::test]
async fn a_message_stays_invisible_until_its_delete_gets_through() {
    let sqs = Sqs::simulated().await;
    let queue = sqs.queue("q", &[(Attribute::VisibilityTimeout, "2")]).await;
    queue.publish(&numbered(1), &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    let slow = Fault::Delay(Duration::from_secs(4));
    sqs.simulator().faults().order("DeleteMessageBatch", When::Nth(1), slow);
    let message = receive(&consumer, 1).await.remove(0);
    consumer.delete(message).await;
    for _ in 0..10 {
        assert_eq!(sqs.depth(&queue).await.0, 0);
        sleep(Duration::from_millis(350)).await;
    }
    consumer.close(CLOSE).await;
    assert_eq!(sqs.depth(&queue).await, (0, 0));
}
