//! Dead letters back to work and away for good, over the wire: each claim against our simulator and against MiniStack.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "support/emulator.rs"]
mod emulator;
#[macro_use]
#[path = "support/on_both.rs"]
mod on_both;
#[path = "support/sqs.rs"]
mod sqs;

use std::time::Duration;

use notifier::ledger::Ledger;
use notifier::queue::{DeadLetter, Inbox, Queue, Trace};
use notifier::redrive::{self, Action, Fate, Filter, Sorted};
use notifier::stage::StageName;
use simulator::faults::{Fault, When};
use sqs::{SOON, Sqs, attribute, numbered};
use tokio::time::timeout;

/// A body of the tasks queue.
fn body(broadcast: &str, service: &str, task: usize) -> String {
    format!(
        r#"{{"notify_task_arn":"arn:{task}","notify_me_host_address":"10.0.0.1","notify_me_host_port":"80","notify_me_api_uri":"/n","service":"{service}","broadcast":{{"id":"{broadcast}"}}}}"#
    )
}

/// Four letters of two broadcasts, two services and two codes.
fn four() -> Vec<(String, &'static str)> {
    vec![
        (body("b-1", "web", 1), "rejected"),
        (body("b-1", "api", 2), "failed"),
        (body("b-2", "web", 3), "failed"),
        ("not json".to_owned(), "body"),
    ]
}

/// A queue whose dead letters are these; the answer holds their first ids, too.
async fn buried(sqs: &Sqs, letters: &[(String, &str)]) -> (Queue, Queue, Vec<String>) {
    let (queue, dead) = sqs.with_dead_letters("q", 30, 5).await;
    let bodies: Vec<_> = letters.iter().map(|(body, _)| body.clone()).collect();
    queue.publish(&bodies, &Trace::default()).await.unwrap();
    let inbox = Inbox::open(queue.clone()).await.unwrap();
    let mut ids = Vec::new();
    while ids.len() < letters.len() {
        for message in timeout(SOON, inbox.receive(10)).await.unwrap().unwrap() {
            let code = letters.iter().find(|(body, _)| *body == message.body).unwrap().1;
            let letter = DeadLetter::about(&message.body, "notify", code, "why".to_owned());
            ids.push(message.id.clone());
            inbox.dead_letter(message, &letter, Duration::ZERO).await.unwrap();
        }
    }
    inbox.close(SOON).await;
    ids.sort();
    (queue, dead, ids)
}

async fn sort(queue: &Queue, filter: Filter, action: Action) -> Sorted {
    redrive::sort(StageName::Notify, queue.clone(), &filter, &action, &Ledger::none()).await.unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "a filter holds options")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn all_letters_go_back_with_the_ids_that_they_had(sqs: &Sqs) {
    let (queue, dead, ids) = buried(sqs, &four()).await;
    let sorted = sort(&queue, Filter::default(), Action::Redrive).await;
    assert_eq!(sorted.found.len(), 4);
    assert!(sorted.found.iter().all(|one| one.fate == Fate::Redriven), "{sorted:?}");
    assert_eq!(sqs.depth(&dead).await, (0, 0));
    let back = sqs.drain(&queue).await;
    let mut kept: Vec<_> = back.iter().map(|one| attribute(one, "message_id").unwrap().to_owned()).collect();
    kept.sort();
    assert_eq!(kept, ids);
    assert!(back.iter().all(|one| attribute(one, "sent").is_some() && attribute(one, "code").is_none()));
}

async fn only_what_matches_goes_back_and_the_rest_is_visible_again(sqs: &Sqs) {
    let (queue, dead, _) = buried(sqs, &four()).await;
    let web = Filter { broadcast: some("b-1"), service: some("web"), ..Filter::default() };
    let sorted = sort(&queue, web, Action::Redrive).await;
    assert_eq!((sorted.seen, sorted.found.len()), (4, 1));
    assert_eq!(sqs.depth(&dead).await, (3, 0));
    let failed = Filter { code: some("failed"), ..Filter::default() };
    assert_eq!(sort(&queue, failed, Action::Redrive).await.found.len(), 2);
    assert_eq!(sqs.bodies(&dead).await, ["not json"]);
    assert_eq!(sqs.depth(&queue).await, (3, 0));
}

async fn looking_changes_nothing(sqs: &Sqs) {
    let (queue, dead, _) = buried(sqs, &four()).await;
    let sorted = sort(&queue, Filter::default(), Action::Look).await;
    assert_eq!(sorted.found.iter().filter(|one| one.fate == Fate::Left).count(), 4);
    assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((4, 0), (0, 0)));
}

async fn what_is_dropped_is_gone(sqs: &Sqs) {
    let (queue, dead, _) = buried(sqs, &four()).await;
    let filter = Filter { task: some("arn:3"), ..Filter::default() };
    let sorted = sort(&queue, filter, Action::Drop { reason: "retired".to_owned() }).await;
    assert_eq!(sorted.found.iter().map(|one| &one.fate).collect::<Vec<_>>(), [&Fate::Dropped]);
    assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((3, 0), (0, 0)));
}

on_both! {
    all_letters_go_back_with_the_ids_that_they_had
    only_what_matches_goes_back_and_the_rest_is_visible_again
    looking_changes_nothing
    what_is_dropped_is_gone
}

// What follows needs calls to fail, which only the simulator does.

#[tokio::test]
async fn a_letter_that_cannot_be_deleted_is_there_twice_and_not_lost() {
    let sqs = Sqs::simulated().await;
    let (queue, dead, _) = buried(&sqs, &four()[..1]).await;
    sqs.simulator().faults().order("DeleteMessageBatch", When::Always, Fault::DropEntry);
    let sorted = sort(&queue, Filter::default(), Action::Redrive).await;
    assert!(matches!(&sorted.found[0].fate, Fate::Stayed(why) if why.contains("back on its queue")));
    assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((1, 0), (1, 0)));
}

#[tokio::test]
async fn a_letter_that_its_queue_does_not_take_stays() {
    let sqs = Sqs::simulated().await;
    let (queue, dead, _) = buried(&sqs, &four()).await;
    sqs.simulator().faults().order("SendMessageBatch", When::Always, Fault::DropEntry);
    let sorted = sort(&queue, Filter::default(), Action::Redrive).await;
    assert!(sorted.found.iter().all(|one| matches!(one.fate, Fate::Stayed(_))), "{sorted:?}");
    assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((4, 0), (0, 0)));
}

#[tokio::test]
async fn entries_that_fail_for_now_lose_nothing() {
    let sqs = Sqs::simulated().await;
    let letters: Vec<_> = numbered(60).into_iter().map(|body| (body, "failed")).collect();
    let (queue, dead, _) = buried(&sqs, &letters).await;
    for operation in ["SendMessageBatch", "DeleteMessageBatch"] {
        sqs.simulator().faults().order(operation, When::Every(3), Fault::DropEntry);
    }
    let sorted = sort(&queue, Filter::default(), Action::Redrive).await;
    assert_eq!(sorted.found.iter().filter(|one| one.fate == Fate::Redriven).count(), 60);
    assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((0, 0), (60, 0)));
}
