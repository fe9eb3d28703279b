//! MiniStack with the queues and the ledger's table, and a notifier for a fleet of the simulator.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use notifier::aws::Aws;
use notifier::base::Environment;
use notifier::ledger::{self, Recorded};
use notifier::pipeline::{QueueName, Routing, Senders, StageName};
use notifier::queue::Trace;
use notifier::secrets::Vault;
use notifier::settings::{Flags, Settings, Sources, table};
use notifier::store::Use;
use notifier::{Notifier, Parts};
use serde_json::json;
use simulator::Simulator;
use testkit::boto::Boto;
use testkit::emulator::Emulator;
use testkit::functions;
use tokio::time::{Instant, sleep};
use wire::{BroadcastId, Draft, Message as _, ObserverMessage};

/// Longest wait for something that happens within seconds, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(90);
/// The account of MiniStack.
pub(crate) const ACCOUNT: &str = "000000000000";

const TABLE: &str = "ecs-task-notifier";

pub(crate) struct World {
    pub(crate) sim: Simulator,
    pub(crate) emulator: Emulator,
    pub(crate) notifier: Notifier,
    /// AWS's Python client for MiniStack.
    pub(crate) boto: Boto,
    sqs: Client,
}

impl World {
    /// Starts MiniStack with these queues, and a notifier with these further settings.
    pub(crate) async fn new(sim: Simulator, queues: &[QueueName], settings: &[(&str, &str)]) -> Self {
        let emulator = Emulator::ministack(&[]).await;
        let mut boto = Boto::start(&emulator.url);
        create_table(&mut boto).await;
        let fixed =
            [("NOTIFIER_ALLOW_NETWORKS", "127.0.0.0/8"), ("NOTIFIER_LEDGER", "dynamodb:ecs-task-notifier")];
        let settings = fixed.iter().chain(settings);
        let mut settings: BTreeMap<_, _> =
            settings.map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        for &queue in queues {
            settings.insert(table::queue(queue).variable(), create_queue(&mut boto, queue.as_str()).await);
        }
        let environment: Environment = settings.into_iter().collect();
        let sources = Sources { flags: &Flags::new(), config: None, environment: &environment, needed: &[] };
        let (settings, _) = Settings::load(sources).unwrap();
        let mut aws = Aws::at(&emulator.url, "us-east-1");
        let at_simulator = Aws::at(&sim.url(), "us-east-1");
        (aws.ecs, aws.ec2, aws.sts) = (at_simulator.ecs, at_simulator.ec2, at_simulator.sts);
        let vault = Vault::new(environment, None);
        let routes = Routing::load(settings.routes.as_ref(), SOON, &vault).await.unwrap();
        let ledger = ledger::open(&settings.ledger, &aws, Use::Call).await.unwrap();
        let sqs = aws.sqs.clone();
        let parts = Parts { ledger, routes, senders: Senders::new([ACCOUNT]), ..Parts::default() };
        Self { sim, emulator, notifier: Notifier::new(settings, aws, parts), boto, sqs }
    }

    /// Publishes the event `b-1` for this scope.
    pub(crate) async fn publish(&self, mut scope: ObserverMessage) {
        let event = Draft::default().complete(&id(), std::time::SystemTime::UNIX_EPOCH).unwrap();
        scope.event = Some(Draft::from(event));
        let observer = self.notifier.stage(StageName::Services).unwrap().source;
        observer.publish(&[scope.to_body().unwrap()], &Trace::default()).await.unwrap();
    }

    /// Invokes the functions on their queues until `is_done`.
    pub(crate) async fn invoke_until(&self, what: &str, is_done: impl AsyncFn() -> bool) {
        let until = Instant::now() + SOON;
        while !is_done().await {
            assert!(Instant::now() < until, "{what}: {:#?}", self.recorded().await);
            functions::invoke_each(&self.notifier, &self.sqs).await;
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the ledger has of the broadcast `b-1`.
    pub(crate) async fn recorded(&self) -> Option<Recorded> {
        self.notifier.ctx().ledger.read(&id()).await.unwrap()
    }

    pub(crate) async fn has_ended(&self) -> bool {
        self.recorded().await.is_some_and(|recorded| recorded.is_complete)
    }
}

pub(crate) fn id() -> BroadcastId {
    BroadcastId::try_from("b-1".to_owned()).unwrap()
}

/// ARN of a queue.
pub(crate) fn queue_arn(queue: QueueName) -> String {
    format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{}", queue.as_str())
}

/// Creates the ledger's table as the Terraform module does.
async fn create_table(boto: &mut Boto) {
    let parameters = json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }, { "AttributeName": "sk", "KeyType": "RANGE" }],
        "AttributeDefinitions": [
            { "AttributeName": "pk", "AttributeType": "S" }, { "AttributeName": "sk", "AttributeType": "S" },
        ],
    });
    boto.call("dynamodb", "create_table", parameters).await;
}

/// Creates a queue and its dead-letter queue, and returns its URL.
async fn create_queue(boto: &mut Boto, name: &str) -> String {
    let dead = format!("{name}-dead");
    boto.call("sqs", "create_queue", json!({ "QueueName": dead })).await;
    let arn = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{dead}");
    let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 5 }).to_string();
    let parameters = json!({ "QueueName": name, "Attributes": { "RedrivePolicy": policy } });
    boto.call("sqs", "create_queue", parameters).await["QueueUrl"].as_str().unwrap().to_owned()
}
