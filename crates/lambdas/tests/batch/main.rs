//! One invocation, with queues of the simulator and the exact JSON of Lambda.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod queues;
mod spans;

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use lambdas::batch::{RESERVE, Worker};
use lambdas::record::Batch;
use notifier::base::Rng;
use notifier::pipeline::{Failure, Handler, Output, Retry, Work};
use notifier::pipeline::{Handled, StageName};
use notifier::queue::{EventSourceMapping, Message, Queue};
use queues::Queues;
use tokio::time::{Instant, sleep_until};

/// More time than any of these tests needs.
const LONG: Duration = Duration::from_secs(60);

/// The stage of a test: the body of a message decides the result.
fn stage(message: &Message, deadline: Instant) -> BoxFuture<'_, Handled> {
    outcome(message, deadline).boxed()
}

async fn outcome(message: &Message, deadline: Instant) -> Handled {
    let fails = |code, retry| Err(Failure { code, reason: "because".to_owned(), retry, is_recorded: false });
    match message.body.as_str() {
        "ok" => Ok(Output::default()),
        "again" => fails("busy", Retry::Later(Some(Duration::ZERO))),
        "never" => fails("rejected", Retry::Never),
        "panic" => panic!("boom"),
        "two" => Ok(vec!["first".to_owned(), "second".to_owned()].into()),
        "slow" => {
            sleep_until(deadline + LONG).await;
            Ok(Output::default())
        }
        other => Ok(vec![format!("{other} {}", message.id)].into()),
    }
}

fn worker(queues: &Queues) -> Worker {
    let rng = Rng::seeded(1);
    let queue = |url: &str| Queue::at(queues.client.clone(), url, rng.clone());
    Worker {
        work: Work {
            stage: StageName::Tasks,
            source: queue(&queues.source),
            next: Some(queue(&queues.next)),
            handler: Handler::Function(Box::new(stage)),
            rng: rng.clone(),
        },
        source: EventSourceMapping::new(queue(&queues.source)),
    }
}

/// The function's answer to these records, as Lambda reads it.
async fn answer(queues: &Queues, batch: &Batch, left: Duration) -> String {
    let answer = worker(queues).run(batch, Instant::now() + left).await.unwrap();
    serde_json::to_string(&answer).unwrap()
}

