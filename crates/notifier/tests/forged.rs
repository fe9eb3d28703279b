//! Messages on the inner queues that no stage sent: of an attacker, of the proof of concept, of a person's redrive.
//!
//! An untrusted sender can at most request a broadcast of its own. The stages trust their own identity (`simulator`);
//! messages without credentials, or with other ones, are untrusted.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_sqs::config::Credentials;
use notifier::aws::{Aws, identity};
use notifier::base::Environment;
use notifier::base::Rng;
use notifier::daemon;
use notifier::deliver::{Auth, AuthSettings, Signing};
use notifier::ledger::Ledger;
use notifier::model::Outcome;
use notifier::pipeline::redrive::{self, Action, Filter};
use notifier::pipeline::{self, Ctx, QueueName, Senders, StageName};
use notifier::queue::{Message, Queue};
use notifier::secrets::{SecretRef, Vault};
use serde_json::{Value, json};
use simulator::{Received, Simulator};
use tempfile::TempDir;
use testkit::fleets;
use testkit::sqs::{SOON, Sqs};
use testkit::stages::{Queues, Stages, file_ledger, workers};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::{BroadcastId, DeliveryId};

/// Two services; the second one's only task refuses its first call.
/// Two services; the second refuses its first call.
fn fleet() -> String {
    let refusing = "answers = [{ status = 403 }, { status = 200 }]";
    fleets::fleet(&[
        fleets::service("checkout", 2, "/v1.0/notify", ""),
        fleets::service("audit", 1, "/audit", refusing),
    ])
}

const TOKEN: &str = "Bearer of-the-fleet";

/// The broadcast that is still to come.
const TO_COME: &str =
    r#"{"cluster":"prod","event":{"id":"to-come","type":"release","time":"2026-11-24T09:30:00Z"}}"#;

/// A listener at an address that an attacker chooses, which counts connections.
struct Listener {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Listener {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, connections }
    }
}

/// A fleet with its queues, stages that sign and send a token, and a ledger.
struct Setup {
    sqs: Sqs,
    queues: Queues,
    dead: Queue,
    ctx: Arc<Ctx>,
    ledger: Ledger,
    _directory: TempDir,
}

impl Setup {
    async fn new() -> Self {
        let sim = fleets::start(&fleet(), Vec::new()).await;
        let aws = Aws::at(&sim.url(), "us-east-1");
        let (ledger, directory) = file_ledger().await;
        let own = identity::unique_id(&aws).await.unwrap();
        let stages = Stages { auth: secrets().await, senders: Senders::new([own]), ..Stages::default() };
        let ctx = stages.on(&aws, &ledger);
        let sqs = Sqs::of(sim);
        let (tasks, dead) = sqs.with_dead_letters("tasks", 5, 10).await;
        let queues = Queues::from([
            (QueueName::Observer, sqs.with_dead_letters("observer", 5, 10).await.0),
            (QueueName::Services, sqs.with_dead_letters("services", 5, 10).await.0),
            (QueueName::Tasks, tasks),
        ]);
        Self { sqs, queues, dead, ctx: Arc::new(ctx), ledger, _directory: directory }
    }

    fn sim(&self) -> &Simulator {
        self.sqs.simulator()
    }

    fn queue(&self, stage: StageName) -> &Queue {
        &self.queues[&stage.stage().source]
    }

    /// An untrusted sender sends these to the queue of a stage, and the daemon runs until all queues are empty.
    async fn stranger_sends(&self, stage: StageName, body: &Value, attributes: Value) {
        let url = self.queue(stage).url();
        let message =
            json!({ "QueueUrl": url, "MessageBody": body.to_string(), "MessageAttributes": attributes });
        self.sim().sqs("SendMessage", message).await.unwrap();
        self.run().await;
    }

