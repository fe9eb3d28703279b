//! Faults of a network: DynamoDB throttles, leaves items unprocessed, closes connections, or sends invalid answers.

use std::error::Error as _;
use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use notifier::aws::Aws;
use notifier::base::Rng;
use notifier::base::text::chain;
use notifier::store::dynamodb::DynamoDb;
use notifier::store::{Item, Store as _, StoreError};
use serde_json::{Value, json};
use testkit::fake_dynamodb::{FakeDynamoDb, Fate};
use tokio::time::Instant;

use crate::stores::{find, item, key, numbered, range};

/// The most requests for one thing of which nothing is ever done: pauses, and one more.
const REQUESTS_MAX: usize = 9;
/// The longest that a store goes on without progress.
const STANDSTILL_MAX: Duration = Duration::from_secs(25);
/// What a paused clock may have gone on besides.
const TICK: Duration = Duration::from_millis(10);

fn store(fake: &FakeDynamoDb) -> DynamoDb {
    DynamoDb::new(Aws::at(&fake.url, "us-east-1").dynamodb, "t", Rng::seeded(1))
}

/// Writes and reads a hundred items, and expects every one of them.
async fn nothing_is_lost(happens: impl Fn(usize) -> Fate + Send + Sync + 'static) -> Vec<usize> {
    let fake = FakeDynamoDb::start(happens).await;
    let store = store(&fake);
    let items = numbered("p", 100);
    store.put(items.clone()).await.unwrap();
    let keys = items.iter().map(|item| item.key.clone()).collect();
    let expected: Vec<Option<Item>> = items.into_iter().map(Some).collect();
    assert_eq!(store.get(keys).await.unwrap(), expected);
    fake.requests()
}

/// The error of each operation, by its name, with its causes, and how many requests it took.
async fn failures(happens: fn(usize) -> Fate) -> Vec<(&'static str, StoreError, String, usize)> {
    let mut failures = Vec::new();
    for operation in ["BatchWriteItem", "BatchGetItem", "PutItem", "Query"] {
        let fake = FakeDynamoDb::start(happens).await;
        let store = store(&fake);
        let error = match operation {
            "BatchWriteItem" => store.put(numbered("p", 3)).await.unwrap_err(),
            "BatchGetItem" => store.get(vec![key("p", "a"), key("p", "b")]).await.unwrap_err(),
            "PutItem" => store.put_new(item("p", "s", "a")).await.unwrap_err(),
            _ => store.list(range("p", "", false), None).await.unwrap_err(),
        };
        let whole = chain(&error);
        assert!(whole.contains("dynamodb:t") && whole.contains(operation), "{whole}");
        failures.push((operation, error, whole, fake.requests().len()));
    }
    failures
}

/// The cause of the error of one list whose answer is this, and that it was asked once.
async fn listed(answer: fn() -> Value, after: Option<&str>) -> String {
    listed_to(false, answer, after).await
}

async fn listed_to(backwards: bool, answer: fn() -> Value, after: Option<&str>) -> String {
    let fake = FakeDynamoDb::start(move |_| Fate::Instead(answer)).await;
    let error = store(&fake).list(range("p", "s", backwards), after.map(str::to_owned)).await.unwrap_err();
    assert_eq!(fake.requests(), [1]);
    farthest(&error)
}

