//! Real events: MiniStack makes them from calls of AWS's API, and they arrive as calls at tasks, through the daemon and
//! through the functions.

use std::collections::BTreeMap;
use std::time::Duration;

use lambdas::record::Batch;
use lambdas::stream;
use notifier::daemon::Health;
use notifier::pipeline::{QueueName, StageName};
use serde_json::Value;
use testkit::{fleets, python};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::world::{SOON, World, queue_arn};

const RULES: &str = include_str!("../routes.toml");

/// A world whose sources send their events to the observer queue.
async fn world() -> World {
    let fleet = fleets::fleet(&[fleets::service("web", 2, "/n", "")]);
    let sim = fleets::start(&fleet, Vec::new()).await;
    let settings = [("NOTIFIER_ROUTES", "env:RULES"), ("RULES", RULES)];
    let world = World::new(sim, &QueueName::BROADCAST, &settings).await;
    script(&world, &["create", &queue_arn(QueueName::Observer)]).await;
    world
}

/// Runs `sources.py`.
async fn script(world: &World, arguments: &[&str]) -> String {
    let mut command = python::script_command("sources.py");
    let output = command.arg(&world.emulator.url).args(arguments).output();
    let output = timeout(SOON, output).await.unwrap().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes an event of each source, and hands the records of the table's stream to the function, as Lambda does.
async fn make_events(world: &World) {
    script(world, &["events"]).await;
    let batch: Batch = serde_json::from_str(&script(world, &["records"]).await).unwrap();
    assert_eq!(batch.records.len(), 1);
    let observer = world.notifier.stage(StageName::Services).unwrap().source;
    let answer = stream::forward(&batch, &observer).await.unwrap();
    assert!(answer.failures.is_empty());
}

/// Type and data of each event, with the number of tasks that received it.
fn received(world: &World) -> BTreeMap<(String, String), usize> {
    let mut received = BTreeMap::new();
    for call in world.sim.received() {
        let event: Value = serde_json::from_slice(&call.body).unwrap();
        let data = event.get("data").map_or_else(String::new, Value::to_string);
        *received.entry((event["type"].as_str().unwrap().to_owned(), data)).or_default() += 1;
    }
    received
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
    let world = world().await;
    let shutdown = CancellationToken::new();
    let (notifier, stop) = (world.notifier.clone(), shutdown.clone());
    let running = tokio::spawn(async move { notifier.run(Health::default(), stop).await });
    make_events(&world).await;
    let until = Instant::now() + SOON;
    while received(&world) != expected() {
        assert!(Instant::now() < until, "{:#?}", received(&world));
        sleep(Duration::from_millis(50)).await;
    }
    shutdown.cancel();
    timeout(SOON, running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn events_of_every_source_arrive_at_each_task_through_the_functions() {
    let world = world().await;
    make_events(&world).await;
    world.invoke_until("events are missing", async || received(&world) == expected()).await;
}
