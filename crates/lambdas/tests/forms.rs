//! One suite of claims for every form of the notifier: `send` on the in-memory transport, the daemon and the functions on SQS.
//! The forms differ only in the transport, so each claim about received requests and the ledger is the same for all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName as System;
use lambdas::batch::Worker;
use lambdas::record::Batch;
use notifier::aws::Aws;
use notifier::base::Environment;
use notifier::daemon::Health;
use notifier::ledger::{self, Recorded, Use};
use notifier::model::Outcome;
use notifier::pipeline::send::SendError;
use notifier::pipeline::{STAGES, Senders, StageName};
use notifier::queue::{EventSourceMapping, Trace};
use notifier::report::Counts;
use notifier::settings::{Flags, Settings, Sources};
use notifier::{Notifier, Parts};
use simulator::Simulator;
use tempfile::TempDir;
use testkit::{fleets, lambda_event};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::{Broadcast, BroadcastId, Draft, ObserverMessage};

/// Longest wait for something that happens within seconds, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Every kind of container: one that accepts, refuses, fails, goes away, stops before the call, has a wrong label, opted
/// out, and one that recovers.
const FLEET: &[(&str, &str, &str)] = &[
    ("accepts", "/n", ""),
    ("refuses", "/n", "answers = [{ status = 403 }]"),
    ("fails", "/n", "answers = [{ status = 503 }]"),
    ("leaves", "/n", "answers = [{ status = 410 }]"),
    ("recovers", "/n", "answers = [{ status = 503 }, { status = 200 }]"),
    ("mislabelled", "no-slash", ""),
];

/// How the notifier runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Send,
    Daemon,
    Functions,
}

/// A fleet with queues, and a notifier with a ledger in a file.
struct Setup {
    form: Form,
    sim: Simulator,
    notifier: Notifier,
    stop: CancellationToken,
    _directory: TempDir,
}

fn fleet(services: &[(&str, &str, &str)]) -> String {
    let service = |(name, path, container): &(&str, &str, &str)| fleets::service(name, 2, path, container);
    let mut services: Vec<String> = services.iter().map(service).collect();
    services.push(
        "[[cluster.service]]\nname = 'other'\nlaunch_type = 'FARGATE'\n\
         [[cluster.service.container]]\nname = 'app'\nports = [8080]\n"
            .to_owned(),
    );
    fleets::fleet(&services)
}

impl Setup {
    async fn new(form: Form, services: &[(&str, &str, &str)]) -> Self {
        let sim = fleets::start(&fleet(services), fleets::stage_queues(5, &[])).await;
        let (url, directory) = (sim.url(), TempDir::new().unwrap());
        let queue = |name: &str| format!("{url}/111122223333/{name}");
        let environment: Environment = [
            ("NOTIFIER_ALLOW_NETWORKS", "127.0.0.0/8".to_owned()),
            ("NOTIFIER_LEDGER", format!("sqlite:{}", directory.path().join("ledger.db").display())),
            ("NOTIFIER_OBSERVER_QUEUE_URL", queue("observer")),
            ("NOTIFIER_SERVICES_QUEUE_URL", queue("services")),
            ("NOTIFIER_TASKS_QUEUE_URL", queue("tasks")),
            ("NOTIFIER_HORIZON_MINUTES", "0".to_owned()),
        ]
        .into_iter()
        .collect();
        let sources = Sources { flags: &Flags::new(), config: None, environment: &environment, needed: &[] };
        let (settings, _) = Settings::load(sources).unwrap();
        let aws = Aws::at(&url, "us-east-1");
        let ledger = ledger::open(&settings.ledger, &aws, Use::Call).await.unwrap();
        let stop = CancellationToken::new();
        let senders = Senders::new([simulator::user_id("simulator")]);
        let parts = Parts { ledger, senders, stop: stop.clone(), ..Parts::default() };
        Self { form, sim, notifier: Notifier::new(settings, aws, parts), stop, _directory: directory }
    }

    /// Makes the broadcast `b-1` to the whole cluster, and waits until it has ended.
    async fn broadcast(&self) -> Recorded {
        match self.form {
            Form::Send => {
                let report = self.send().await.unwrap();
                let recorded = self.recorded().await.unwrap();
                // As scripts read it: a record keeps times to the microsecond.
                let [returned, kept] =
                    [&report, &recorded.report].map(|report| serde_json::to_value(report.lines()).unwrap());
                assert_eq!(returned, kept);
            }
            Form::Daemon | Form::Functions => self.publish_until(async || self.has_ended().await).await,
        }
        self.recorded().await.unwrap()
    }

