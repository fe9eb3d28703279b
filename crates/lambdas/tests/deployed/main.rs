//! The whole serverless form: the Terraform module applied, the archives running as functions on their queues.
//!
//! `make test-deployed` runs these: they need terraform, and the archives of `make lambda`. MiniStack does not have
//! batching windows, checks of visibility timeouts, or networks; and ECS permissions are not enforced, because the
//! simulator answers for ECS. The module's own tests check those.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod registry;
mod rollout;
mod stack;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_sqs::types::Message;
use notifier::report::Counts;
use simulator::Service;
use stack::{Stack, Twist};
use tokio::time::sleep;

/// Eight tasks that are notified, two that fail, one without opt-in; every network mode with addresses.
const FLEET: &str = r#"
[[cluster]]
name = "prod"
tags = { team = "shop" }
[[cluster.hosts]]
count = 2

[[cluster.service]]
name = "checkout"
tasks = 3
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }

[[cluster.service]]
name = "search"
launch_type = "FARGATE"
tasks = 5
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }

[[cluster.service]]
name = "broken"
launch_type = "FARGATE"
tasks = 1
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }
answers = [{ status = 503 }]

[[cluster.service]]
name = "unwilling"
launch_type = "FARGATE"
tasks = 1
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }
answers = [{ status = 404 }]

[[cluster.service]]
name = "silent"
launch_type = "FARGATE"
tasks = 1
[[cluster.service.container]]
name = "app"
ports = [8080]
"#;

/// Calls of the task that always fails: three in quick succession each time that its message is taken from the queue.
const FAILING: usize = 3 * stack::NOTIFY_RECEIVES_MAX;

/// The calls of one broadcast: eight are delivered at once, one is rejected, one fails.
const REQUESTS: usize = 8 + 1 + FAILING;

/// Long enough to detect another delivery.
const QUIET: Duration = Duration::from_secs(5);

/// How often each task of a service was called, by service.
fn calls(stack: &Stack) -> BTreeMap<String, Vec<usize>> {
    let mut by_task = BTreeMap::<(String, String), usize>::new();
    for request in stack.simulator.received() {
        *by_task.entry((request.service.unwrap(), request.task)).or_default() += 1;
    }
    let mut calls = BTreeMap::<String, Vec<usize>>::new();
    for ((service, _), count) in by_task {
        calls.entry(service).or_default().push(count);
    }
    calls
}

fn expected_calls() -> BTreeMap<String, Vec<usize>> {
    [("broken", vec![FAILING]), ("checkout", vec![1; 3]), ("search", vec![1; 5]), ("unwilling", vec![1])]
        .map(|(service, calls)| (service.to_owned(), calls))
        .into()
}