    async fn run(&self) {
        let shutdown = CancellationToken::new();
        let workers = workers(&self.ctx, &self.queues, &StageName::BROADCAST);
        let served = tokio::spawn(daemon::serve(workers, shutdown.clone()));
        let until = Instant::now() + SOON;
        while !self.is_drained().await {
            assert!(Instant::now() < until, "messages are left: {:?}", self.sim().received());
            sleep(Duration::from_millis(20)).await;
        }
        shutdown.cancel();
        timeout(SOON, served).await.unwrap().unwrap().unwrap();
    }

    async fn is_drained(&self) -> bool {
        for stage in [StageName::Services, StageName::Tasks, StageName::Notify] {
            if self.sqs.depth(self.queue(stage)).await != (0, 0) {
                return false;
            }
        }
        true
    }

    /// The tasks of a service.
    fn tasks(&self, service: &str) -> Vec<String> {
        let tasks = self.sim().tasks().into_iter();
        tasks.filter(|task| task.service.as_deref() == Some(service)).map(|task| task.arn).collect()
    }

    /// A message of the tasks queue for a task at an attacker's address, with more fields.
    fn task_message(task: &str, at: SocketAddr, more: &Value) -> Value {
        let mut message = json!({
            "notify_task_arn": task,
            "notify_me_host_address": at.ip().to_string(),
            "notify_me_host_port": at.port().to_string(),
            "notify_me_api_uri": "/admin/shutdown",
        });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    }

    /// The outcome of each delivery of a broadcast in the ledger.
    async fn outcomes(&self, broadcast: &str) -> Option<Vec<Option<Outcome>>> {
        let recorded = self.ledger.read(&id(broadcast)).await.unwrap()?;
        Some(recorded.report.entries().iter().map(|entry| entry.outcome).collect())
    }

    /// Publishes the broadcast that was to come: both tasks of `checkout` hear it, and are recorded.
    async fn all_are_notified_of_what_was_to_come(&self) {
        let before = self.sim().received().len();
        let body: Value = serde_json::from_str(TO_COME).unwrap();
        self.stranger_sends(StageName::Services, &body, json!({})).await;
        let calls: Vec<Received> = self.sim().received().split_off(before);
        for task in self.tasks("checkout") {
            let expected = DeliveryId::derive(&id("to-come"), &task, "app");
            let told = calls.iter().filter(|call| call.header("webhook-id") == Some(expected.as_str()));
            assert_eq!(told.filter(|call| call.task == task).count(), 1, "{calls:?}");
        }
        let recorded = self.ledger.read(&id("to-come")).await.unwrap().unwrap();
        let entries = recorded.report.entries();
        assert_eq!(entries.len(), 3, "{entries:?}");
        let mut of_checkout = entries.iter().filter(|entry| entry.member.service == "checkout");
        assert!(of_checkout.all(|entry| entry.outcome == Some(Outcome::Delivered)), "{entries:?}");
    }
}