    async fn send(&self) -> Result<notifier::report::Report, SendError> {
        self.notifier.send(&scope(), &broadcast()).await
    }

    async fn publish(&self) {
        let mut message = scope();
        message.event = Some(Draft::from(broadcast().event));
        let body = wire::Message::to_body(&message).unwrap();
        let (observer, _) = self.notifier.stage(StageName::Services).unwrap();
        observer.publish(&[body], &Trace::default()).await.unwrap();
    }

    /// Publishes the event, and lets the stages work on the queues until `is_done`.
    async fn publish_until(&self, is_done: impl AsyncFn() -> bool) {
        self.publish().await;
        let shutdown = CancellationToken::new();
        let running = (self.form == Form::Daemon).then(|| {
            let (notifier, stop) = (self.notifier.clone(), shutdown.clone());
            tokio::spawn(async move { notifier.run(Health::default(), stop).await })
        });
        let until = Instant::now() + SOON;
        while !is_done().await {
            assert!(Instant::now() < until, "{:#?}", self.recorded().await);
            if self.form == Form::Functions {
                for stage in &STAGES {
                    self.invoke(stage.name).await;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
        shutdown.cancel();
        if let Some(running) = running {
            timeout(SOON, running).await.unwrap().unwrap().unwrap();
        }
    }

    /// Hands messages to the function of a stage, as Lambda's event source mapping does.
    async fn invoke(&self, stage: StageName) {
        let (source, work) = self.notifier.stage(stage).unwrap();
        let client = Aws::at(&self.sim.url(), "us-east-1").sqs;
        let call = client.receive_message().queue_url(source.url()).max_number_of_messages(10);
        let call = call.message_attribute_names("All").message_system_attribute_names(System::All);
        let Some(messages) = call.send().await.unwrap().messages else { return };
        let batch: Batch = serde_json::from_value(lambda_event::of(&messages)).unwrap();
        let worker = Worker { work, source: EventSourceMapping::new(source.clone()) };
        let answer = worker.run(&batch, Instant::now() + SOON).await.unwrap();
        let failed: Vec<_> =
            answer.batch_item_failures.iter().map(|one| one.item_identifier.clone()).collect();
        for message in messages {
            let id = message.message_id.unwrap();
            if failed.contains(&id) {
                continue;
            }
            let receipt = message.receipt_handle.unwrap();
            let delete = client.delete_message().queue_url(source.url()).receipt_handle(receipt);
            delete.send().await.unwrap_or_else(|error| panic!("{id}: {error:?}"));
        }
    }

    async fn recorded(&self) -> Option<Recorded> {
        self.notifier.ctx().ledger.read(&id()).await.unwrap()
    }

    async fn has_ended(&self) -> bool {
        self.recorded().await.is_some_and(|recorded| recorded.is_complete)
    }

    /// How many requests the tasks of each service received.
    fn received(&self) -> BTreeMap<String, usize> {
        let services: BTreeMap<_, _> =
            self.sim.tasks().into_iter().map(|task| (task.arn.clone(), task.service.clone())).collect();
        let mut received = BTreeMap::new();
        for call in self.sim.received() {
            *received.entry(services[&call.task].clone().unwrap_or_default()).or_default() += 1;
        }
        received
    }
}

fn id() -> BroadcastId {
    BroadcastId::try_from("b-1".to_owned()).unwrap()
}

fn scope() -> ObserverMessage {
    ObserverMessage::new("prod")
}

fn broadcast() -> Broadcast {
    let event = Draft::default().complete(&id(), std::time::SystemTime::UNIX_EPOCH).unwrap();
    Broadcast::new(event)
}

fn outcomes(recorded: &Recorded) -> BTreeMap<&str, Vec<Option<Outcome>>> {
    let mut outcomes = BTreeMap::<&str, Vec<_>>::new();
    for delivery in recorded.report.entries() {
        outcomes.entry(&delivery.member.service).or_default().push(delivery.outcome);
    }
    outcomes
}

/// Every container of a running task that opted in has one outcome, and the same in each form.
async fn every_container_has_its_outcome(form: Form) {
    let setup = Setup::new(form, FLEET).await;
    let recorded = setup.broadcast().await;
    let expected = [
        ("accepts", Outcome::Delivered),
        ("fails", Outcome::Failed),
        ("leaves", Outcome::Gone),
        ("mislabelled", Outcome::Skipped),
        ("recovers", Outcome::Delivered),
        ("refuses", Outcome::Rejected),
    ];
    let expected: BTreeMap<_, _> =
        expected.map(|(service, outcome)| (service, vec![Some(outcome); 2])).into();
    assert_eq!(outcomes(&recorded), expected);
    let received = setup.received();
    let calls = ["accepts", "leaves", "recovers", "refuses"].map(|service| received[service]);
    assert_eq!(calls, [2, 2, 4, 2], "no task is called more often than its answers ask for");
    assert_eq!(received["fails"], 6, "three attempts each");
    assert!(!received.contains_key("mislabelled") && !received.contains_key("other"));
}

/// A delivery keeps its id in all attempts.
async fn a_repeat_carries_the_same_id(form: Form) {
    let setup =
        Setup::new(form, &[("recovers", "/n", "answers = [{ status = 503 }, { status = 200 }]")]).await;
    setup.broadcast().await;
    let mut ids = BTreeMap::<String, Vec<String>>::new();
    for call in setup.sim.received() {
        ids.entry(call.task.clone()).or_default().push(call.header("webhook-id").unwrap().to_owned());
    }
    assert_eq!(ids.len(), 2);
    for (task, ids) in ids {
        assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "{task}");
    }
}

/// With a ledger, the same broadcast again calls no task that was notified.
async fn the_same_broadcast_again_calls_only_the_rest(form: Form) {
    let setup = Setup::new(
        form,
        &[("accepts", "/n", ""), ("refuses", "/n", "answers = [{ status = 403 }, { status = 200 }]")],
    )
    .await;
    let first = setup.broadcast().await.report.counts();
    assert_eq!(first, Counts { delivered: 2, rejected: 2, ..Counts::default() });
    match form {
        Form::Send => drop(setup.broadcast().await),
        // The broadcast has already ended, so its end does not show that the second run is done.
        Form::Daemon | Form::Functions => {
            let counts = async || setup.recorded().await.unwrap().report.counts();
            setup.publish_until(async || counts().await.delivered == 4).await;
        }
    }
    let recorded = setup.recorded().await.unwrap();
    assert_eq!(recorded.report.counts(), Counts { delivered: 4, ..Counts::default() });
    assert_eq!(setup.received()["accepts"], 2, "notified once, and not again");
}

/// A cancelled broadcast calls no task.
async fn a_cancelled_broadcast_calls_no_task(form: Form) {
    let setup = Setup::new(form, &[("accepts", "/n", "")]).await;
    setup.notifier.ctx().ledger.cancel(&id(), "a mistake".to_owned()).await.unwrap();
    match form {
        Form::Send => {
            let error = setup.send().await.unwrap_err();
            assert!(matches!(&error, SendError::Cancelled { reason } if reason == "a mistake"), "{error:?}");
        }
        Form::Daemon | Form::Functions => setup.publish_until(async || setup.has_ended().await).await,
    }
    assert_eq!(setup.sim.received().len(), 0);
}

macro_rules! forms {
    ($($claim:ident)*) => {
        mod send { $(#[tokio::test] async fn $claim() { super::$claim(super::Form::Send).await; })* }
        mod daemon { $(#[tokio::test] async fn $claim() { super::$claim(super::Form::Daemon).await; })* }
        mod functions { $(#[tokio::test] async fn $claim() { super::$claim(super::Form::Functions).await; })* }
    };
}

forms! {
    every_container_has_its_outcome
    a_repeat_carries_the_same_id
    the_same_broadcast_again_calls_only_the_rest
    a_cancelled_broadcast_calls_no_task
}

#[tokio::test]
async fn a_send_that_is_stopped_leaves_a_broadcast_that_is_not_complete() {
    let setup = Setup::new(Form::Send, &[("silent", "/n", "answers = [{ hang = true }]")]).await;
    let (sending, ()) = tokio::join!(setup.send(), async {
        while setup.sim.received().len() < 2 {
            sleep(Duration::from_millis(20)).await;
        }
        setup.stop.cancel();
    });
    let counts = sending.unwrap().counts();
    assert_eq!(counts.total() - counts.pending, 0, "{counts:?}");
    assert!(!setup.recorded().await.unwrap().is_complete);
}
