//! Events of other sources, by routing rules.

use std::collections::BTreeSet;
use std::time::Duration;

use notifier::ledger::BroadcastRecord;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::setup::{Form, Setup, fleet};

const RULES: &str = r#"
[[route]]
name = "prices"
match = { source = ["aws.s3"], detail-type = ["Object Created"], detail = { object = { key = [{ prefix = "prices/" }] } } }
to = { cluster = "prod", services = ["accepts"] }
event = { type = "com.example.prices.changed", data = { bucket = "/detail/bucket/name", key = "/detail/object/key" } }
"#;

const COALESCING: &str = r#"
[[route]]
name = "newest"
match = { source = ["aws.s3"] }
to = { cluster = "prod" }
event = { type = "com.example.prices.changed", data = "/detail/object/key" }
coalesce = { key = ["/detail/bucket/name"], window = "3s" }
"#;

/// A notification that an object was created at this second of a day.
pub(crate) fn created(key: &str, second: usize) -> Value {
    json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": format!("2026-11-30T{:02}:{:02}:{:02}.000Z", second / 3_600, second / 60 % 60, second % 60),
        "eventName": "ObjectCreated:Put",
        "responseElements": { "x-amz-request-id": format!("R{second}") },
        "s3": {
            "bucket": { "name": "shop", "arn": "arn:aws:s3:::shop" },
            "object": { "key": key, "size": 1, "sequencer": format!("{second:016X}") },
        },
    })
}

pub(crate) fn body(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

async fn setup(form: Form, rules: &str) -> Setup {
    let settings = [("NOTIFIER_ROUTES", "env:RULES"), ("RULES", rules)];
    Setup::of(form, &fleet(&[("accepts", "/n", "")]), &settings).await
}

async fn history(setup: &Setup) -> Vec<BroadcastRecord> {
    setup.notifier.ctx().ledger.recent(100).await.unwrap()
}

/// The bodies that tasks received, as JSON.
fn bodies(setup: &Setup) -> Vec<Value> {
    setup.sim.received().iter().map(|call| serde_json::from_slice(&call.body).unwrap()).collect()
}

/// The dead letters of the observer queue: the codes.
async fn dead(setup: &Setup) -> Vec<String> {
    let queue = format!("{}/111122223333/observer-dead", setup.sim.url());
    let asked = json!({ "QueueUrl": queue, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "VisibilityTimeout": 0 });
    let answer = setup.sim.sqs("ReceiveMessage", asked).await.unwrap();
    let codes = answer["Messages"].as_array().into_iter().flatten();
    codes.map(|one| one["MessageAttributes"]["code"]["StringValue"].as_str().unwrap().to_owned()).collect()
}

/// The event has the type and the data of the rule, and names what caused it.
pub(crate) async fn an_s3_event_becomes_the_broadcast_of_its_route(form: Form) {
    let setup = setup(form, RULES).await;
    let upload = body(&[created("prices/a+b.csv", 1)]);
    // The same notification twice: S3 delivers at least once.
    setup.publish_bodies(&[upload.clone(), upload, body(&[created("images/x.png", 2)])]).await;
    setup.work_until(async || setup.sim.received().len() >= 2).await;
    sleep(Duration::from_millis(300)).await;
    let bodies = bodies(&setup);
    let ids: BTreeSet<_> = bodies.iter().map(|body| body["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1, "a repeated notification is the same broadcast");
    let event = &bodies[0];
    assert_eq!(event["type"], "com.example.prices.changed");
    assert_eq!(event["source"], "aws:s3.us-east-1.shop");
    assert_eq!(event["data"], json!({ "bucket": "shop", "key": "prices/a b.csv" }));
    assert_eq!(event["causationid"], "R1");
    assert_eq!(history(&setup).await.len(), 1, "no rule matches the other object");
}

/// Of ten records two are wrong: eight broadcasts, and two dead letters with a reason.
pub(crate) async fn one_bad_record_does_not_take_the_others_with_it(form: Form) {
    let setup = setup(form, RULES).await;
    let mut records: Vec<_> = (0..10).map(|n| created(&format!("prices/{n}"), n)).collect();
    records[3]["s3"] = json!({});
    records[7] = json!({ "eventSource": "aws:kinesis" });
    setup.publish_bodies(&[body(&records)]).await;
    setup.work_until(async || setup.sim.received().len() >= 16 && dead(&setup).await.len() >= 2).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(setup.sim.received().len(), 16, "two tasks for each of eight broadcasts, and nothing twice");
    assert_eq!(history(&setup).await.len(), 8);
    assert_eq!(dead(&setup).await, ["source", "source"]);
}

/// Without rules, only a direct message makes a broadcast.
pub(crate) async fn without_routes_an_event_of_a_source_is_refused(form: Form) {
    let setup = Setup::new(form, &[("accepts", "/n", "")]).await;
    setup.publish_bodies(&[body(&[created("prices/a", 1)]), "{\"hello\":1}".to_owned()]).await;
    setup.work_until(async || dead(&setup).await.len() >= 2).await;
    let codes: BTreeSet<_> = dead(&setup).await.into_iter().collect();
    assert_eq!(codes, ["no-routes".to_owned(), "source".to_owned()].into());
    assert_eq!(setup.sim.received().len(), 0);
}

/// The newest of a storm is broadcast, and the others are counted.
pub(crate) async fn of_a_storm_only_the_newest_event_is_broadcast(form: Form) {
    const EVENTS: usize = 60;
    let setup = setup(form, COALESCING).await;
    // Not in the order of time: the newest comes in the middle.
    let order = (0..EVENTS).map(|n| (n * 7 + 31) % EVENTS);
    let storm: Vec<_> = order.map(|n| body(&[created(&format!("key-{n}"), n)])).collect();
    setup.publish_bodies(&storm).await;
    let newest = format!("key-{}", EVENTS - 1);
    // On a slow machine the storm touches several windows, which end one after the other.
    let counted = async || history(&setup).await.iter().map(|record| record.folded + 1).sum::<usize>();
    setup
        .work_until(async || {
            bodies(&setup).iter().any(|body| body["data"] == newest) && counted().await == EVENTS
        })
        .await;
    let history = history(&setup).await;
    assert!(history.len() <= 3, "at most one for each window that the storm touched: {}", history.len());
}
