//! `publish`. The tests of `demo` and `serve` cover the daemon's part.

use crate::support::{Sim, notifier, redacted};

#[test]
fn a_missing_queue_is_wrong_use_with_a_hint() {
    let sim = Sim::start("[[cluster]]\nname = 'prod'");
    insta::assert_snapshot!(sim.notifier("publish --cluster prod --queue observer").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: queue observer does not exist in this account and region
    hint: `aws sqs list-queues` lists them; --region and --profile choose another region and account
    "#);
}

#[test]
fn a_queue_must_be_named() {
    insta::assert_snapshot!(notifier("publish --cluster prod").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: no observer queue is set
    hint: pass one with --queue, or set NOTIFIER_OBSERVER_QUEUE_URL
    "#);
}

#[test]
fn what_was_published_is_named_with_its_ids() {
    let _bound = redacted();
    let sim = Sim::with_queues("[[cluster]]\nname = 'prod'", &["observer"]);
    let queue = sim.queue_url("observer");
    insta::assert_snapshot!(sim.notifier("publish --cluster prod --queue observer").run(), @r#"
    exit 0
    --- stdout
    broadcast [uuid]
    message   [uuid]
    queue     http://127.0.0.1:[port]/111122223333/observer
    --- stderr
    broadcast [uuid] to queue observer (account 111122223333, region us-east-1)
    "#);
    let by_setting = sim.notifier("publish -c prod --id e-1 --format json");
    insta::assert_snapshot!(by_setting.env("NOTIFIER_OBSERVER_QUEUE_URL", &queue).run(), @r#"
    exit 0
    --- stdout
    {"broadcast":"e-1","message":"[uuid]","queue":"http://127.0.0.1:[port]/111122223333/observer"}
    {"summary":{"published":1}}
    --- stderr
    broadcast e-1 to queue observer (account 111122223333, region us-east-1)
    "#);
    let by_url = sim.notifier(&format!("publish -c prod --id e-2 --format csv --queue-url {queue}"));
    insta::assert_snapshot!(by_url.run(), @r#"
    exit 0
    --- stdout
    broadcast,message,queue
    e-2,[uuid],http://127.0.0.1:[port]/111122223333/observer
    --- stderr
    broadcast e-2 to queue observer (account 111122223333, region us-east-1)
    "#);
    let bodies = sim.sqs("ReceiveMessage", &format!(r#"{{"QueueUrl":"{queue}","MaxNumberOfMessages":10}}"#));
    let ids = ["e-1", "e-2"].map(|id| bodies.matches(&format!(r#"\"id\":\"{id}\""#)).count());
    assert_eq!(ids, [1, 1], "{bodies}");
}
