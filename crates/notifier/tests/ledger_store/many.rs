//! Outcomes of a large fleet, and their cost.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use notifier::aws::Aws;
use notifier::base::Rng;
use notifier::store::dynamodb::DynamoDb;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;
use testkit::fake_dynamodb::{FakeDynamoDb, Fate};

use crate::broadcast::Broadcast;
use crate::stores::{dynamodb_of, ministack, sqlite};

const TASKS: usize = 100_000;
/// Of an emulator, which is slower.
const TASKS_FEW: usize = 3_000;

/// Bytes that one write unit pays for. Source: "DynamoDB read and write operations".
const WRITE_UNIT_BYTES: i64 = 1_024;
/// `pk`, `sk`, `body` and `expires`, and a number of ten digits.
const NAMES_AND_EXPIRY_BYTES: i64 = 15 + 6;
const TABLE: &str = "outcomes";

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hundred_thousand_outcomes_are_recorded_and_reported_within_the_memory_of_a_function() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let broadcast = Broadcast::new(TASKS, Arc::new(sqlite(&path).await));
    broadcast.record().await;
    let writing = peak_mb();
    let recorded = broadcast.read().await;
    let reading = peak_mb();
    assert_eq!(recorded.report.counts(), broadcast.counts());
    assert!(!recorded.is_complete, "some are pending");
    assert_eq!(recorded.report.latency().unwrap().max.as_micros(), 1_000 + 99_999);

    let db = Connection::open(&path).unwrap();
    let mut keys = db.prepare("SELECT partition, sort FROM items").unwrap();
    let keys = keys.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap);
    broadcast.check_spread(keys);
    assert!(largest_outcome(&db) <= WRITE_UNIT_BYTES, "more than a write unit of DynamoDB");
    // Stages only write, and have other things to hold. A report is read by a program that does nothing else.
    let function = function_mb();
    assert!(writing <= function / 4, "{writing} MB while writing, with {function} MB for everything");
    assert!(reading <= function, "{reading} MB while reading, of {function} MB");
}

#[tokio::test]
async fn outcomes_in_dynamodb_are_spread_over_partitions() {
    let emulator = ministack().await;
    let aws = Aws::at(&emulator.url, "us-east-1");
    let broadcast = Broadcast::new(TASKS_FEW, Arc::new(dynamodb_of(&aws, TABLE).await));
    broadcast.record().await;
    let keys = scan(&aws).await;
    assert_eq!(broadcast.read().await.report.counts(), broadcast.counts());
    broadcast.check_spread(keys);
}

#[tokio::test]
async fn a_thousand_outcomes_that_come_together_are_forty_calls() {
    let fake = FakeDynamoDb::start(|_| Fate::Done).await;
    let store = DynamoDb::new(Aws::at(&fake.url, "us-east-1").dynamodb, "t", Rng::seeded(1));
    Broadcast::new(TASKS_FEW, Arc::new(store)).settle_at_once(1_000).await;
    assert_eq!(fake.requests(), [25; 40]);
}

/// The keys of all items of the table.
async fn scan(aws: &Aws) -> Vec<(String, String)> {
    let text = |item: &HashMap<String, AttributeValue>, name: &str| item[name].as_s().unwrap().clone();
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = aws.dynamodb.scan().table_name(TABLE).set_exclusive_start_key(after).send().await.unwrap();
        keys.extend(page.items().iter().map(|item| (text(item, "pk"), text(item, "sk"))));
        after = page.last_evaluated_key;
        if after.is_none() {
            return keys;
        }
    }
}

/// The size of the largest item of a delivery, as DynamoDB counts it: the lengths of names and values.
fn largest_outcome(db: &Connection) -> i64 {
    let sizes = "SELECT max(length(partition) + length(sort) + length(body)) FROM items
        WHERE sort LIKE 'told#%' OR sort LIKE 'state#%'";
    db.query_row::<i64, _, _>(sizes, [], |row| row.get(0)).unwrap() + NAMES_AND_EXPIRY_BYTES
}

/// The default memory of the smallest function.
fn function_mb() -> u64 {
    let stages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/terraform/stages.json");
    let stages: BTreeMap<String, Value> = serde_json::from_str(&fs::read_to_string(stages).unwrap()).unwrap();
    stages.values().map(|stage| stage["memory_mb"].as_u64().unwrap()).min().unwrap()
}

/// The most memory that this process ever had, in MB: nextest runs each test in a process of its own.
fn peak_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
