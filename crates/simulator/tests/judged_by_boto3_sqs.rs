//! The simulator's SQS as AWS's own Python client sees it.
//!
//! Where no fault is ordered, the same Python tests run against any SQS whose address is in `SIMULATOR_URL`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod boto3_run;

use std::collections::BTreeMap;

use boto3_run::judge;
use simulator::faults::{Fault, When};
use simulator::{Fleet, Options, QueueSpec, Simulator};

/// A fleet of nothing, with one queue from the start.
async fn start() -> Simulator {
    let attributes = BTreeMap::from([("VisibilityTimeout".to_owned(), "7".to_owned())]);
    let queues = vec![QueueSpec { name: "at-start".to_owned(), attributes }];
    let fleet = Fleet::from_toml("region = 'eu-central-1'\naccount = '111122223333'").unwrap();
    Simulator::start(fleet, Options { queues, ..Options::default() }).await.unwrap()
}

#[tokio::test]
async fn queues() {
    let sim = start().await;
    judge(&sim, "test_sqs_queues.py", "test").await;
    assert!(sim.count("PurgeQueue") > 0);
}

#[tokio::test]
async fn attributes() {
    judge(&start().await, "test_sqs_attributes.py", "test").await;
}

#[tokio::test]
async fn messages() {
    let sim = start().await;
    judge(&sim, "test_sqs_messages.py", "test").await;
    assert!(sim.count("ReceiveMessage") > 0);
}

#[tokio::test]
async fn receipts() {
    let sim = start().await;
    judge(&sim, "test_sqs_receipts.py", "test").await;
    assert!(sim.count("DeleteMessageBatch") > 0);
}

#[tokio::test]
async fn redrive() {
    let sim = start().await;
    judge(&sim, "test_sqs_redrive.py", "test").await;
    assert!(sim.count("StartMessageMoveTask") > 0);
}

#[tokio::test]
async fn dropped_entries_and_second_deliveries() {
    let sim = start().await;
    sim.faults().order("SendMessageBatch", When::Every(2), Fault::DropEntry);
    sim.faults().order("ChangeMessageVisibilityBatch", When::Nth(1), Fault::DropEntry);
    sim.faults().order("DeleteMessageBatch", When::Nth(1), Fault::DropEntry);
    judge(&sim, "test_sqs_faults.py", "entries_are_dropped").await;
    sim.faults().order("ReceiveMessage", When::Nth(2), Fault::DeliverTwice);
    judge(&sim, "test_sqs_faults.py", "delivered_twice").await;
}

#[tokio::test]
async fn lost_answers_and_throttles() {
    let sim = start().await;
    sim.faults().order("SendMessage", When::Nth(1), Fault::LoseAnswer);
    judge(&sim, "test_sqs_faults.py", "an_answer_is_lost").await;
    sim.faults().clear();
    sim.reset_calls();
    sim.faults().order("SendMessage", When::First(2), Fault::Throttle);
    judge(&sim, "test_sqs_faults.py", "throttled_client").await;
    assert_eq!(sim.count("SendMessage"), 3, "refused to one client, and once to the one that tries again");
}
