//! The daemon with real queues: what happens to messages when handlers, queues, SQS or the daemon itself fail.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod pipeline;
mod scrapes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use notifier::aws::Aws;
use notifier::base::Rng;
use notifier::daemon::{Health, Served, Worker};
use notifier::pipeline::{Failure, Handler, Output, Retry, Work};
use notifier::pipeline::{Handled, StageName};
use notifier::queue::{Message, Queue, QueueError, Trace};
use simulator::faults::{Fault, When};
use simulator::{Fleet, Options, QueueSpec, Simulator};
use testkit::sqs::{SOON, Sqs, attribute, numbered};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// A worker on a queue, running.
struct Running {
    worker: JoinHandle<Result<Served, QueueError>>,
    health: Health,
    shutdown: CancellationToken,
}

/// How a test's worker differs from the usual.
struct With {
    next: Option<Queue>,
    concurrency: usize,
    grace: Duration,
}

impl Default for With {
    fn default() -> Self {
        Self { next: None, concurrency: 10, grace: Duration::from_secs(20) }
    }
}

/// Starts a worker on `queue` that does what `handler` says with each message.
fn start<H>(queue: &Queue, with: With, handler: H) -> Running
where
    H: for<'a> Fn(&'a Message, Instant) -> BoxFuture<'a, Handled> + Send + Sync + 'static,
{
    let (health, shutdown) = (Health::default(), CancellationToken::new());
    let worker = Worker {
        work: Work {
            stage: StageName::Tasks,
            source: queue.clone(),
            next: with.next,
            handler: Handler::Function(Box::new(handler)),
            rng: Rng::seeded(1),
        },
        concurrency: with.concurrency,
        grace: with.grace,
        health: health.clone(),
    };
    let worker = tokio::spawn(worker.run(shutdown.clone()));
    Running { worker, health, shutdown }
}

impl Running {
    async fn stop(self) -> Served {
        self.shutdown.cancel();
        timeout(SOON, self.worker).await.unwrap().unwrap().unwrap()
    }

    async fn is_ready(&self, ready: bool) {
        eventually("readiness", async || self.health.report().ready == ready).await;
    }
}

/// The messages of a handler: the number of each body, and its ids.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Seen {
    fn add(&self, received: &Message) {
        self.0.lock().unwrap().entry(received.body.clone()).or_default().push(received.id.clone());
    }

    fn times(&self) -> BTreeMap<String, usize> {
        self.0.lock().unwrap().iter().map(|(body, ids)| (body.clone(), ids.len())).collect()
    }

    fn ids(&self, body: &str) -> Vec<String> {
        self.0.lock().unwrap().get(body).cloned().unwrap_or_default()
    }
}