fn attributes(messages: &[Message], name: &str) -> BTreeSet<String> {
    let text = |message: &Message| message.message_attributes.as_ref()?.get(name)?.string_value.clone();
    messages.iter().filter_map(text).collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

async fn a_broadcast_reaches_everyone(stack: &Stack) {
    stack.send("services", r#"{"cluster":"prod"}"#).await;
    stack.received(REQUESTS).await;
    let dead = stack.buried("notify", 2).await;
    sleep(QUIET).await;
    assert_eq!(calls(stack), expected_calls());
    assert_eq!(attributes(&dead, "code"), set(&["rejected", "unfinished"]));
    assert_eq!(attributes(&dead, "task").len(), 2);
    let broadcast = stack.ledger.recent(1).await.unwrap().remove(0);
    let recorded = stack.ledger.read(&broadcast.id).await.unwrap().unwrap();
    let expected = Counts { delivered: 8, rejected: 1, failed: 1, ..Counts::default() };
    assert_eq!((recorded.is_complete, recorded.report.counts()), (true, expected));
}

/// The first stage lists the clusters, splits the message on its own queue, and finds the services of each.
async fn every_cluster_with_a_tag_is_reached(stack: &Stack) {
    let before = stack.simulator.received().len();
    stack.send("services", r#"{"cluster":"*","tags":{"team":"shop"},"services":["search"]}"#).await;
    stack.received(before + 5).await;
    sleep(QUIET).await;
    assert_eq!(stack.simulator.received().len(), before + 5);
}

async fn poison_ends_in_the_dead_letters_of_its_stage(stack: &Stack) {
    for stage in ["services", "tasks", "notify"] {
        stack.send(stage, "not json").await;
        let dead = stack.buried(stage, 1).await;
        assert_eq!(dead[0].body.as_deref(), Some("not json"));
        // The first stage takes events of many sources, the others only messages of the stage before.
        let code = if stage == "services" { "source" } else { "body" };
        assert_eq!(attributes(&dead, "code"), set(&[code]));
        assert_eq!(attributes(&dead, "stage"), set(&[stage]));
    }
}

/// The actions that the functions called on ECS and EC2, as policies name them.
fn actions_called(stack: &Stack) -> BTreeSet<String> {
    let action = |call: simulator::Call| match call.service {
        Service::Ecs => Some(format!("ecs:{}", call.operation)),
        Service::Ec2 => Some(format!("ec2:{}", call.operation)),
        _ => None,
    };
    stack.simulator.calls().into_iter().filter_map(action).collect()
}

fn actions_allowed() -> BTreeSet<String> {
    let stages: serde_json::Value =
        serde_json::from_str(include_str!("../../../../infra/terraform/stages.json")).unwrap();
    let stages = stages.as_object().unwrap().values();
    stages
        .flat_map(|stage| stage["actions"].as_array().unwrap())
        .map(|a| a.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
#[ignore = "needs terraform and the archives: `make test-deployed`"]
async fn applied_the_module_tells_every_task_once_and_destroyed_it_leaves_nothing() {
    let stack = Stack::apply(FLEET, Twist::default()).await;
    a_broadcast_reaches_everyone(&stack).await;
    every_cluster_with_a_tag_is_reached(&stack).await;
    poison_ends_in_the_dead_letters_of_its_stage(&stack).await;
    assert_eq!(actions_called(&stack), actions_allowed(), "the roles allow what is called, and no more");
    stack.destroy().await;
    assert_eq!(stack.queues().await, Vec::<String>::new());
}

/// A fleet of two tasks, for events of sources.
const TWO_TASKS: &str = r#"
[[cluster]]
name = "prod"
[[cluster.service]]
name = "web"
launch_type = "FARGATE"
tasks = 2
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }
"#;

#[tokio::test]
#[ignore = "needs terraform and the archives: `make test-deployed`"]
async fn events_of_the_sources_in_the_module_arrive_at_each_task() {
    let stack = Stack::apply(TWO_TASKS, Twist { sources: true, ..Twist::default() }).await;
    stack.make_events().await;
    let expected: BTreeMap<String, usize> = ["prices", "orders", "release", "flags", "direct"]
        .map(|name| (format!("com.example.{name}"), 2))
        .into();
    let received = || {
        let mut received = BTreeMap::<String, usize>::new();
        for call in stack.simulator.received() {
            let event: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
            *received.entry(event["type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        received
    };
    let until = tokio::time::Instant::now() + stack::SOON;
    while received() != expected {
        assert!(tokio::time::Instant::now() < until, "{:#?}", received());
        sleep(Duration::from_millis(200)).await;
    }
    sleep(QUIET).await;
    assert_eq!(received(), expected, "each once");
    stack.destroy().await;
}

#[tokio::test]
#[ignore = "needs terraform and the archives: `make test-deployed`"]
async fn a_release_is_deployed_without_a_build() {
    let stack = Stack::apply(FLEET, Twist { release: true, ..Twist::default() }).await;
    a_broadcast_reaches_everyone(&stack).await;
    stack.destroy().await;
}

#[tokio::test]
#[ignore = "needs terraform and the archives: `make test-deployed`"]
async fn the_roles_suffice_where_iam_is_enforced() {
    let stack = Stack::apply(FLEET, Twist { auth: true, ..Twist::default() }).await;
    a_broadcast_reaches_everyone(&stack).await;
    poison_ends_in_the_dead_letters_of_its_stage(&stack).await;
    stack.destroy().await;
}

#[tokio::test]
#[ignore = "needs terraform and the archives: `make test-deployed`"]
async fn without_the_permission_to_publish_nobody_is_called() {
    let without = (
        "      sid       = \"PublishToNextStage\"\n      actions   = [\"sqs:SendMessage\"]",
        "      sid       = \"PublishToNextStage\"\n      actions   = [\"sqs:GetQueueUrl\"]",
    );
    let stack = Stack::apply(FLEET, Twist { auth: true, iam: Some(without), ..Twist::default() }).await;
    stack.send("services", r#"{"cluster":"prod"}"#).await;
    // The first stage works, up to the queue that it may not write.
    let until = tokio::time::Instant::now() + stack::SOON;
    while stack.simulator.count("ListServices") == 0 {
        assert!(tokio::time::Instant::now() < until, "the first stage never ran");
        sleep(Duration::from_millis(100)).await;
    }
    sleep(QUIET).await;
    assert_eq!(stack.simulator.count("ListTasks"), 0);
    assert!(stack.simulator.received().is_empty());
    stack.destroy().await;
}

#[tokio::test]
#[ignore = "needs terraform and the archives: `make test-deployed`"]
async fn without_the_permission_to_bury_poison_stays_on_its_queue() {
    let without = (
        "actions   = [\"sqs:GetQueueUrl\", \"sqs:SendMessage\"]\n    resources = [aws_sqs_queue.dead_letters",
        "actions   = [\"sqs:GetQueueUrl\"]\n    resources = [aws_sqs_queue.dead_letters",
    );
    let stack = Stack::apply(FLEET, Twist { auth: true, iam: Some(without), ..Twist::default() }).await;
    stack.send("services", "not json").await;
    stack.in_flight("services").await;
    sleep(QUIET).await;
    assert_eq!(stack.count(stack.dead_letters("services")).await, (0, 0));
    let (visible, in_flight) = stack.count(stack.queue("services")).await;
    assert_eq!(visible + in_flight, 1);
    stack.destroy().await;
}
