//! The ledger under the whole daemon: one outcome for each container. Whatever goes wrong on the way is for `faults`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use notifier::aws::Aws;
use notifier::daemon;
use notifier::deliver::DeliveryOptions;
use notifier::ledger::{Ledger, Recorded};
use notifier::model::{Cause, Outcome};
use notifier::pipeline::{Ctx, QueueName, StageName};
use notifier::queue::{Queue, Trace};
use notifier::report::Counts;
use simulator::Simulator;
use simulator::faults::{Fault, When};
use simulator::fleet::HealthStatus;
use tempfile::TempDir;
use testkit::fleets;
use testkit::sqs::{SOON, Sqs};
use testkit::stages::{Queues, Stages, file_ledger, workers};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::{BroadcastId, DeliveryId};

/// The body of the request for the broadcast `b-1`.
const ASK: &str = r#"{"cluster":"prod","event":{"id":"b-1"}}"#;

fn service(name: &str, tasks: usize, container: &str) -> String {
    fleets::service(name, tasks, "/v1.0/notify", container)
}

/// A fleet, its queues, and a ledger in a file.
struct Setup {
    sqs: Sqs,
    queues: Queues,
    ctx: Arc<Ctx>,
    ledger: Ledger,
    _directory: TempDir,
}

impl Setup {
    async fn new(services: &[String]) -> Self {
        let sim = fleets::start(&fleets::fleet(services), Vec::new()).await;
        let aws = Aws::at(&sim.url(), "us-east-1");
        let (ledger, directory) = file_ledger().await;
        let options = DeliveryOptions {
            wait_first: Duration::from_millis(20),
            wait_most: Duration::from_millis(50),
            ..DeliveryOptions::default()
        };
        let ctx = Stages { options, ..Stages::default() }.on(&aws, &ledger);
        let sqs = Sqs::of(sim);
        let queues = Queues::from([
            (QueueName::Observer, sqs.with_dead_letters("observer", 5, 10).await.0),
            (QueueName::Services, sqs.with_dead_letters("services", 5, 10).await.0),
            (QueueName::Tasks, sqs.with_dead_letters("tasks", 5, 10).await.0),
        ]);
        Self { sqs, queues, ctx: Arc::new(ctx), ledger, _directory: directory }
    }

    /// From now on, no delivery is handed back to its queue: its horizon is over at once.
    fn give_up_at_once(&mut self) {
        let options = DeliveryOptions { horizon: Duration::ZERO, ..DeliveryOptions::default() };
        let aws = Aws::at(&self.sim().url(), "us-east-1");
        self.ctx = Arc::new(Stages { options, ..Stages::default() }.on(&aws, &self.ledger));
    }

    fn sim(&self) -> &Simulator {
        self.sqs.simulator()
    }

    async fn publish(&self, body: &str) {
        self.queues[&QueueName::Observer].publish(&[body.to_owned()], &Trace::default()).await.unwrap();
    }

    async fn recorded(&self) -> Option<Recorded> {
        self.ledger.read(&id()).await.unwrap()
    }

    /// Lets the daemon run until `condition`, then stops it.
    async fn run_until(&self, stages: &[StageName], condition: impl AsyncFn() -> bool) {
        let shutdown = CancellationToken::new();
        let workers = workers(&self.ctx, &self.queues, stages);
        let served = tokio::spawn(daemon::serve(workers, shutdown.clone()));
        let until = Instant::now() + SOON;
        while !condition().await {
            assert!(Instant::now() < until, "it has not come to that: {:#?}", self.recorded().await);
            sleep(Duration::from_millis(20)).await;
        }
        shutdown.cancel();
        timeout(SOON, served).await.unwrap().unwrap().unwrap();
    }

    async fn is_complete(&self) -> bool {
        self.recorded().await.is_some_and(|recorded| recorded.is_complete)
    }

    /// Lets the daemon run until the broadcast has ended and no message is left, and answers with the record.
    async fn run_to_the_end(&self) -> Recorded {
        let has_ended = async || self.is_complete().await && self.is_drained().await;
        self.run_until(&StageName::BROADCAST, has_ended).await;
        self.recorded().await.unwrap()
    }

    async fn is_drained(&self) -> bool {
        for queue in self.queues.values() {
            if self.sqs.depth(queue).await != (0, 0) {
                return false;
            }
        }
        true
    }
}

