//! Task state change events through a rule of MiniStack's EventBridge, with the pattern of the Terraform module: the
//! function keeps the registry in MiniStack's table, and a broadcast finds its tasks there.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use notifier::fleet::registry::Registry;
use notifier::model::DiscoveryMethod;
use notifier::pipeline::{QueueName, StageName};
use notifier::queue::Trace;
use serde_json::{Value, json};
use simulator::Service;
use simulator::fleet::TaskStatus;
use testkit::fleets::{self, service};
use testkit::task_events;
use wire::ObserverMessage;

use crate::world::{World, queue_arn};

/// The pattern without clusters.
const PATTERN: &str = include_str!("../../../../infra/terraform/registry_pattern.json");
const SETTINGS: &str = include_str!("../../../../infra/terraform/registry.json");
const PROD: &str = "arn:aws:ecs:us-east-1:111122223333:cluster/prod";

/// A cluster that is registered, and one that is not.
async fn world(clusters: &str) -> World {
    let prod = fleets::fleet(&[service("web", 2, "/n", ""), service("api", 1, "/n", "")]);
    // Its tasks are on a host, with mapped ports.
    let hosted = service("hosted", 1, "/n", "").replace("'FARGATE'", "'EC2'");
    let test = format!("[[cluster]]\nname = 'test'\n[[cluster.hosts]]\ncount = 1\n{hosted}");
    let sim = fleets::start_with(&format!("{prod}{test}"), task_events::options()).await;
    World::new(sim, &QueueName::ALL, &[("NOTIFIER_REGISTRY_CLUSTERS", clusters)]).await
}

fn registry(world: &World) -> Registry {
    world.notifier.ctx().registry.clone().unwrap()
}

/// The pattern for these clusters, as `registry.tf` makes it.
fn pattern(clusters: Value) -> Value {
    let mut pattern: Value = serde_json::from_str(PATTERN).unwrap();
    pattern["detail"]["clusterArn"] = clusters;
    pattern
}

async fn request_sweep(world: &World, cluster: &str) {
    let queue = world.notifier.stage(StageName::Registry).unwrap().source;
    let body = json!({ "registry": { "sweep": [cluster] } }).to_string();
    queue.publish(&[body], &Trace::default()).await.unwrap();
}

async fn is_processed(world: &World) -> bool {
    let depth = world.notifier.stage(StageName::Registry).unwrap().source.depth().await.unwrap();
    depth.visible + depth.in_flight + depth.delayed == 0
}

/// The running tasks of the cluster `prod`.
fn running(world: &World) -> BTreeSet<String> {
    let tasks = world.sim.tasks().into_iter().filter(|task| {
        task.cluster == "prod"
            && (task.last_status, task.desired_status) == (TaskStatus::Running, TaskStatus::Running)
    });
    tasks.map(|task| task.arn).collect()
}

/// The running tasks of the cluster `prod` in the registry.
async fn registered(world: &World) -> BTreeSet<String> {
    let rows = registry(world).rows(PROD).try_concat().await.unwrap();
    rows.iter().filter(|row| row.is_running()).map(|row| row.task().arn).collect()
}

/// What the pattern lets through, by the documentation: tasks that run and tasks that are to stop, of one cluster.
fn is_wanted(event: &Value) -> bool {
    let detail = &event["detail"];
    detail["clusterArn"] == PROD
        && (detail["lastStatus"] == "RUNNING" || detail["desiredStatus"] == "STOPPED")
}

#[tokio::test]
async fn events_through_the_rule_fill_the_registry_and_a_broadcast_calls_the_running_tasks() {
    let mut world = world("prod").await;
    let pattern = pattern(json!([PROD]));
    task_events::put_rule(&mut world.boto, "registry", &pattern, &queue_arn(QueueName::Registry)).await;
    request_sweep(&world, "prod").await;
    let is_swept = async || is_processed(&world).await && registered(&world).await == running(&world);
    world.invoke_until("the cluster is not swept", is_swept).await;
    task_events::changes(&world.sim).await;
    world.sim.reset_calls();

    let stopped = running(&world).pop_first().unwrap();
    world.sim.stop_task(&stopped).await.unwrap();
    let mut started = BTreeSet::new();
    for service in ["web", "web", "api"] {
        started.insert(world.sim.start_task("prod", service).await.unwrap());
    }
    world.sim.start_task("test", "hosted").await.unwrap();
    let events = task_events::changes(&world.sim).await;
    let mut counts = BTreeMap::<_, usize>::new();
    for event in &events {
        let parameters = json!({ "EventPattern": pattern.to_string(), "Event": event.to_string() });
        let answer = world.boto.call("events", "test_event_pattern", parameters).await;
        assert_eq!(answer["Result"], is_wanted(event), "{event:#}");
        *counts.entry((event["detail"]["clusterArn"] == PROD, is_wanted(event))).or_default() += 1;
    }
    assert_eq!(
        counts.len(),
        3,
        "events that are wanted, that say nothing new, and of another cluster: {counts:?}"
    );
    task_events::put(&mut world.boto, &events).await;
    let is_known = async || is_processed(&world).await && registered(&world).await == running(&world);
    world.invoke_until("the registry is not as the cluster", is_known).await;
    assert!(running(&world).is_superset(&started) && !running(&world).contains(&stopped));

    world.publish(ObserverMessage::new("prod")).await;
    world.invoke_until("the broadcast does not end", async || world.has_ended().await).await;
    let recorded = world.recorded().await.unwrap();
    assert_eq!(recorded.report.found().unwrap().method, DiscoveryMethod::Registry);
    let mut called: Vec<_> = world.sim.received().into_iter().map(|call| call.task).collect();
    called.sort();
    assert_eq!(
        called,
        running(&world).into_iter().collect::<Vec<_>>(),
        "each running task once, and no other"
    );
    for operation in ["ListTasks", "DescribeTasks", "ListServices", "DescribeServices"] {
        assert_eq!(world.sim.count(operation), 0, "{operation}: events say enough");
    }
}

/// Sweeps of every cluster, and the events of a task.
#[tokio::test]
async fn the_role_of_the_function_allows_what_it_calls_and_no_more() {
    let mut world = world("*").await;
    let pattern = pattern(json!([{ "prefix": "arn:aws:ecs:us-east-1:111122223333:cluster/" }]));
    task_events::put_rule(&mut world.boto, "registry", &pattern, &queue_arn(QueueName::Registry)).await;
    request_sweep(&world, "*").await;
    let is_swept =
        async || is_processed(&world).await && registry(&world).clusters().await.unwrap().len() == 2;
    world.invoke_until("the clusters are not swept", is_swept).await;
    world.sim.start_task("test", "hosted").await.unwrap();
    let events = task_events::changes(&world.sim).await;
    task_events::put(&mut world.boto, &events).await;
    world.invoke_until("the events are not processed", async || is_processed(&world).await).await;
    let action = |call: simulator::Call| match call.service {
        Service::Ecs => Some(format!("ecs:{}", call.operation)),
        Service::Ec2 => Some(format!("ec2:{}", call.operation)),
        _ => None,
    };
    let called: BTreeSet<_> = world.sim.calls().into_iter().filter_map(action).collect();
    let settings: Value = serde_json::from_str(SETTINGS).unwrap();
    let allowed = settings["actions"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
    assert_eq!(called, allowed.collect());
}