fn once_each(bodies: &[String]) -> BTreeMap<String, usize> {
    bodies.iter().map(|body| (body.clone(), 1)).collect()
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let until = Instant::now() + SOON;
    while !condition().await {
        assert!(Instant::now() < until, "no {what} within {SOON:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn final_failure(reason: &str) -> Failure {
    Failure { code: "poison", reason: reason.to_owned(), retry: Retry::Never, is_recorded: false }
}

async fn poison_ends_in_the_dead_letters_with_its_reason_and_its_neighbours_succeed(sqs: &Sqs) {
    let (queue, dead) = sqs.with_dead_letters("q", 30, 5).await;
    queue.publish(&numbered(9), &Trace::default()).await.unwrap();
    queue.publish(&["not json".to_owned()], &Trace::default()).await.unwrap();
    let seen = Seen::default();
    let seeing = seen.clone();
    let running = start(&queue, With::default(), move |received, _| {
        seeing.add(received);
        async move {
            let json = serde_json::from_str::<serde_json::Value>(&received.body);
            json.map(|_| Output::default()).map_err(|error| final_failure(&error.to_string()))
        }
        .boxed()
    });
    eventually("end", async || sqs.depth(&queue).await == (0, 0)).await;
    assert_eq!(running.stop().await, Served { done: 9, dead_lettered: 1, ..Served::default() });
    assert!(seen.times().values().all(|&times| times == 1));
    let dead = sqs.drain(&dead).await;
    assert_eq!(dead.iter().map(|message| message.body().unwrap()).collect::<Vec<_>>(), ["not json"]);
    let values = ["code", "reason", "stage"].map(|name| attribute(&dead[0], name).unwrap());
    assert_eq!(values, ["poison", "expected ident at line 1 column 2", "tasks"]);
}

async fn a_message_that_panics_is_tried_again_and_then_dead_lettered_and_harms_nobody(sqs: &Sqs) {
    let (queue, dead) = sqs.with_dead_letters("q", 30, 2).await;
    let bodies = ["a", "boom", "b"].map(str::to_owned);
    queue.publish(&bodies, &Trace::default()).await.unwrap();
    let running = start(&queue, With::default(), |received, _| {
        async move {
            assert_ne!(received.body, "boom", "this one panics");
            Ok(Output::default())
        }
        .boxed()
    });
    eventually("end", async || sqs.depth(&queue).await == (0, 0)).await;
    assert_eq!(running.stop().await, Served { done: 2, retried: 1, dead_lettered: 1, ..Served::default() });
    let dead = sqs.drain(&dead).await;
    assert_eq!(attribute(&dead[0], "code"), Some("panic"));
    assert!(attribute(&dead[0], "reason").unwrap().contains("this one panics"));
}

async fn a_failure_that_passes_is_tried_again_with_the_same_id(sqs: &Sqs) {
    let (queue, dead) = sqs.with_dead_letters("q", 600, 5).await;
    queue.publish(&numbered(1), &Trace::default()).await.unwrap();
    let seen = Seen::default();
    let seeing = seen.clone();
    let running = start(&queue, With::default(), move |received, _| {
        seeing.add(received);
        async move {
            let retry = Retry::Later(Some(Duration::ZERO));
            if received.receives >= 3 {
                Ok(Output::default())
            } else {
                Err(Failure { code: "busy", reason: "throttled".to_owned(), retry, is_recorded: false })
            }
        }
        .boxed()
    });
    eventually("end", async || sqs.depth(&queue).await == (0, 0)).await;
    assert_eq!(running.stop().await, Served { done: 1, retried: 2, ..Served::default() });
    let ids = seen.ids(&numbered(1)[0]);
    assert_eq!(ids.len(), 3);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1, "{ids:?}");
    assert_eq!(sqs.depth(&dead).await, (0, 0));
}

async fn a_handler_that_outlasts_the_visibility_sees_its_message_once(sqs: &Sqs) {
    let queue = sqs.queue("q", &[(Attribute::VisibilityTimeout, "2")]).await;
    queue.publish(&numbered(3), &Trace::default()).await.unwrap();
    let seen = Seen::default();
    let seeing = seen.clone();
    let running = start(&queue, With::default(), move |received, _| {
        seeing.add(received);
        async {
            sleep(Duration::from_secs(5)).await;
            Ok(Output::default())
        }
        .boxed()
    });
    eventually("end", async || sqs.depth(&queue).await == (0, 0)).await;
    assert_eq!(running.stop().await.done, 3);
    assert_eq!(seen.times(), once_each(&numbered(3)));
}

async fn what_follows_from_a_message_is_on_the_next_queue_when_it_is_deleted(sqs: &Sqs) {
    let (queue, next) = (sqs.queue("q", &[]).await, sqs.queue("next", &[]).await);
    queue.publish(&numbered(5), &Trace::default()).await.unwrap();
    let with = With { next: Some(next.clone()), ..With::default() };
    let running = start(&queue, with, |received, _| {
        async move { Ok((0..25).map(|n| format!("{} {n:02}", received.body)).collect::<Vec<_>>().into()) }
            .boxed()
    });
    eventually("end", async || sqs.depth(&queue).await == (0, 0)).await;
    assert_eq!(running.stop().await.done, 5);
    let expected = numbered(5).into_iter().flat_map(|body| (0..25).map(move |n| format!("{body} {n:02}")));
    assert_eq!(sqs.bodies(&next).await, expected.collect::<Vec<_>>());
}

async fn shutdown_finishes_what_is_in_work_and_leaves_the_rest(sqs: &Sqs) {
    let queue = sqs.queue("q", &[(Attribute::VisibilityTimeout, "600")]).await;
    queue.publish(&numbered(30), &Trace::default()).await.unwrap();
    let seen = Seen::default();
    let seeing = seen.clone();
    let running = start(&queue, With { concurrency: 5, ..With::default() }, move |received, _| {
        seeing.add(received);
        async {
            sleep(Duration::from_secs(1)).await;
            Ok(Output::default())
        }
        .boxed()
    });
    eventually("message in work", async || seen.times().len() >= 5).await;
    let served = running.stop().await;
    let done = seen.times();
    assert!(done.len() < 30, "the shutdown came in the middle");
    assert_eq!(served.done, done.len() as u64, "whatever was begun was finished");
    let mut all: Vec<_> = done.into_keys().chain(sqs.bodies(&queue).await).collect();
    all.sort();
    assert_eq!(all, numbered(30), "nothing lost, and nothing left that was done");
    assert_eq!(sqs.depth(&queue).await, (0, 0), "nothing stays hidden");
}

async fn what_does_not_finish_in_time_is_handed_back_at_once(sqs: &Sqs) {
    let queue = sqs.queue("q", &[(Attribute::VisibilityTimeout, "600")]).await;
    queue.publish(&numbered(30), &Trace::default()).await.unwrap();
    let seen = Seen::default();
    let seeing = seen.clone();
    let with = With { concurrency: 20, grace: Duration::from_millis(200), ..With::default() };
    let running = start(&queue, with, move |received, _| {
        seeing.add(received);
        std::future::pending().boxed()
    });
    eventually("message in work", async || seen.times().len() == 20).await;
    let start = Instant::now();
    let served = running.stop().await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(served, Served { returned: 20, ..Served::default() });
    assert_eq!(sqs.depth(&queue).await, (30, 0));
}

async fn an_idle_worker_stops_soon(sqs: &Sqs) {
    let queue = sqs.queue("q", &[]).await;
    let running = start(&queue, With::default(), |_, _| async { Ok(Output::default()) }.boxed());
    running.is_ready(true).await;
    sleep(Duration::from_millis(300)).await;
    let start = Instant::now();
    assert_eq!(running.stop().await, Served::default());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

async fn a_queue_that_does_not_exist_ends_the_worker(sqs: &Sqs) {
    let queue = sqs.queue("q", &[]).await;
    let gone = Queue::at(sqs.client.clone(), format!("{}-gone", queue.url()), Rng::seeded(1));
    let running = start(&gone, With::default(), |_, _| async { Ok(Output::default()) }.boxed());
    let error = timeout(SOON, running.worker).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, QueueError::Unknown { .. }), "{error:?}");
}