/// The secrets of the fleet: a key, and a header that every task expects.
async fn secrets() -> Auth {
    let pairs = [
        ("KEY", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("HEADERS", "Authorization: Bearer of-the-fleet"),
    ];
    let environment: Environment = pairs.into_iter().collect();
    let options = AuthSettings {
        signing: Signing::By(vec![SecretRef::Env("KEY".to_owned())]),
        headers: Some(SecretRef::Env("HEADERS".to_owned())),
        ..AuthSettings::default()
    };
    Auth::load(&options, &Vault::new(environment, None)).await.unwrap()
}

fn id(text: &str) -> BroadcastId {
    BroadcastId::try_from(text.to_owned()).unwrap()
}

/// The broadcast that is to come, as a message of an inner queue would carry it.
fn to_come() -> Value {
    json!({ "id": "to-come", "event": {
        "specversion": "1.0", "id": "to-come", "source": "ecs-task-notifier", "type": "release", "time": "2026-11-24T09:30:00Z",
    } })
}

#[tokio::test]
async fn a_stranger_chooses_neither_address_nor_port_nor_method_nor_path_nor_whose_keys_sign() {
    let setup = Setup::new().await;
    let listener = Listener::start().await;
    let task = setup.tasks("checkout").remove(0);
    let forged = Setup::task_message(
        &task,
        listener.address,
        &json!({ "method": "GET", "scheme": "http", "container": "app", "service": "audit", "cluster": "prod" }),
    );
    setup.stranger_sends(StageName::Notify, &forged, json!({})).await;
    assert_eq!(listener.connections.load(Ordering::SeqCst), 0, "the stranger's address");
    let calls = setup.sim().received();
    let call = &calls[0];
    assert_eq!((calls.len(), &call.task), (1, &task), "where ECS says that the task is");
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/v1.0/notify"));
    assert_eq!(call.header("authorization"), Some(TOKEN));
    let event: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(event["ecsservice"], "checkout", "{event}");
}

#[tokio::test]
async fn whom_ecs_does_not_know_nobody_calls() {
    let setup = Setup::new().await;
    let listener = Listener::start().await;
    let known = setup.tasks("checkout").remove(0);
    let (start, _) = known.rsplit_once('/').unwrap();
    let unknown = format!("{start}/0123456789abcdef0123456789abcdef");
    for (task, more) in [
        (unknown.as_str(), json!({ "container": "app", "cluster": "prod" })),
        (unknown.as_str(), json!({ "broadcast": to_come() })),
        (known.as_str(), json!({ "container": "another", "cluster": "prod", "broadcast": to_come() })),
        ("arn:t", json!({})),
    ] {
        let forged = Setup::task_message(task, listener.address, &more);
        let url = setup.queue(StageName::Notify).url();
        let message = json!({ "QueueUrl": url, "MessageBody": forged.to_string() });
        setup.sim().sqs("SendMessage", message).await.unwrap();
    }
    let shutdown = CancellationToken::new();
    let workers = workers(&setup.ctx, &setup.queues, &StageName::BROADCAST);
    let served = tokio::spawn(daemon::serve(workers, shutdown.clone()));
    // One is no container of its task, which may still come: it is tried again for ten minutes.
    let (until, tasks) = (Instant::now() + SOON, setup.queue(StageName::Notify));
    while setup.sqs.depth(tasks).await != (0, 1) {
        assert!(Instant::now() < until, "{:?}", setup.sqs.depth(tasks).await);
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_secs(2)).await;
    shutdown.cancel();
    timeout(SOON, served).await.unwrap().unwrap().unwrap();
    assert_eq!(listener.connections.load(Ordering::SeqCst), 0);
    assert_eq!(setup.sim().received().len(), 0);
    assert_eq!(setup.outcomes("to-come").await, None);
}

#[tokio::test]
async fn a_broadcast_to_come_cannot_be_forged_on_the_tasks_queue() {
    let setup = Setup::new().await;
    let listener = Listener::start().await;
    for task in setup.tasks("checkout") {
        let more = json!({ "container": "app", "cluster": "prod", "broadcast": to_come() });
        let forged = Setup::task_message(&task, listener.address, &more);
        let attributes = json!({
            "message_id": { "DataType": "String", "StringValue": "to-come" },
            "sent": { "DataType": "String", "StringValue": "1795512600000" },
            "senders": { "DataType": "String", "StringValue": simulator::user_id("simulator") },
        });
        setup.stranger_sends(StageName::Notify, &forged, attributes).await;
    }
    assert_eq!(setup.outcomes("to-come").await, None, "nothing of it is recorded");
    setup.all_are_notified_of_what_was_to_come().await;
}

#[tokio::test]
async fn a_broadcast_to_come_cannot_be_forged_on_the_services_queue() {
    let setup = Setup::new().await;
    let forged = json!({
        "cluster": "prod", "service": "checkout",
        "notify_me_container_port": "8080", "notify_me_api_uri": "/v1.0/notify",
        "broadcast": to_come(),
    });
    setup.stranger_sends(StageName::Tasks, &forged, json!({})).await;
    assert_eq!(setup.outcomes("to-come").await, None, "nothing of it is recorded");
    assert_eq!(setup.sim().received().len(), 2, "it is a broadcast of its own");
    setup.all_are_notified_of_what_was_to_come().await;
}

#[tokio::test]
async fn a_forged_message_that_fails_is_no_truer_when_somebody_who_is_trusted_sends_it_back() {
    let setup = Setup::new().await;
    let listener = Listener::start().await;
    let task = setup.tasks("audit").remove(0);
    let more = json!({ "container": "app", "cluster": "prod", "broadcast": to_come() });
    let forged = Setup::task_message(&task, listener.address, &more);
    setup.stranger_sends(StageName::Notify, &forged, json!({})).await;
    assert_eq!(setup.sqs.depth(&setup.dead).await, (1, 0), "the task refused it");
    // With the credentials of the stages themselves.
    let source = setup.queue(StageName::Notify).clone();
    let (filter, action) = (Filter::default(), Action::Redrive);
    let redrive = redrive::run(StageName::Notify, source, &filter, &action, &setup.ledger).await.unwrap();
    assert_eq!(redrive.found.len(), 1);
    setup.run().await;
    let ids: Vec<_> =
        setup.sim().received().iter().map(|call| call.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1], "the same broadcast of its own");
    assert_ne!(ids[0], DeliveryId::derive(&id("to-come"), &task, "app").as_str());
    assert_eq!(setup.outcomes("to-come").await, None);
    setup.all_are_notified_of_what_was_to_come().await;
}

