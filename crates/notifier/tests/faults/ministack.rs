//! The same worlds on SQS and DynamoDB that others wrote: MiniStack. ECS and the receivers stay the simulator's.

use std::sync::Arc;
use std::thread;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_sqs::types::{Message, QueueAttributeName as Attribute};
use notifier::aws::Aws;
use notifier::base::Rng;
use notifier::deliver::Auth;
use notifier::model::Outcome;
use notifier::store::Store;
use notifier::store::dynamodb::DynamoDb;
use serde_json::json;
use simulator::faults::When;
use testkit::emulator::Emulator;

use crate::invariants;
use crate::queues::{self, Dead};
use crate::run::{self, Ground, QUEUES};
use crate::secrets;
use crate::trouble::OUTAGE_LEAST;
use crate::world::{Expected, World};

/// Worlds of one test run.
const WORLDS: usize = 12;
/// Worlds at the same time, each in true time.
const AT_ONCE: usize = 6;

/// An SQS and a DynamoDB.
#[derive(Clone)]
pub(crate) struct Cloud {
    /// Where it answers.
    url: String,
    /// The ledger's table.
    table: String,
}

impl Cloud {
    pub(crate) fn aws(&self) -> Aws {
        Aws::at(&self.url, "us-east-1")
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::new(DynamoDb::new(self.aws().dynamodb, &self.table, Rng::seeded(1)))
    }

    pub(crate) fn url_of(&self, world: &World, queue: &str) -> String {
        format!("{}/000000000000/{}", self.url, named(world, queue))
    }

    /// The queues of a world, each with its dead letters, and its table.
    pub(crate) async fn create(&self, world: &World) {
        let Aws { sqs, dynamodb, .. } = self.aws();
        for name in QUEUES {
            let dead = named(world, &format!("{name}-dead"));
            sqs.create_queue().queue_name(&dead).send().await.unwrap();
            let arn = format!("arn:aws:sqs:us-east-1:000000000000:{dead}");
            let policy =
                json!({ "deadLetterTargetArn": arn, "maxReceiveCount": world.receives_max.to_string() })
                    .to_string();
            let call = sqs.create_queue().queue_name(named(world, name));
            let call = call.attributes(Attribute::VisibilityTimeout, world.visibility.to_string());
            call.attributes(Attribute::RedrivePolicy, policy).send().await.unwrap();
        }
        let mut call =
            dynamodb.create_table().table_name(&self.table).billing_mode(BillingMode::PayPerRequest);
        for (name, role) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let attribute = AttributeDefinition::builder().attribute_name(name);
            let attribute = attribute.attribute_type(ScalarAttributeType::S).build().unwrap();
            let key = KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap();
            call = call.attribute_definitions(attribute).key_schema(key);
        }
        call.send().await.unwrap();
    }

    pub(crate) async fn send(&self, url: &str, body: &str) {
        self.aws().sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
    }

    /// All messages of a queue, whatever their state.
    pub(crate) async fn depth(&self, url: &str) -> usize {
        let names = [
            Attribute::ApproximateNumberOfMessages,
            Attribute::ApproximateNumberOfMessagesNotVisible,
            Attribute::ApproximateNumberOfMessagesDelayed,
        ];
        let call = self.aws().sqs.get_queue_attributes().queue_url(url);
        let found = call.set_attribute_names(Some(names.to_vec())).send().await.unwrap().attributes.unwrap();
        found.values().map(|count| count.parse::<usize>().unwrap()).sum()
    }

    pub(crate) async fn dead_letters(&self, url: &str) -> Vec<Dead> {
        let mut all = Vec::new();
        loop {
            let call = self.aws().sqs.receive_message().queue_url(url).max_number_of_messages(10);
            let call = call.message_attribute_names("All").visibility_timeout(43_200);
            let messages = call.send().await.unwrap().messages.unwrap_or_default();
            if messages.is_empty() {
                return all;
            }
            all.extend(messages.iter().map(dead_letter));
        }
    }
}

fn dead_letter(message: &Message) -> Dead {
    let attributes = message.message_attributes.iter().flatten();
    let attributes =
        attributes.map(|(name, value)| (name.clone(), json!({ "StringValue": value.string_value() })));
    let attributes = attributes.collect::<serde_json::Map<_, _>>();
    queues::dead_letter(&json!({ "Body": message.body, "MessageAttributes": attributes }))
}

fn named(world: &World, queue: &str) -> String {
    format!("w{}-{queue}", world.seed)
}

/// Worlds in true time: those that end within seconds by themselves.
fn worlds() -> Vec<World> {
    let ends_soon = |world: &World| {
        let ends = world
            .tasks
            .iter()
            .flat_map(|task| &task.containers)
            .all(|(_, expected)| !matches!(expected, Expected::Called(Outcome::Failed)));
        let is_away =
            |(_, when, _): &(_, When, _)| matches!(when, When::First(calls) if *calls >= OUTAGE_LEAST);
        let ends = ends && !world.faults.iter().any(is_away);
        // Waves there are `lambdas/tests`'.
        let ends = ends && world.broadcasts.iter().all(|broadcast| broadcast.pace.is_none());
        ends && world.has_ledger() && !world.waits_long && world.visibility <= 10 && world.tasks.len() > 2
    };
    (0..).map(World::draw).filter(ends_soon).take(WORLDS).collect()
}

#[tokio::test]
async fn worlds_on_the_queues_and_the_table_of_others_end_as_they_must() {
    let emulator = Emulator::ministack(&[]).await;
    let trust = secrets::trust().await;
    let broken = tokio::task::spawn_blocking(move || every(&worlds(), &emulator.url, &trust)).await.unwrap();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Runs worlds, some at a time; what is broken in them.
fn every(worlds: &[World], url: &str, trust: &Auth) -> Vec<String> {
    let mut broken = Vec::new();
    for some in worlds.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let run = |world: &World| {
                let cloud = Cloud { url: url.to_owned(), table: format!("ledger-{}", world.seed) };
                let ground = Ground { trust: trust.clone(), cloud: Some(cloud), notes: None };
                let seen = run::run_on(world, ground);
                eprintln!(
                    "seed {} ({:?}): {} tasks, {} calls, {} daemons or runs in {:?}",
                    world.seed,
                    world.form,
                    world.tasks.len(),
                    seen.calls.len(),
                    seen.daemons,
                    seen.passed
                );
                invariants::broken(world, &seen)
                    .into_iter()
                    .map(|what| format!("seed {}: {what}", world.seed))
                    .collect::<Vec<_>>()
            };
            let runs: Vec<_> = some.iter().map(|world| scope.spawn(move || run(world))).collect();
            for run in runs {
                broken.extend(run.join().unwrap());
            }
        });
    }
    broken
}