testkit::on_both! {
    poison_ends_in_the_dead_letters_with_its_reason_and_its_neighbours_succeed
    a_message_that_panics_is_tried_again_and_then_dead_lettered_and_harms_nobody
    a_failure_that_passes_is_tried_again_with_the_same_id
    a_handler_that_outlasts_the_visibility_sees_its_message_once
    what_follows_from_a_message_is_on_the_next_queue_when_it_is_deleted
    shutdown_finishes_what_is_in_work_and_leaves_the_rest
    what_does_not_finish_in_time_is_handed_back_at_once
    an_idle_worker_stops_soon
    a_queue_that_does_not_exist_ends_the_worker
}

// What follows needs calls to fail or to be counted, which only the simulator does.

#[tokio::test]
async fn a_message_stays_while_the_next_queue_takes_nothing() {
    let sqs = Sqs::simulated().await;
    let (queue, next) = (sqs.queue("q", &[]).await, sqs.queue("next", &[]).await);
    queue.publish(&numbered(1), &Trace::default()).await.unwrap();
    sqs.simulator().faults().order("SendMessageBatch", When::Always, Fault::DropEntry);
    let with = With { next: Some(next.clone()), ..With::default() };
    let running =
        start(&queue, with, |received, _| async move { Ok(vec![received.body.clone()].into()) }.boxed());
    eventually("failed publish", async || sqs.simulator().count("SendMessageBatch") >= 5).await;
    assert_eq!(sqs.simulator().count("DeleteMessageBatch"), 0);
    assert_eq!(sqs.depth(&next).await, (0, 0));
    sqs.simulator().faults().clear();
    eventually("end", async || sqs.depth(&queue).await == (0, 0)).await;
    running.stop().await;
    assert_eq!(sqs.bodies(&next).await, numbered(1));
}

#[tokio::test]
async fn a_message_that_is_delivered_twice_is_handled_twice_with_one_id() {
    let sqs = Sqs::simulated().await;
    let (queue, next) = (sqs.queue("q", &[]).await, sqs.queue("next", &[]).await);
    queue.publish(&numbered(3), &Trace::default()).await.unwrap();
    sqs.simulator().faults().order("ReceiveMessage", When::Nth(2), Fault::DeliverTwice);
    let seen = Seen::default();
    let seeing = seen.clone();
    let with = With { next: Some(next.clone()), ..With::default() };
    let running = start(&queue, with, move |received, _| {
        seeing.add(received);
        // As long as it takes for the second delivery to be under way.
        async move {
            sleep(Duration::from_millis(500)).await;
            Ok(vec![format!("{} {}", received.id, received.body)].into())
        }
        .boxed()
    });
    eventually("end", async || sqs.depth(&queue).await == (0, 0)).await;
    running.stop().await;
    let mut times: Vec<_> = seen.times().into_values().collect();
    times.sort_unstable();
    assert_eq!(times, [1, 1, 2]);
    let bodies = sqs.bodies(&next).await;
    assert_eq!(bodies.len(), 4);
    assert_eq!(bodies.iter().collect::<BTreeSet<_>>().len(), 3, "the repeat says the same: {bodies:?}");
}

