//! Real events: MiniStack makes them from calls of AWS's API, and they arrive as calls at tasks, through the daemon and
//! through the functions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Attribute};
use lambdas::batch::Worker;
use lambdas::record::Batch;
use lambdas::stream;
use notifier::aws::Aws;
use notifier::base::Environment;
use notifier::daemon::Health;
use notifier::ledger;
use notifier::pipeline::{QueueName, Routing, STAGES, Senders, StageName};
use notifier::queue::EventSourceMapping;
use notifier::secrets::Vault;
use notifier::settings::{Flags, Settings, Sources, table};
use notifier::store::Use;
use notifier::{Notifier, Parts};
use serde_json::{Value, json};
use simulator::Simulator;
use tempfile::TempDir;
use testkit::emulator::Emulator;
use testkit::{fleets, lambda_event, python};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Longest wait for something that happens within seconds, on a busy machine.
const SOON: Duration = Duration::from_secs(90);
/// The account of MiniStack.
const ACCOUNT: &str = "000000000000";

const RULES: &str = include_str!("routes.toml");

/// MiniStack with the queues and the sources, and a notifier for a fleet of the simulator.
struct World {
    sim: Simulator,
    emulator: Emulator,
    notifier: Notifier,
    _directory: TempDir,
}

impl World {
    async fn new() -> Self {
        let fleet = fleets::fleet(&[fleets::service("web", 2, "/n", "")]);
        let (sim, emulator) = tokio::join!(fleets::start(&fleet, Vec::new()), Emulator::ministack(&[]));
        let mut aws = Aws::at(&emulator.url, "us-east-1");
        let at_simulator = Aws::at(&sim.url(), "us-east-1");
        (aws.ecs, aws.ec2) = (at_simulator.ecs, at_simulator.ec2);
        let mut settings = vec![
            ("NOTIFIER_ALLOW_NETWORKS".to_owned(), "127.0.0.0/8".to_owned()),
            ("NOTIFIER_ROUTES".to_owned(), "env:RULES".to_owned()),
            ("RULES".to_owned(), RULES.to_owned()),
        ];
        for queue in QueueName::BROADCAST {
            settings.push((table::queue(queue).variable(), create_queue(&aws, queue.as_str()).await));
        }
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("ledger.db");
        settings.push(("NOTIFIER_LEDGER".to_owned(), format!("sqlite:{}", file.display())));
        let environment: Environment = settings.into_iter().collect();
        let sources = Sources { flags: &Flags::new(), config: None, environment: &environment, needed: &[] };
        let (settings, _) = Settings::load(sources).unwrap();
        let vault = Vault::new(environment, None);
        let routes = Routing::load(settings.routes.as_ref(), SOON, &vault).await.unwrap();
        let ledger = ledger::open(&settings.ledger, &aws, Use::Call).await.unwrap();
        let parts = Parts { ledger, routes, senders: Senders::new([ACCOUNT]), ..Parts::default() };
        let world =
            Self { sim, emulator, notifier: Notifier::new(settings, aws, parts), _directory: directory };
        world.script(&["create", &format!("arn:aws:sqs:us-east-1:{ACCOUNT}:observer")]).await;
        world
    }

    /// Runs `sources.py`.
    async fn script(&self, arguments: &[&str]) -> String {
        let mut command = python::script_command("sources.py");
        let output = command.arg(&self.emulator.url).args(arguments).output();
        let output = timeout(SOON, output).await.unwrap().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Hands the records of the table's stream to the function, as Lambda does.
    async fn forward_stream(&self) {
        let batch: Batch = serde_json::from_str(&self.script(&["records"]).await).unwrap();
        assert_eq!(batch.records.len(), 1);
        let observer = self.notifier.stage(StageName::Services).unwrap().source;
        let answer = stream::forward(&batch, &observer).await.unwrap();
        assert!(answer.failures.is_empty());
    }

    /// Type and data of each event, with the number of tasks that received it.
    fn received(&self) -> BTreeMap<(String, String), usize> {
        let mut received = BTreeMap::new();
        for call in self.sim.received() {
            let event: Value = serde_json::from_slice(&call.body).unwrap();
            let data = event.get("data").map_or_else(String::new, Value::to_string);
            *received.entry((event["type"].as_str().unwrap().to_owned(), data)).or_default() += 1;
        }
        received
    }

    /// Hands messages to the function of a stage, as Lambda's event source mapping does.
    async fn invoke(&self, stage: StageName) {
        let work = self.notifier.stage(stage).unwrap();
        let source = work.source.clone();
        let client = Aws::at(&self.emulator.url, "us-east-1").sqs;
        let call = client.receive_message().queue_url(source.url()).max_number_of_messages(10);
        let call = call.message_attribute_names("All").message_system_attribute_names(System::All);
        let Some(messages) = call.send().await.unwrap().messages else { return };
        let batch: Batch = serde_json::from_value(lambda_event::of(&messages)).unwrap();
        let worker = Worker { work, source: EventSourceMapping::new(source.clone()) };
        let answer = worker.run(&batch, Instant::now() + SOON).await.unwrap();
        let failed: BTreeSet<_> =
            answer.batch_item_failures.iter().map(|one| one.item_identifier.clone()).collect();
        for message in messages.into_iter().filter(|one| !failed.contains(one.message_id().unwrap())) {
            let receipt = message.receipt_handle.unwrap();
            client.delete_message().queue_url(source.url()).receipt_handle(receipt).send().await.unwrap();
        }
    }
}

async fn create_queue(aws: &Aws, name: &str) -> String {
    let create = |name: String, policy: Option<String>| async move {
        let call = aws.sqs.create_queue().queue_name(name);
        let call =
            policy.into_iter().fold(call, |call, policy| call.attributes(Attribute::RedrivePolicy, policy));
        call.send().await.unwrap().queue_url.unwrap()
    };
    let dead = format!("{name}-dead");
    create(dead.clone(), None).await;
    let arn = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{dead}");
    let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 5 });
    create(name.to_owned(), Some(policy.to_string())).await
}

fn expected() -> BTreeMap<(String, String), usize> {
    [
        ("com.example.prices", r#""new prices/a+b.json""#),
        ("com.example.images", r#""logo.png""#),
        ("com.example.orders", r#"{"order":7}"#),
        ("com.example.release", r#""v42""#),
        ("com.example.flags", "true"),
        ("com.example.direct", ""),
    ]
    .map(|(kind, data)| ((kind.to_owned(), data.to_owned()), 2))
    .into()
}

#[tokio::test]
async fn events_of_every_source_arrive_at_each_task_through_the_daemon() {
    let world = World::new().await;
    let shutdown = CancellationToken::new();
    let (notifier, stop) = (world.notifier.clone(), shutdown.clone());
    let running = tokio::spawn(async move { notifier.run(Health::default(), stop).await });
    world.script(&["events"]).await;
    world.forward_stream().await;
    let until = Instant::now() + SOON;
    while world.received() != expected() {
        assert!(Instant::now() < until, "{:#?}", world.received());
        sleep(Duration::from_millis(50)).await;
    }
    shutdown.cancel();
    timeout(SOON, running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn events_of_every_source_arrive_at_each_task_through_the_functions() {
    let world = World::new().await;
    world.script(&["events"]).await;
    world.forward_stream().await;
    let until = Instant::now() + SOON;
    while world.received() != expected() {
        assert!(Instant::now() < until, "{:#?}", world.received());
        for stage in STAGES.iter().filter(|stage| !stage.is_optional) {
            world.invoke(stage.name).await;
        }
    }
}
