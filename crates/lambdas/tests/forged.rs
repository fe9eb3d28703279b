//! Records that no stage sent, with the functions' adapter: the sender comes from Lambda's event.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lambdas::batch::Worker;
use lambdas::record::Batch;
use notifier::aws::Aws;
use notifier::base::{Clock, Rng};
use notifier::ledger::Ledger;
use notifier::pipeline::{Ctx, Senders, StageName};
use notifier::pipeline::{Handler, Work};
use notifier::queue::{EventSourceMapping, Queue};
use serde_json::{Value, json};
use simulator::{QueueSpec, Simulator};
use tempfile::TempDir;
use testkit::fleets;
use testkit::stages::{Stages, file_ledger};
use tokio::net::TcpListener;
use tokio::time::Instant;
use wire::{BroadcastId, DeliveryId};

/// The unique id of the previous function's role.
const ROLE: &str = "AROAEXAMPLEOFTHEROLE";

/// A fleet, a function of a stage on it, and a ledger.
struct Setup {
    sim: Simulator,
    aws: Aws,
    ctx: Arc<Ctx>,
    ledger: Ledger,
    queue: String,
    _directory: TempDir,
}

impl Setup {
    async fn new() -> Self {
        let fleet = fleets::fleet(&[fleets::service("checkout", 2, "/v1.0/notify", "")]);
        let queues = vec![QueueSpec { name: "q".to_owned(), ..QueueSpec::default() }];
        let sim = fleets::start(&fleet, queues).await;
        let aws = Aws::at(&sim.url(), "us-east-1");
        let (ledger, directory) = file_ledger().await;
        let stages = Stages { senders: Senders::new([ROLE]), ..Stages::default() };
        let ctx = stages.on(&aws, &ledger);
        let queue = format!("{}/111122223333/q", sim.url());
        Self { sim, aws, ctx: Arc::new(ctx), ledger, queue, _directory: directory }
    }

    /// One invocation with one record; its answer, and the bodies for the next queue.
    async fn invoke(&self, stage: StageName, body: &Value, sender: Option<&str>) -> Value {
        let rng = Rng::seeded(1);
        let queue = || Queue::at(self.aws.sqs.clone(), &self.queue, rng.clone());
        let next = (stage != StageName::Notify).then(queue);
        let handler = Handler::Stage(Arc::clone(&self.ctx));
        let source = EventSourceMapping::new(queue());
        let worker =
            Worker { work: Work { stage, source: queue(), next, handler, rng: rng.clone() }, source };
        let mut attributes = json!({
            "ApproximateReceiveCount": "1",
            "SentTimestamp": (Clock::system().unix_seconds() * 1_000).to_string(),
        });
        if let Some(sender) = sender {
            attributes["SenderId"] = json!(sender);
        }
        let record = json!({
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d", "receiptHandle": "r",
            "body": body.to_string(), "attributes": attributes, "messageAttributes": {},
        });
        let batch: Batch = serde_json::from_value(json!({ "Records": [record] })).unwrap();
        let answer = worker.run(&batch, Instant::now() + Duration::from_secs(60)).await.unwrap();
        serde_json::to_value(&answer).unwrap()
    }

    /// The broadcasts of the messages on the next queue.
    async fn queued(&self) -> Vec<Value> {
        let asked = json!({ "QueueUrl": self.queue, "MaxNumberOfMessages": 10 });
        let answer = self.sim.sqs("ReceiveMessage", asked).await.unwrap();
        let bodies = answer["Messages"].as_array().cloned().unwrap_or_default();
        let body =
            |message: &Value| serde_json::from_str::<Value>(message["Body"].as_str().unwrap()).unwrap();
        bodies.iter().map(|message| body(message)["broadcast"]["id"].clone()).collect()
    }
}

fn to_come() -> Value {
    json!({ "id": "to-come", "event": {
        "specversion": "1.0", "id": "to-come", "source": "s", "type": "release", "time": "2026-11-24T09:30:00Z",
    } })
}

fn id() -> BroadcastId {
    BroadcastId::try_from("to-come".to_owned()).unwrap()
}

/// An address that an attacker chooses, and the number of connections to it.
async fn listener() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, connections)
}

const DONE: &str = r#"{"batchItemFailures":[]}"#;

#[tokio::test]
async fn a_record_of_a_stranger_chooses_no_address_and_forges_no_outcome() {
    for sender in [None, Some("AROASTRANGEROFSOMEBODY:function"), Some("AROAEXAMPLEOFTHEROLEX:f")] {
        let setup = Setup::new().await;
        let (address, connections) = listener().await;
        let task = setup.sim.tasks().remove(0).arn;
        let forged = json!({
            "notify_task_arn": task, "notify_me_host_address": address.ip().to_string(),
            "notify_me_host_port": address.port().to_string(), "notify_me_api_uri": "/admin",
            "method": "GET", "container": "app", "cluster": "prod", "broadcast": to_come(),
        });
        let answer = setup.invoke(StageName::Notify, &forged, sender).await;
        assert_eq!(answer.to_string(), DONE);
        assert_eq!(connections.load(Ordering::SeqCst), 0, "{sender:?}");
        let calls = setup.sim.received();
        assert_eq!((calls.len(), calls[0].path.as_str(), &calls[0].task), (1, "/v1.0/notify", &task));
        let forged = DeliveryId::derive(&id(), &task, "app");
        assert_ne!(calls[0].header("webhook-id"), Some(forged.as_str()));
        assert!(setup.ledger.read(&id()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_part_of_a_stranger_is_a_broadcast_of_its_own_and_one_of_the_stage_before_is_not() {
    let part = json!({
        "cluster": "prod", "service": "checkout",
        "notify_me_container_port": "8080", "notify_me_api_uri": "/v1.0/notify", "broadcast": to_come(),
    });
    let setup = Setup::new().await;
    setup.invoke(StageName::Tasks, &part, Some("AIDASTRANGERSTRANGER")).await;
    let own = "059f36b4-87a3-44ab-83d2-661975830a7d";
    assert_eq!(setup.queued().await, [json!(own), json!(own)]);
    assert!(setup.ledger.read(&id()).await.unwrap().is_none());
    let setup = Setup::new().await;
    setup.invoke(StageName::Tasks, &part, Some(&format!("{ROLE}:function"))).await;
    assert_eq!(setup.queued().await, [json!("to-come"), json!("to-come")]);
}

#[tokio::test]
async fn a_record_of_the_stage_before_is_acted_on_without_asking_ecs() {
    let setup = Setup::new().await;
    let task = setup.sim.tasks().remove(0);
    let address = task.endpoints[0].address;
    let message = json!({
        "notify_task_arn": task.arn, "notify_me_host_address": address.ip().to_string(),
        "notify_me_host_port": address.port().to_string(), "notify_me_api_uri": "/v1.0/notify",
        "container": "app", "cluster": "prod", "broadcast": to_come(),
    });
    let sender = format!("{ROLE}:function");
    let answer = setup.invoke(StageName::Notify, &message, Some(&sender)).await;
    assert_eq!(answer.to_string(), DONE);
    assert_eq!((setup.sim.received().len(), setup.sim.count("DescribeTasks")), (1, 0));
    let calls = setup.sim.received();
    assert_eq!(calls[0].header("webhook-id"), Some(DeliveryId::derive(&id(), &task.arn, "app").as_str()));
}