#[tokio::test]
async fn messages_of_the_proof_of_concept_work_on_all_three_queues_whoever_sends_them() {
    let service = json!({
        "cluster": "prod", "service": "checkout",
        "notify_me_container_port": "8080", "notify_me_api_uri": "/v1.0/notify",
    });
    let setup = Setup::new().await;
    let endpoint =
        setup.sim().tasks().into_iter().find(|task| task.service.as_deref() == Some("checkout")).unwrap();
    let address = endpoint.endpoints[0].address;
    let task = json!({
        "notify_task_arn": endpoint.arn,
        "notify_me_host_address": address.ip().to_string(),
        "notify_me_host_port": address.port().to_string(),
        "notify_me_api_uri": "/v1.0/notify",
    });
    for (stage, body, calls) in [
        (StageName::Services, json!({ "cluster": "prod" }), 3),
        (StageName::Tasks, service, 2),
        (StageName::Notify, task, 1),
    ] {
        let before = setup.sim().received().len();
        setup.stranger_sends(stage, &body, json!({})).await;
        let received = setup.sim().received().split_off(before);
        assert_eq!(received.len(), calls, "{stage:?}: {received:?}");
    }
    let history = setup.ledger.recent(9).await.unwrap();
    assert_eq!(history.len(), 3, "each is a broadcast of its own: {history:?}");
    assert!(history.iter().all(|one| one.cluster == "prod"), "{history:?}");
}

#[tokio::test]
async fn a_person_whom_nobody_named_sends_letters_back_with_the_ids_that_they_had() {
    let setup = Setup::new().await;
    let body: Value = serde_json::from_str(TO_COME).unwrap();
    setup.stranger_sends(StageName::Services, &body, json!({})).await;
    let refused = async || setup.outcomes("to-come").await.unwrap().contains(&Some(Outcome::Rejected));
    assert!(refused().await);
    let person = Credentials::new("person", "secret", None, None, "test");
    let config = setup.sqs.client.config().to_builder().credentials_provider(person).build();
    let client = aws_sdk_sqs::Client::from_conf(config);
    let source = Queue::at(client, setup.queue(StageName::Notify).url(), Rng::seeded(1));
    let (filter, action) = (Filter::default(), Action::Redrive);
    let redrive = redrive::run(StageName::Notify, source, &filter, &action, &setup.ledger).await.unwrap();
    assert_eq!(redrive.found.len(), 1);
    setup.run().await;
    let task = setup.tasks("audit").remove(0);
    let calls = setup.sim().received();
    let ids: Vec<_> =
        calls.iter().filter(|call| call.task == task).map(|call| call.header("webhook-id")).collect();
    let expected = DeliveryId::derive(&id("to-come"), &task, "app");
    assert_eq!(ids, [Some(expected.as_str()); 2]);
    assert_eq!(setup.outcomes("to-come").await.unwrap(), [Some(Outcome::Delivered); 3]);
}