/// The answer that names these records.
fn named(ids: &[&str]) -> String {
    let names: Vec<_> = ids.iter().map(|id| format!(r#"{{"itemIdentifier":"{id}"}}"#)).collect();
    format!(r#"{{"batchItemFailures":[{}]}}"#, names.join(","))
}

#[tokio::test]
async fn nothing_is_named_when_all_went_well() {
    let queues = Queues::start().await;
    let (batch, _) = queues.batch(&["ok", "ok"]).await;
    assert_eq!(answer(&queues, &batch, LONG).await, r#"{"batchItemFailures":[]}"#);
}

#[tokio::test]
async fn exactly_what_is_to_be_tried_again_is_named_in_the_order_of_the_batch() {
    let queues = Queues::start().await;
    let (batch, ids) = queues.batch(&["again", "ok", "panic", "never", "two", "again"]).await;
    assert_eq!(answer(&queues, &batch, LONG).await, named(&[&ids[0], &ids[2], &ids[5]]));
    assert_eq!(queues.bodies(&queues.next).await, ["first", "second"]);
}

#[tokio::test]
async fn what_fails_for_good_is_in_the_dead_letters_with_its_reason() {
    let queues = Queues::start().await;
    let (batch, ids) = queues.batch(&["never"]).await;
    assert_eq!(answer(&queues, &batch, LONG).await, named(&[]));
    let dead = queues.receive(&queues.dead).await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].body.as_deref(), Some("never"));
    let said = |name: &str| queues::text(&dead[0], name);
    assert_eq!(
        ["code", "reason", "stage", "message_id"].map(said),
        ["rejected", "because", "tasks", ids[0].as_str()]
    );
}

#[tokio::test]
async fn a_message_that_cannot_be_moved_to_the_dead_letters_stays_on_its_queue() {
    let queues = Queues::start().await;
    let (batch, ids) = queues.batch(&["never", "ok"]).await;
    queues.delete(&queues.dead).await;
    assert_eq!(answer(&queues, &batch, LONG).await, named(&[&ids[0]]));
}

#[tokio::test]
async fn a_message_whose_successors_cannot_be_published_stays_on_its_queue() {
    let queues = Queues::start().await;
    let (batch, ids) = queues.batch(&["two", "ok"]).await;
    queues.delete(&queues.next).await;
    assert_eq!(answer(&queues, &batch, LONG).await, named(&[&ids[0]]));
}

#[tokio::test]
async fn the_last_delivery_of_a_message_ends_in_the_dead_letters_with_its_reason() {
    let queues = Queues::start().await;
    let (mut batch, mut ids) = queues.batch(&["again"]).await;
    for _ in 1..queues::RECEIVES_MAX {
        assert_eq!(answer(&queues, &batch, LONG).await, named(&[&ids[0]]));
        (batch, ids) = queues.again().await;
    }
    assert_eq!(answer(&queues, &batch, LONG).await, named(&[]));
    let dead = queues.receive(&queues.dead).await;
    assert_eq!(queues::text(&dead[0], "code"), "busy");
}

#[tokio::test]
async fn a_message_to_be_tried_again_does_not_wait_for_the_queues_whole_visibility() {
    let queues = Queues::start().await;
    let (batch, ids) = queues.batch(&["again"]).await;
    answer(&queues, &batch, LONG).await;
    let (_, again) = queues.again().await;
    assert_eq!(again, ids);
}

#[tokio::test]
async fn what_the_time_does_not_suffice_for_is_handed_back_and_its_neighbours_are_done() {
    let queues = Queues::start().await;
    let (batch, ids) = queues.batch(&["slow", "two"]).await;
    let left = RESERVE + Duration::from_secs(1);
    let began = Instant::now();
    assert_eq!(answer(&queues, &batch, left).await, named(&[&ids[0]]));
    assert!(began.elapsed() < left, "Lambda would have stopped the function");
    assert_eq!(queues.bodies(&queues.next).await, ["first", "second"]);
}

#[tokio::test]
async fn nothing_is_begun_when_the_time_is_over() {
    let queues = Queues::start().await;
    let (batch, ids) = queues.batch(&["two", "never"]).await;
    assert_eq!(answer(&queues, &batch, RESERVE).await, named(&[&ids[0], &ids[1]]));
    assert_eq!(queues.bodies(&queues.next).await, Vec::<String>::new());
    assert_eq!(queues.bodies(&queues.dead).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_strange_record_is_named_and_its_neighbours_are_done() {
    let queues = Queues::start().await;
    let (mut batch, _) = queues.batch(&["two"]).await;
    batch.records.insert(0, serde_json::from_str(r#"{"messageId":"odd","attributes":7}"#).unwrap());
    assert_eq!(answer(&queues, &batch, LONG).await, named(&["odd"]));
    assert_eq!(queues.bodies(&queues.next).await, ["first", "second"]);
}

#[tokio::test]
async fn a_record_that_cannot_be_named_brings_the_whole_batch_back_untouched() {
    let queues = Queues::start().await;
    let (mut batch, _) = queues.batch(&["two"]).await;
    batch.records.push(serde_json::from_str("{}").unwrap());
    let failed = worker(&queues).run(&batch, Instant::now() + LONG).await.unwrap_err();
    assert_eq!(failed.to_string(), "record 1 of the batch has no message id");
    assert_eq!(queues.bodies(&queues.next).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_dead_letter_that_was_sent_back_keeps_its_id_and_is_named_by_its_new_one() {
    let queues = Queues::start().await;
    let (batch, old) = queues.batch(&["never"]).await;
    answer(&queues, &batch, LONG).await;
    queues.send_back("anything").await;
    let (batch, new) = queues.again().await;
    assert_ne!(new, old);
    assert_eq!(answer(&queues, &batch, LONG).await, named(&[]));
    assert_eq!(queues.bodies(&queues.next).await, [format!("anything {}", old[0])]);
}