#[tokio::test]
async fn no_more_is_received_than_can_be_worked_on() {
    let sqs = Sqs::simulated().await;
    let queue = sqs.queue("q", &[]).await;
    queue.publish(&numbered(20), &Trace::default()).await.unwrap();
    let (in_work, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let highest = Arc::clone(&most);
    let running = start(&queue, With { concurrency: 3, ..With::default() }, move |_, _| {
        let now = in_work.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        let in_work = Arc::clone(&in_work);
        async move {
            sleep(Duration::from_millis(100)).await;
            in_work.fetch_sub(1, Ordering::SeqCst);
            Ok(Output::default())
        }
        .boxed()
    });
    eventually("end", async || sqs.depth(&queue).await == (0, 0)).await;
    running.stop().await;
    assert_eq!(highest.load(Ordering::SeqCst), 3);
    let calls = sqs.simulator().calls();
    let asked: Vec<_> = calls
        .iter()
        .filter(|call| call.operation == "ReceiveMessage")
        .map(|call| call.parameters["MaxNumberOfMessages"].as_u64().unwrap())
        .collect();
    assert!(!asked.is_empty() && asked.iter().all(|most| (1..=3).contains(most)), "{asked:?}");
}

#[tokio::test]
async fn an_outage_of_sqs_is_waited_out_and_shown() {
    let sqs = Sqs::simulated().await;
    let queue = sqs.queue("q", &[]).await;
    let seen = Seen::default();
    let seeing = seen.clone();
    let running = start(&queue, With::default(), move |received, _| {
        seeing.add(received);
        async { Ok(Output::default()) }.boxed()
    });
    running.is_ready(true).await;
    // The receive that is under way is not struck: a message ends it.
    sqs.simulator().faults().order("ReceiveMessage", When::Always, Fault::Reset);
    queue.publish(&numbered(1), &Trace::default()).await.unwrap();
    running.is_ready(false).await;
    let report = running.health.report();
    assert!(report.live, "a daemon that waits is alive: {report:?}");
    assert!(report.stages[0].error.as_deref().unwrap().contains("cannot be reached"), "{report:?}");
    queue.publish(&numbered(3), &Trace::default()).await.unwrap();
    sqs.simulator().faults().clear();
    running.is_ready(true).await;
    eventually("end", async || sqs.depth(&queue).await == (0, 0)).await;
    assert_eq!(seen.times().into_keys().collect::<Vec<_>>(), numbered(3));
    running.stop().await;
}

/// A queue at an address where nothing listens yet, and that address.
fn queue_of_nobody() -> (Queue, SocketAddr) {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Aws::at(&format!("http://{address}"), "us-east-1").sqs;
    let url = format!("http://{address}/{}/q", Fleet::default().account);
    (Queue::at(client, url, Rng::seeded(1)), address)
}

#[tokio::test]
async fn a_worker_that_starts_before_sqs_waits_for_it() {
    let (queue, address) = queue_of_nobody();
    let running = start(&queue, With::default(), |_, _| async { Ok(Output::default()) }.boxed());
    eventually("error", async || running.health.report().stages.iter().any(|stage| stage.error.is_some()))
        .await;
    let report = running.health.report();
    assert!(report.live && !report.ready, "{report:?}");
    let spec = QueueSpec { name: "q".to_owned(), ..QueueSpec::default() };
    let options = Options { listen: Some(address), queues: vec![spec], ..Options::default() };
    let _sim = Simulator::start(Fleet::default(), options).await.unwrap();
    running.is_ready(true).await;
    queue.publish(&numbered(1), &Trace::default()).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(running.stop().await.done, 1);
}

#[tokio::test]
async fn a_worker_can_be_stopped_while_sqs_is_away() {
    let (queue, _) = queue_of_nobody();
    let running = start(&queue, With::default(), |_, _| async { Ok(Output::default()) }.boxed());
    eventually("error", async || running.health.report().stages.iter().any(|stage| stage.error.is_some()))
        .await;
    assert_eq!(running.stop().await, Served::default());
}