#[tokio::test]
async fn a_known_part_that_a_stranger_changes_takes_nobody_for_stopped() {
    let setup = Setup::new().await;
    let body: Value = serde_json::from_str(TO_COME).unwrap();
    setup.stranger_sends(StageName::Services, &body, json!({})).await;
    let before = setup.outcomes("to-come").await.unwrap();
    let recorded = setup.ledger.read(&id("to-come")).await.unwrap().unwrap().broadcast.unwrap();
    let mut forged = json!({
        "cluster": "prod", "service": "audit",
        "notify_me_container_port": "8080", "notify_me_api_uri": "/audit",
        "share": { "except": [{ "port": "8080", "path": "/audit" }] },
        "broadcast": { "id": "to-come", "event": serde_json::to_value(&recorded.event).unwrap() },
    });
    setup.stranger_sends(StageName::Tasks, &forged, json!({})).await;
    forged["cluster"] = json!("arn:aws:ecs:us-east-1:111122223333:cluster/prod");
    setup.stranger_sends(StageName::Tasks, &forged, json!({})).await;
    assert_eq!(setup.outcomes("to-come").await.unwrap(), before);
}

/// The cost of knowing that a message comes from the stage before, beside the work that it asks for; and what it costs to
/// ask ECS instead.
#[tokio::test]
async fn to_believe_a_message_costs_nothing_beside_its_call() {
    const CALLS: u32 = 200;
    const LOOKS: u32 = 20_000;
    let setup = Setup::new().await;
    let aws = Aws::at(&setup.sim().url(), "us-east-1");
    let ids = (0..8).map(|n| format!("AROAEXAMPLEOFAROLE{n:03}"));
    let senders = Senders::new(ids);
    let stages = Stages { auth: secrets().await, senders: senders.clone(), ..Stages::default() };
    let ctx = stages.on(&aws, &Ledger::none());
    let task =
        setup.sim().tasks().into_iter().find(|task| task.service.as_deref() == Some("checkout")).unwrap();
    let more = json!({ "container": "app", "cluster": "prod", "broadcast": to_come() });
    let mut message = Setup::task_message(&task.arn, task.endpoints[0].address, &more);
    message["notify_me_api_uri"] = json!("/v1.0/notify");
    let received = |sender: &str| Message {
        sender: Some(sender.to_owned()),
        ..Message::new("m-1".to_owned(), message.to_string(), OffsetDateTime::now_utc())
    };
    let mut took = Vec::new();
    for sender in ["AROAEXAMPLEOFAROLE007:ecs_service_task", "AROASTRANGER:x"] {
        let started = Instant::now();
        for _ in 0..CALLS {
            pipeline::run(&ctx, StageName::Notify, &received(sender), None).await.unwrap();
        }
        took.push(started.elapsed() / CALLS);
    }
    let (believed, message) = (took[0], received("AROAEXAMPLEOFAROLE007:ecs_service_task"));
    let started = Instant::now();
    assert!((0..LOOKS).all(|_| std::hint::black_box(&senders).is_trusted(std::hint::black_box(&message))));
    let look = started.elapsed() / LOOKS;
    let ratio = look.as_secs_f64() / believed.as_secs_f64();
    eprintln!(
        "a look: {look:?}; a call, believed: {believed:?}, ratio {ratio:.6}; looked up in ECS: {:?}",
        took[1]
    );
    assert!(ratio < 0.02, "{ratio}");
}