fn farthest(error: &StoreError) -> String {
    let mut cause = error.source().unwrap();
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
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
async fn progress_of_one_item_a_round_is_progress_however_many_rounds_it_takes() {
    let requests = nothing_is_lost(|_| Fate::Some(1)).await;
    assert_eq!(requests.len(), 100 + 100);
    assert_eq!(requests[100..], (1..=100).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn progress_between_throttles_is_progress_too() {
    let turns = |n| match n % 3 {
        0 => Fate::Some(1),
        1 => Fate::Some(0),
        _ => Fate::Refused(400, "ThrottlingException"),
    };
    let fake = FakeDynamoDb::start(turns).await;
    let store = store(&fake);
    store.put(numbered("p", 20)).await.unwrap();
    assert_eq!(fake.requests().len(), 3 * 20 - 2, "the last item ends it");
    assert_eq!(find(&store, "p", "n000019").await.unwrap(), numbered("p", 20)[19]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_which_nothing_is_ever_done_is_given_up() {
    let begin = Instant::now();
    let fake = FakeDynamoDb::start(|_| Fate::Some(0)).await;
    let error = store(&fake).put(numbered("p", 3)).await.unwrap_err();
    assert!(error.operation == "BatchWriteItem" && !error.is_final(), "{error:?}");
    assert_eq!(farthest(&error), "DynamoDB did not process 3 items");
    assert!((2..=REQUESTS_MAX).contains(&fake.requests().len()), "{:?}", fake.requests());
    let error = store(&fake).get(vec![key("p", "a"), key("p", "b")]).await.unwrap_err();
    assert!(error.operation == "BatchGetItem" && !error.is_final(), "{error:?}");
    assert_eq!(farthest(&error), "DynamoDB did not process 2 items");
    assert!(chain(&error).contains("the table is throttled"), "{}", chain(&error));
    assert!(begin.elapsed() <= 2 * STANDSTILL_MAX + TICK, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn throttles_failures_and_broken_connections_lose_nothing() {
    let faults = [
        Fate::Refused(400, "ProvisionedThroughputExceededException"),
        Fate::Refused(400, "ThrottlingException"),
        Fate::Refused(400, "RequestLimitExceeded"),
        Fate::Refused(500, "InternalServerError"),
        Fate::Refused(503, "ServiceUnavailable"),
        Fate::Garbage,
        Fate::Cut,
        Fate::Lost,
        Fate::Some(1),
    ];
    for fault in faults {
        nothing_is_lost(move |n| if n % 3 == 0 { fault } else { Fate::Done }).await;
    }
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_is_written_again() {
    let fake = FakeDynamoDb::start(|n| if n == 0 { Fate::Lost } else { Fate::Done }).await;
    let store = store(&fake);
    store.put(numbered("p", 3)).await.unwrap();
    assert_eq!(fake.requests(), [3, 3]);
    assert_eq!(find(&store, "p", "n000002").await.unwrap(), numbered("p", 3)[2]);
}

#[tokio::test]
async fn something_new_whose_answer_is_lost_is_new_all_the_same() {
    for lost in 1..4 {
        let fake = FakeDynamoDb::start(move |n| if n < lost { Fate::Lost } else { Fate::Done }).await;
        let store = store(&fake);
        assert!(store.put_new(item("p", "s", "ours")).await.unwrap(), "it is what we wrote");
        assert_eq!(fake.operations(), vec!["PutItem"; lost + 1]);
        assert_eq!(find(&store, "p", "s").await.unwrap(), item("p", "s", "ours"));
        assert!(!store.put_new(item("p", "s", "ours")).await.unwrap(), "asked anew, it stands already");
    }
}

#[tokio::test]
async fn something_new_is_looked_up_where_the_refusal_does_not_show_what_stands_there() {
    let fake = FakeDynamoDb::start(|n| if n == 0 { Fate::Lost } else { Fate::Untold }).await;
    let store = store(&fake);
    assert!(store.put_new(item("p", "s", "ours")).await.unwrap());
    assert_eq!(fake.operations(), ["PutItem", "PutItem", "BatchGetItem"]);
    assert!(!store.put_new(item("p", "s", "ours")).await.unwrap());
    assert_eq!(fake.operations()[3..], ["PutItem", "BatchGetItem"]);
}

#[tokio::test]
async fn what_another_wrote_meanwhile_is_not_ours_even_when_it_says_the_same() {
    for first in [Fate::Lost, Fate::Cut, Fate::Refused(500, "InternalServerError")] {
        for then in [Fate::Done, Fate::Untold] {
            for body in ["ours", "theirs"] {
                let fake = FakeDynamoDb::start(move |n| if n == 1 { first } else { then }).await;
                let store = store(&fake);
                assert!(store.put_new(item("p", "s", body)).await.unwrap());
                assert!(!store.put_new(item("p", "s", "ours")).await.unwrap());
                assert_eq!(find(&store, "p", "s").await.unwrap().body, body);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttle_without_end_is_given_up() {
    for code in ["ProvisionedThroughputExceededException", "ThrottlingException"] {
        let begin = Instant::now();
        let happens = match code {
            "ThrottlingException" => |_| Fate::Refused(400, "ThrottlingException"),
            _ => |_| Fate::Refused(400, "ProvisionedThroughputExceededException"),
        };
        for (_, error, whole, requests) in failures(happens).await {
            assert!(!error.is_final(), "{error:?}");
            assert!(whole.contains("the table is throttled; its metric `ThrottledRequests`"), "{whole}");
            assert!(whole.contains("no progress for") && whole.contains(code), "{whole}");
            assert!((2..=REQUESTS_MAX).contains(&requests), "{requests}");
        }
        assert!(begin.elapsed() <= 4 * (STANDSTILL_MAX + TICK), "{:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends() {
    let begin = Instant::now();
    for (_, error, whole, requests) in failures(|_| Fate::Silence).await {
        assert!(!error.is_final(), "{error:?}");
        assert!(whole.contains("no answer"), "{whole}");
        assert!((2..=REQUESTS_MAX).contains(&requests), "{requests}");
    }
    assert!(begin.elapsed() <= 4 * (STANDSTILL_MAX + TICK), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_at_the_address_is_unavailable() {
    let fake = FakeDynamoDb::start(|_| Fate::Done).await;
    let store = store(&fake);
    drop(fake);
    let error = store.put(numbered("p", 1)).await.unwrap_err();
    assert!(!error.is_final(), "{error:?}");
    assert!(chain(&error).contains("DynamoDB cannot be reached"), "{}", chain(&error));
}

#[tokio::test]
async fn without_credentials_it_says_so_at_once_and_asks_nobody() {
    let fake = FakeDynamoDb::start(|_| Fate::Done).await;
    let http = Aws::at(&fake.url, "us-east-1").dynamodb.config().http_client().unwrap();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&fake.url)
        .http_client(http);
    let client = aws_sdk_dynamodb::Client::from_conf(config.build());
    let error = DynamoDb::new(client, "t", Rng::seeded(1)).put(numbered("p", 1)).await.unwrap_err();
    assert!(!error.is_final(), "they may come: {error:?}");
    assert!(chain(&error).contains("check the credentials"), "{}", chain(&error));
    assert_eq!(fake.requests(), [0; 0]);
}

/// Expects the end after one try, of each operation.
async fn ends_at_once(happens: fn(usize) -> Fate, code: &str, is_final: bool, advice: &str) {
    for (operation, error, whole, requests) in failures(happens).await {
        assert_eq!((error.is_final(), requests), (is_final, 1), "{error:?}");
        let verb = if is_final { "refused" } else { "did not complete" };
        assert_eq!(error.to_string(), format!("the ledger in dynamodb:t {verb} {operation}"));
        assert!(whole.contains(code), "the cause is kept: {whole}");
        assert!(whole.contains(advice), "{whole}");
    }
}

#[tokio::test]
async fn a_refusal_is_final_says_why_and_what_to_do_after_one_try() {
    let missing = |_| Fate::Refused(400, "ResourceNotFoundException");
    ends_at_once(missing, "ResourceNotFoundException", true, "check `NOTIFIER_LEDGER`").await;
    let denied = |_| Fate::Refused(400, "AccessDeniedException");
    ends_at_once(denied, "AccessDeniedException", true, "`dynamodb:").await;
    let invalid = |_| Fate::Refused(400, "ValidationException");
    ends_at_once(invalid, "ValidationException", true, "its keys must be `pk` and `sk`").await;
    let stranger = |_| Fate::Refused(400, "UnrecognizedClientException");
    ends_at_once(stranger, "UnrecognizedClientException", true, "does not accept the credentials").await;
}

#[tokio::test]
async fn what_may_pass_by_itself_but_not_in_a_moment_is_not_final_and_not_tried_again() {
    let expired = |_| Fate::Refused(400, "ExpiredTokenException");
    ends_at_once(expired, "ExpiredTokenException", false, "the session has expired").await;
    let unknown = |_| Fate::Refused(400, "SomethingNewException");
    ends_at_once(unknown, "SomethingNewException", false, "unknown error").await;
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_not_an_answer() {
    for (_, error, _, requests) in failures(|_| Fate::Garbage).await {
        assert!(!error.is_final(), "{error:?}");
        assert!((2..=REQUESTS_MAX).contains(&requests), "{requests}");
    }
}

#[tokio::test]
async fn an_item_of_somebody_else_is_refused_by_name() {
    let theirs = json!({"pk": {"S": "p"}, "sk": {"S": "s"}, "body": {"N": "1"}});
    let fake = FakeDynamoDb::start(|_| Fate::Done).await;
    fake.plant("p", "s", theirs);
    let error = store(&fake).get(vec![key("p", "s")]).await.unwrap_err();
    assert!(error.is_final());
    assert_eq!(farthest(&error), "an item has no text attribute `body`");
    assert!(chain(&error).contains("the table belongs to another program"), "{}", chain(&error));
    assert!(!store(&fake).put_new(item("p", "s", "ours")).await.unwrap(), "something stands there");
    let bodiless = || json!({"Items": [{"pk": {"S": "p"}, "sk": {"S": "s"}}]});
    assert_eq!(listed(bodiless, None).await, "an item has no text attribute `body`");
}

#[tokio::test]
async fn a_list_that_does_not_move_has_an_end() {
    let stuck = || json!({"Items": [], "LastEvaluatedKey": {"pk": {"S": "p"}, "sk": {"S": "s1"}}});
    let behind = "the next page begins at `s1`, which is not after this one";
    assert_eq!(listed(stuck, Some("s1")).await, behind);
    assert_eq!(listed(stuck, Some("s2")).await, behind);
    assert_eq!(listed_to(true, stuck, Some("s1")).await, behind);
    assert_eq!(listed_to(true, stuck, Some("s0")).await, behind);
    let keyless = || json!({"Items": [], "LastEvaluatedKey": {"other": {"S": "s"}}});
    assert_eq!(listed(keyless, None).await, "the answer is about an item without a key");
    let elsewhere = || json!({"Items": [], "LastEvaluatedKey": {"pk": {"S": "q"}, "sk": {"S": "s1"}}});
    assert_eq!(listed(elsewhere, None).await, behind);
}

#[tokio::test]
async fn a_page_holds_what_was_asked_for_and_nothing_else() {
    let again = || json!({"Items": [{"pk": {"S": "p"}, "sk": {"S": "s1"}, "body": {"S": "b"}}]});
    let unasked = "the answer has the key `s1` of `p`, which was not requested, or has it twice";
    assert_eq!(listed(again, Some("s1")).await, unasked);
    assert_eq!(listed_to(true, again, Some("s0")).await, unasked);
    let unordered = || {
        let item = |sort: &str| json!({"pk": {"S": "p"}, "sk": {"S": sort}, "body": {"S": "b"}});
        json!({"Items": [item("s2"), item("s1")]})
    };
    assert_eq!(listed(unordered, None).await, unasked);
    let outside = || json!({"Items": [{"pk": {"S": "p"}, "sk": {"S": "t"}, "body": {"S": "b"}}]});
    assert_eq!(listed(outside, None).await, unasked.replace("`s1`", "`t`"));
    let other = || json!({"Items": [{"pk": {"S": "q"}, "sk": {"S": "s1"}, "body": {"S": "b"}}]});
    assert_eq!(listed(other, None).await, unasked.replace("`p`", "`q`"));
    let many = || {
        let item = |n| json!({"pk": {"S": "p"}, "sk": {"S": format!("s{n:06}")}, "body": {"S": "b"}});
        json!({"Items": (0..1_001).map(item).collect::<Vec<_>>()})
    };
    assert_eq!(listed(many, None).await, "the answer has 1001 items, more than the requested page");
}

/// The cause of the error of reading one key when the answer is this.
async fn got(answer: fn() -> Value) -> String {
    let fake = FakeDynamoDb::start(move |_| Fate::Instead(answer)).await;
    let error = store(&fake).get(vec![key("p", "s")]).await.unwrap_err();
    assert_eq!((error.is_final(), fake.requests()), (false, vec![1]));
    farthest(&error)
}

#[tokio::test]
async fn what_nobody_asked_to_read_is_neither_believed_nor_asked_for() {
    let theirs = || json!({"Responses": {"t": [{"pk": {"S": "p"}, "sk": {"S": "x"}, "body": {"S": "b"}}]}});
    let unasked = "the answer has the key `x` of `p`, which was not requested, or has it twice";
    assert_eq!(got(theirs).await, unasked);
    let twice = || {
        let one = json!({"pk": {"S": "p"}, "sk": {"S": "s"}, "body": {"S": "b"}});
        json!({"Responses": {"t": [one, one]}})
    };
    assert_eq!(got(twice).await, unasked.replace("`x`", "`s`"));
    let table = || json!({"Responses": {"u": [{"pk": {"S": "p"}, "sk": {"S": "s"}, "body": {"S": "b"}}]}});
    assert_eq!(got(table).await, "the answer is about table `u`, which was not requested");
    let left = || json!({"Responses": {}, "UnprocessedKeys": {"t": {"Keys": [{"pk": {"S": "p"}, "sk": {"S": "x"}}]}}});
    assert_eq!(got(left).await, unasked);
    let left = || json!({"Responses": {}, "UnprocessedKeys": {"u": {"Keys": [{"pk": {"S": "p"}, "sk": {"S": "s"}}]}}});
    assert_eq!(got(left).await, "the answer is about table `u`, which was not requested");
}

#[tokio::test]
async fn an_answer_without_what_dynamodb_always_sends_is_no_answer() {
    let missing = |what: &str| format!("the answer has no `{what}`, which DynamoDB always sends");
    let empty = || json!({});
    assert_eq!(listed(empty, None).await, missing("Items"));
    assert_eq!(got(empty).await, missing("Responses"));
    assert_eq!(got(|| json!({"Responses": {}})).await, missing("UnprocessedKeys"));
    assert_eq!(wrote(empty).await, missing("UnprocessedItems"));
}

/// The cause of the error of writing one item when the answer is this.
async fn wrote(answer: fn() -> Value) -> String {
    let fake = FakeDynamoDb::start(move |_| Fate::Instead(answer)).await;
    let error = store(&fake).put(vec![item("p", "s", "a")]).await.unwrap_err();
    assert_eq!((error.is_final(), fake.requests()), (false, vec![1]));
    farthest(&error)
}

#[tokio::test]
async fn what_nobody_asked_to_write_is_not_written() {
    let theirs = || {
        let put = json!({"Item": {"pk": {"S": "p"}, "sk": {"S": "x"}, "body": {"S": "evil"}}});
        json!({"UnprocessedItems": {"t": [{"PutRequest": put}]}})
    };
    let unasked = "the answer has the key `x` of `p`, which was not requested, or has it twice";
    assert_eq!(wrote(theirs).await, unasked);
    let table = || {
        let put = json!({"Item": {"pk": {"S": "p"}, "sk": {"S": "s"}, "body": {"S": "a"}}});
        json!({"UnprocessedItems": {"u": [{"PutRequest": put}]}})
    };
    assert_eq!(wrote(table).await, "the answer is about table `u`, which was not requested");
    let deletes = || {
        let delete = json!({"Key": {"pk": {"S": "p"}, "sk": {"S": "s"}}});
        json!({"UnprocessedItems": {"t": [{"DeleteRequest": delete}]}})
    };
    assert_eq!(wrote(deletes).await, "the answer is about an item without a key");
}

#[tokio::test]
async fn what_is_written_again_is_what_was_asked_for_whatever_the_answer_says() {
    let lying = || {
        let put = json!({"Item": {"pk": {"S": "p"}, "sk": {"S": "s"}, "body": {"S": "evil"}}});
        json!({"UnprocessedItems": {"t": [{"PutRequest": put}]}})
    };
    let fake = FakeDynamoDb::start(move |n| if n == 0 { Fate::Instead(lying) } else { Fate::Done }).await;
    let store = store(&fake);
    store.put(vec![item("p", "s", "good")]).await.unwrap();
    assert_eq!(find(&store, "p", "s").await.unwrap(), item("p", "s", "good"));
}
