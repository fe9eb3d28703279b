//! The registry of the module: its rule, its queue, its function and its role.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use notifier::base::Clock;
use notifier::fleet::registry::{Registry, RegistryOptions};
use notifier::model::DiscoveryMethod;
use serde_json::{Value, json};
use simulator::Service;
use simulator::fleet::TaskStatus;
use testkit::task_events;
use tokio::time::{Instant, sleep};

use crate::stack::{SOON, Stack, Twist};
use crate::{QUIET, TWO_TASKS};

/// The account of the clusters is the simulator's.
const VARIABLES: &str = r#"registry = { clusters = ["arn:aws:ecs:us-east-1:111122223333:cluster/prod"] }"#;
const PROD: &str = "arn:aws:ecs:us-east-1:111122223333:cluster/prod";
/// Name of the rule and of the function.
const RULE: &str = "ecs_registry";

fn running(stack: &Stack) -> BTreeSet<String> {
    let is_running = |task: &simulator::TaskView| {
        (task.last_status, task.desired_status) == (TaskStatus::Running, TaskStatus::Running)
    };
    stack.simulator.tasks().into_iter().filter(is_running).map(|task| task.arn).collect()
}

/// Waits until the registry has the running tasks, and no other.
async fn until_registered(stack: &Stack) {
    let registry = Registry::new(stack.ledger.store().unwrap(), Clock::system(), RegistryOptions::default());
    let until = Instant::now() + SOON;
    loop {
        let rows = registry.rows(PROD).try_concat().await.unwrap();
        let rows = rows.iter().filter(|row| row.is_running());
        let registered: BTreeSet<_> = rows.map(|row| row.task().arn).collect();
        if registered == running(stack) {
            return;
        }
        assert!(Instant::now() < until, "{registered:#?} {:#?}", running(stack));
        sleep(QUIET / 10).await;
    }
}

/// With IAM enforced: the roles suffice.
#[tokio::test]
#[ignore = "needs terraform and the archives: `make test-deployed`"]
async fn the_rule_of_the_module_fills_the_registry_and_a_broadcast_calls_the_running_tasks() {
    let stack = Stack::apply(TWO_TASKS, Twist { auth: true, variables: VARIABLES, ..Twist::default() }).await;
    let mut boto = stack.boto();
    let rule = boto.call("events", "describe_rule", json!({ "Name": RULE })).await;
    let pattern: Value = serde_json::from_str(rule["EventPattern"].as_str().unwrap()).unwrap();
    let targets = boto.call("events", "list_targets_by_rule", json!({ "Rule": RULE })).await;
    assert_eq!(targets["Targets"][0]["Arn"], stack.queue_arn("registry"), "{targets}");
    task_events::put_rule(&mut boto, RULE, &pattern, &stack.queue_arn("registry")).await;
    stack.send("registry", r#"{"registry":{"sweep":["*"]}}"#).await;
    until_registered(&stack).await;

    let stopped = running(&stack).pop_first().unwrap();
    stack.simulator.stop_task(&stopped).await.unwrap();
    for _ in 0..3 {
        stack.simulator.start_task("prod", "web").await.unwrap();
    }
    let events = task_events::changes(&stack.simulator).await;
    assert!(!events.is_empty());
    task_events::put(&mut boto, &events).await;
    until_registered(&stack).await;
    // What the sweep asks for comes after its tasks are in the registry.
    sleep(QUIET).await;

    stack.simulator.reset_calls();
    stack.send("services", r#"{"cluster":"prod"}"#).await;
    stack.received(4).await;
    sleep(QUIET).await;
    let mut called: Vec<_> = stack.simulator.received().into_iter().map(|call| call.task).collect();
    called.sort();
    assert_eq!(called, running(&stack).into_iter().collect::<Vec<_>>(), "each once, and no other");
    let broadcast = stack.ledger.recent(1).await.unwrap().remove(0);
    assert_eq!(broadcast.found.map(|found| found.method), Some(DiscoveryMethod::Registry));
    let calls = stack.simulator.calls().into_iter();
    let discovery = calls.filter(|call| matches!(call.service, Service::Ecs | Service::Ec2));
    assert_eq!(discovery.map(|call| call.operation).collect::<Vec<_>>(), Vec::<String>::new());
    stack.destroy().await;
}
