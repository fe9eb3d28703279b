//! A storm of ten thousand events, with coalescing and without.

use std::collections::BTreeSet;
use std::time::Duration;

use notifier::daemon::Health;
use serde_json::{Value, json};
use simulator::Options;
use testkit::fleets;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::setup::{Form, Setup, fleet};
use crate::sources::{body, created};

const EVENTS: usize = 10_000;
/// Without coalescing every event is a broadcast, so fewer make the same point.
const EVENTS_APART: usize = 500;
/// Longest time for the storm on a busy machine.
const STORM_MAX: Duration = Duration::from_secs(300);
/// Time from the start of the first daemon to its end.
const CRASH_AFTER: Duration = Duration::from_secs(2);

fn rules(coalesce: &str) -> String {
    format!(
        "[[route]]\nname = 'storm'\nmatch = {{ source = ['aws.s3'] }}\n\
         to = {{ cluster = 'prod', services = ['accepts'] }}\n\
         event = {{ type = 'com.example.prices', data = '/detail/object/key' }}\n{coalesce}"
    )
}

async fn setup(rules: &str) -> Setup {
    // A message of a daemon that has ended comes back soon.
    let queues = fleets::stage_queues(15, &[("VisibilityTimeout", "3")]);
    let options = Options { queues, ..Options::default() };
    let sim = fleets::start_with(&fleet(&[("accepts", "/n", "")]), options).await;
    Setup::on(Form::Daemon, sim, &[("NOTIFIER_ROUTES", "env:RULES"), ("RULES", rules)]).await
}

pub(crate) fn daemon(setup: &Setup) -> JoinHandle<()> {
    let notifier = setup.notifier.clone();
    tokio::spawn(
        async move { notifier.run(Health::default(), CancellationToken::new()).await.map(drop).unwrap() },
    )
}

/// The keys of which the tasks heard, one for each call.
fn keys(setup: &Setup) -> Vec<String> {
    let key =
        |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["data"].as_str().unwrap().to_owned();
    setup.sim.received().iter().map(|call| key(&call.body)).collect()
}

/// Messages on the observer queue: visible, in flight and held back.
async fn left(setup: &Setup) -> u64 {
    let queue = format!("{}/111122223333/observer", setup.sim.url());
    let asked = json!({ "QueueUrl": queue, "AttributeNames": ["All"] });
    let answer = setup.sim.sqs("GetQueueAttributes", asked).await.unwrap();
    let count = |name: &str| answer["Attributes"][name].as_str().unwrap().parse::<u64>().unwrap();
    let names = ["", "NotVisible", "Delayed"];
    names.map(|name| count(&format!("ApproximateNumberOfMessages{name}"))).iter().sum()
}

pub(crate) async fn until(what: &str, mut is_done: impl FnMut() -> bool) {
    let end = Instant::now() + STORM_MAX;
    while !is_done() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_events_the_newest_is_never_lost_also_with_a_crash_in_between() {
    let setup = setup(&rules("coalesce = { key = ['/detail/bucket/name'], window = '5s' }")).await;
    // Not in the order of time.
    let order = (0..EVENTS).map(|n| (n * 7_919 + 31) % EVENTS);
    let storm: Vec<_> = order.map(|n| body(&[created(&format!("key-{n}"), n)])).collect();
    setup.publish_bodies(&storm).await;
    let first = daemon(&setup);
    sleep(CRASH_AFTER).await;
    first.abort();
    let second = daemon(&setup);
    let newest = format!("key-{}", EVENTS - 1);
    until("the newest event is lost", || keys(&setup).contains(&newest)).await;
    let end = Instant::now() + STORM_MAX;
    while left(&setup).await > 0 {
        assert!(Instant::now() < end, "{} messages are left", left(&setup).await);
        sleep(Duration::from_millis(200)).await;
    }
    sleep(Duration::from_secs(2)).await;
    second.abort();
    let history = setup.notifier.ctx().ledger.recent(EVENTS).await.unwrap();
    let heard: BTreeSet<_> = keys(&setup).into_iter().collect();
    assert_eq!(setup.sim.received().len(), 2 * heard.len(), "each of the two tasks once for each broadcast");
    assert_eq!(heard.len(), history.len());
    assert!(history.len() * 50 < EVENTS, "one for each window: {}", history.len());
    let folded: usize = history.iter().map(|record| record.folded).sum();
    // An event whose message came back after the crash may count in two windows.
    assert!(folded + history.len() >= EVENTS, "{folded} and {}", history.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_coalescing_every_event_of_a_storm_is_a_broadcast() {
    let setup = setup(&rules("")).await;
    let storm: Vec<_> = (0..EVENTS_APART).map(|n| body(&[created(&format!("key-{n}"), n)])).collect();
    setup.publish_bodies(&storm).await;
    let running = daemon(&setup);
    let deliveries = || {
        let received = setup.sim.received();
        let ids = received.iter().map(|call| call.header("webhook-id").unwrap().to_owned());
        ids.collect::<BTreeSet<_>>().len()
    };
    until("some deliveries are missing", || deliveries() >= 2 * EVENTS_APART).await;
    running.abort();
    let heard: BTreeSet<_> = keys(&setup).into_iter().collect();
    assert_eq!((heard.len(), deliveries()), (EVENTS_APART, 2 * EVENTS_APART));
    // On a slow machine, a message may come back before it is deleted.
    let repeats = setup.sim.received().len() - deliveries();
    assert!(repeats * 10 < EVENTS_APART, "{repeats} repeats");
}
