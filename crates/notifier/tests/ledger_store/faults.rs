//! What only a network can do wrong: DynamoDB throttles, leaves things undone, breaks off, or answers nonsense.

use std::error::Error as _;
use std::time::Duration;

use notifier::ambient::Chance;
use notifier::aws::Aws;
use notifier::ledger::dynamodb::DynamoDb;
use notifier::ledger::store::{Item, Store as _, StoreError};
use notifier::queue::chain;
use serde_json::json;
use tokio::time::Instant;

use crate::fake::{Fake, Fate};
use crate::stores::{item, key, numbered};

/// Offers of a batch of which nothing is done.
const TRIES: usize = 8;

fn store(fake: &Fake) -> DynamoDb {
    DynamoDb::new(Aws::at(&fake.url, "us-east-1").dynamodb, "t", Chance::seeded(1))
}

/// Writes and reads a hundred items, and expects every one of them.
async fn nothing_is_lost(happens: impl Fn(usize) -> Fate + Send + Sync + 'static) -> Vec<usize> {
    let fake = Fake::start(happens).await;
    let store = store(&fake);
    let items = numbered("p", 100);
    store.put(items.clone()).await.unwrap();
    let keys = items.iter().map(|item| item.key.clone()).collect();
    let expected: Vec<Option<Item>> = items.into_iter().map(Some).collect();
    assert_eq!(store.get(keys).await.unwrap(), expected);
    fake.requests()
}

fn cause(error: &StoreError) -> String {
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn batches_are_full_and_nothing_is_asked_twice() {
    assert_eq!(nothing_is_lost(|_| Fate::Done).await, [25, 25, 25, 25, 100]);
}

#[tokio::test]
async fn what_is_left_undone_is_offered_again_until_nothing_is() {
    let requests = nothing_is_lost(|_| Fate::Some(20)).await;
    // Each batch of 25 takes two offers; the hundred keys take five.
    assert_eq!(requests.iter().filter(|entries| **entries == 5).count(), 4);
    assert_eq!(requests.len(), 4 * 2 + 5);
}

#[tokio::test]
async fn a_batch_of_which_nothing_is_ever_done_is_given_up() {
    let fake = Fake::start(|_| Fate::Some(0)).await;
    let store = store(&fake);
    let error = store.put(numbered("p", 3)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { operation: "BatchWriteItem", .. }), "{error:?}");
    assert_eq!(cause(&error), "it left items undone again and again: the table is too busy");
    assert_eq!(fake.requests(), [3; TRIES]);
    let error = store.get(vec![key("p", "a"), key("p", "b")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { operation: "BatchGetItem", .. }), "{error:?}");
    assert_eq!(fake.requests()[TRIES..], [2; TRIES]);
}

#[tokio::test]
async fn throttles_failures_and_broken_connections_lose_nothing() {
    let faults = [
        Fate::Refused(400, "ProvisionedThroughputExceededException"),
        Fate::Refused(400, "ThrottlingException"),
        Fate::Refused(400, "RequestLimitExceeded"),
        Fate::Refused(500, "InternalServerError"),
        Fate::Refused(503, "ServiceUnavailable"),
        Fate::Cut,
        Fate::Lost,
        Fate::Some(1),
    ];
    for fault in faults {
        nothing_is_lost(move |n| if n % 3 == 0 { fault } else { Fate::Done }).await;
    }
}

#[tokio::test]
async fn a_throttle_without_end_is_given_up() {
    let fake = Fake::start(|_| Fate::Refused(400, "ProvisionedThroughputExceededException")).await;
    let error = store(&fake).put_new(item("p", "s", "a")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!((2..=10).contains(&fake.requests().len()), "{:?}", fake.requests());
}

#[tokio::test]
async fn a_refusal_is_final_and_says_why_after_one_try() {
    for code in ["ResourceNotFoundException", "AccessDeniedException", "ValidationException"] {
        let fake = Fake::start(move |_| Fate::Refused(400, code)).await;
        let error = store(&fake).put(numbered("p", 1)).await.unwrap_err();
        assert!(error.is_final(), "{error:?}");
        assert_eq!(error.to_string(), "the ledger in dynamodb:t refused BatchWriteItem");
        assert!(chain(&error).contains(code), "{}", chain(&error));
        assert_eq!(fake.requests(), [1]);
        assert!(store(&fake).put_new(item("p", "s", "a")).await.unwrap_err().is_final());
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends() {
    let fake = Fake::start(|_| Fate::Silence).await;
    let begin = Instant::now();
    let error = store(&fake).put(numbered("p", 1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(begin.elapsed() <= Duration::from_secs(31), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn nonsense_is_not_an_answer() {
    let fake = Fake::start(|_| Fate::Garbage).await;
    let error = store(&fake).put(numbered("p", 1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn an_item_of_somebody_else_is_refused_by_name() {
    let fake = Fake::start(|_| Fate::Done).await;
    fake.plant("p", "s", json!({"pk": {"S": "p"}, "sk": {"S": "s"}, "body": {"N": "1"}}));
    let error = store(&fake).get(vec![key("p", "s")]).await.unwrap_err();
    assert!(error.is_final());
    assert_eq!(cause(&error), "an item has no text in `body`: is it another's table?");
}