fn id() -> BroadcastId {
    BroadcastId::try_from("b-1".to_owned()).unwrap()
}

#[tokio::test]
async fn a_message_that_keeps_the_stages_warm_passes_through_all_of_them_and_leaves_nothing() {
    let setup = Setup::new(&[service("checkout", 1, "")]).await;
    setup.sim().reset_calls();
    setup.publish(r#"{"keep_warm":true}"#).await;
    let calls = |operation: &str| setup.sim().count(operation);
    let passed = async || calls("DeleteMessageBatch") == 3 && setup.is_drained().await;
    setup.run_until(&StageName::BROADCAST, passed).await;
    assert_eq!(calls("SendMessageBatch"), 3, "published, and passed on twice: nothing in the dead letters");
    assert_eq!((calls("ListServices"), calls("ListTasks"), setup.sim().received().len()), (0, 0, 0));
    let history = setup.ledger.recent(10).await.unwrap();
    assert!(history.is_empty(), "{history:?}");
}

#[tokio::test]
async fn messages_of_a_broadcast_are_a_group_on_the_inner_queues() {
    let setup = Setup::new(&[service("checkout", 2, "")]).await;
    setup.publish(ASK).await;
    let tasks = &setup.queues[&QueueName::Tasks];
    setup
        .run_until(&[StageName::Services, StageName::Tasks], async || setup.sqs.depth(tasks).await == (2, 0))
        .await;
    let call = setup.sqs.client.receive_message().queue_url(tasks.url()).max_number_of_messages(10);
    let call = call.message_system_attribute_names(MessageSystemAttributeName::MessageGroupId);
    let messages = call.send().await.unwrap().messages.unwrap();
    let group = |message: &Message| {
        message.attributes.as_ref()?.get(&MessageSystemAttributeName::MessageGroupId).cloned()
    };
    let groups: Vec<_> = messages.iter().filter_map(group).collect();
    assert_eq!(groups, ["b-1", "b-1"]);
}

#[tokio::test]
async fn every_container_has_one_outcome_in_the_ledger() {
    let fleet = [
        service("checkout", 3, ""),
        service("audit", 1, "answers = [{ status = 403 }]"),
        service("catalog", 1, "").replace("'8080', NOTIFY", "'eighty', NOTIFY"),
    ];
    let setup = Setup::new(&fleet).await;
    setup.publish(ASK).await;
    let recorded = setup.run_to_the_end().await;
    let expected = Counts { delivered: 3, rejected: 1, skipped: 1, ..Counts::default() };
    assert_eq!(recorded.report.counts(), expected);
    let broadcast = recorded.broadcast.unwrap();
    assert_eq!((broadcast.cluster.as_str(), broadcast.event.id()), ("prod", &id()));
    assert_eq!(setup.ledger.recent(10).await.unwrap(), [broadcast]);
}

#[tokio::test]
async fn whoever_was_notified_is_not_called_again_however_often_each_stage_runs() {
    let setup = Setup::new(&[service("checkout", 5, "")]).await;
    for _ in 0..3 {
        setup.publish(ASK).await;
    }
    setup.sim().faults().order("ReceiveMessage", When::Every(2), Fault::DeliverTwice);
    setup.run_to_the_end().await;
    setup.publish(ASK).await;
    let recorded = setup.run_to_the_end().await;
    assert_eq!(recorded.report.counts(), Counts { delivered: 5, ..Counts::default() });
    let calls = setup.sim().received();
    let ids: std::collections::BTreeSet<_> =
        calls.iter().map(|call| call.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 5, "a repeat without a record has the same id");
}

#[tokio::test]
async fn a_stage_that_was_killed_before_its_delete_queues_nobody_again() {
    let setup = Setup::new(&[service("checkout", 7, "")]).await;
    setup.publish(ASK).await;
    let [services, tasks] = [QueueName::Services, QueueName::Tasks].map(|name| &setup.queues[&name]);
    setup.run_until(&[StageName::Services], async || setup.sqs.depth(services).await == (1, 0)).await;
    // No delete is ever answered, as if the process were killed before each.
    setup.sim().faults().order("DeleteMessageBatch", When::Every(1), Fault::Delay(Duration::from_hours(1)));
    setup.run_until(&[StageName::Tasks], async || setup.sqs.depth(tasks).await == (7, 0)).await;
    setup.sim().faults().clear();
    let is_back = async || setup.sqs.depth(services).await == (1, 0);
    let until = Instant::now() + SOON;
    while !is_back().await {
        assert!(Instant::now() < until, "the message did not come back");
        sleep(Duration::from_millis(50)).await;
    }
    setup.run_until(&[StageName::Tasks], async || setup.sqs.depth(services).await == (0, 0)).await;
    assert_eq!(setup.sqs.depth(tasks).await, (7, 0), "each task has one message");
    // A new request for the same broadcast calls the containers that were not notified.
    setup.sqs.drain(tasks).await;
    setup.publish(ASK).await;
    let recorded = setup.run_to_the_end().await;
    assert_eq!(recorded.report.counts(), Counts { delivered: 7, ..Counts::default() });
}

#[tokio::test]
async fn a_delivery_whose_quick_tries_fail_comes_back_through_the_queue() {
    let failing = "answers = [{ status = 503 }, { status = 503 }, { status = 503 }, { status = 503 }, { status = 200 }]";
    let setup = Setup::new(&[service("slow", 1, failing), service("checkout", 2, "")]).await;
    setup.publish(ASK).await;
    let recorded = setup.run_to_the_end().await;
    let counts = recorded.report.counts();
    assert_eq!(counts, Counts { delivered: 3, ..Counts::default() }, "{:?}", recorded.report.entries());
    let slow = recorded.report.entries().iter().find(|entry| entry.member.service == "slow").unwrap();
    assert_eq!(slow.attempts, Some(5), "over both rounds");
}

#[tokio::test]
async fn a_container_that_was_starting_at_discovery_is_called_once_it_is_healthy() {
    let setup = Setup::new(&[service("web", 2, "health_check = true\nhealth = 'UNKNOWN'")]).await;
    let tasks = setup.sim().tasks();
    setup.publish(ASK).await;
    let steps = std::cell::Cell::new(0);
    let ended = async || {
        // Each was looked at in stage 2, and again in stage 3: the first becomes healthy, and later the other unhealthy.
        if steps.get() == 0 && setup.sim().count("DescribeTasks") > 1 {
            assert!(setup.sim().received().is_empty(), "no task was called without a record");
            setup.sim().set_health(&tasks[0].arn, HealthStatus::Healthy).unwrap();
            setup.sim().set_health(&tasks[1].arn, HealthStatus::Unhealthy).unwrap();
            steps.set(1);
        }
        let recorded = setup.recorded().await;
        recorded.is_some_and(|recorded| recorded.report.counts().delivered == 1)
    };
    setup.run_until(&StageName::BROADCAST, ended).await;
    let recorded = setup.recorded().await.unwrap();
    assert_eq!(recorded.report.counts().total(), 2, "one outcome or none yet for each: {recorded:#?}");
    let received = setup.sim().received();
    assert!(!received.is_empty() && received.iter().all(|call| call.task == tasks[0].arn), "{received:#?}");
}

#[tokio::test]
async fn a_container_that_stays_without_a_health_status_ends_as_one_skip() {
    let mut setup = Setup::new(&[service("web", 1, "health_check = true\nhealth = 'UNKNOWN'")]).await;
    setup.give_up_at_once();
    setup.publish(ASK).await;
    let recorded = setup.run_to_the_end().await;
    assert_eq!(recorded.report.counts(), Counts { skipped: 1, ..Counts::default() });
    let entry = &recorded.report.entries()[0];
    assert_eq!((entry.reason.as_deref(), entry.cause), (Some("its health is UNKNOWN"), Some(Cause::Health)));
    assert_eq!(setup.sim().received().len(), 0);
}

#[tokio::test]
async fn a_strangers_message_for_a_container_that_is_starting_belongs_to_the_broadcast_that_it_names() {
    let setup = Setup::new(&[service("web", 1, "health_check = true\nhealth = 'UNKNOWN'")]).await;
    let sim = setup.sim();
    setup.publish(ASK).await;
    // Stage 1 has recorded the broadcast, and stage 2 has not looked at it yet.
    let services = &setup.queues[&QueueName::Services];
    setup.run_until(&[StageName::Services], async || setup.sqs.depth(services).await == (1, 0)).await;

    let task = sim.tasks().remove(0).arn;
    let event = setup.recorded().await.unwrap().broadcast.unwrap().event;
    let message = serde_json::json!({
        "notify_task_arn": task, "cluster": "prod", "container": "app",
        "notify_me_host_address": "10.0.0.1", "notify_me_host_port": "1", "notify_me_api_uri": "/x",
        "broadcast": { "id": "b-1", "event": event },
    });
    let url = &setup.queues[&QueueName::Tasks].url();
    let message = serde_json::json!({ "QueueUrl": url, "MessageBody": message.to_string() });
    sim.sqs("SendMessage", message).await.unwrap();
    setup.run_until(&[StageName::Notify], async || sim.count("DescribeTasks") > 1).await;
    assert_eq!(sim.received().len(), 0, "its health is unknown yet");
    sim.set_health(&task, HealthStatus::Healthy).unwrap();
    setup.run_until(&[StageName::Notify], async || !sim.received().is_empty()).await;

    let expected = DeliveryId::derive(&id(), &task, "app");
    assert_eq!(sim.received()[0].header("webhook-id"), Some(expected.as_str()));
    let history = setup.ledger.recent(9).await.unwrap();
    assert_eq!(history.len(), 1, "it is no broadcast of its own: {history:?}");
}

#[tokio::test]
async fn nobody_is_called_at_the_address_of_a_task_that_stopped() {
    let hanging = "answers = [{ status = 503 }]";
    let setup =
        Setup::new(&[service("old", 1, hanging), service("new", 1, "").replace("NOTIFY_ME_API_URI", "X")])
            .await;
    setup.publish(ASK).await;
    let tasks = setup.sim().tasks();
    let arn = |service: &str| {
        tasks.iter().find(|task| task.service.as_deref() == Some(service)).unwrap().arn.clone()
    };
    let called = async || !setup.sim().received().is_empty();
    let calls_before = std::cell::Cell::new(None);
    let gone = async || {
        if calls_before.get().is_none() && called().await {
            setup.sim().move_address(&arn("old"), &arn("new")).await.unwrap();
            calls_before.set(Some(setup.sim().received().len()));
        }
        setup.is_complete().await
    };
    setup.run_until(&StageName::BROADCAST, gone).await;
    let recorded = setup.recorded().await.unwrap();
    let entry = recorded.report.entries().iter().find(|entry| entry.member.service == "old").unwrap();
    assert_eq!(entry.outcome, Some(Outcome::Gone), "{entry:?}");
    let strangers = setup.sim().received().into_iter().skip(calls_before.get().unwrap());
    assert_eq!(
        strangers.filter(|call| call.task == arn("new")).count(),
        0,
        "the task that took the address over"
    );
}

#[tokio::test]
async fn a_cancelled_broadcast_calls_nobody_any_more() {
    let setup = Setup::new(&[service("checkout", 3, "")]).await;
    // Stages 1 and 2 find the fleet, then the broadcast is cancelled.
    setup.publish(ASK).await;
    let tasks: &Queue = &setup.queues[&QueueName::Tasks];
    setup
        .run_until(&[StageName::Services, StageName::Tasks], async || setup.sqs.depth(tasks).await == (3, 0))
        .await;
    assert!(!setup.recorded().await.unwrap().is_complete);
    assert!(setup.ledger.cancel(&id(), "wrong cache".to_owned()).await.unwrap());
    assert!(!setup.ledger.cancel(&id(), "again".to_owned()).await.unwrap());
    // The earlier answer is cached for a second.
    sleep(Duration::from_millis(1_100)).await;
    let recorded = setup.run_to_the_end().await;
    assert_eq!(recorded.report.counts(), Counts { skipped: 3, ..Counts::default() });
    assert_eq!(recorded.cancelled.unwrap().reason, "wrong cache");
    assert!(setup.sim().received().is_empty());
}

#[tokio::test]
async fn a_scope_that_cannot_be_looked_at_is_a_failure_in_the_report() {
    let setup = Setup::new(&[service("checkout", 1, "")]).await;
    setup.publish(r#"{"cluster":"nowhere","event":{"id":"b-1"}}"#).await;
    let recorded = setup.run_to_the_end().await;
    assert_eq!(recorded.report.counts(), Counts { failed: 1, ..Counts::default() });
    let reason = recorded.report.entries()[0].reason.clone().unwrap();
    assert!(reason.contains("there is no cluster `nowhere`"), "{reason}");
}
