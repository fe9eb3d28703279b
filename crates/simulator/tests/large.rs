//! A large account in one process: 5,000 services, 100,000 tasks, each at an address of its own.
//!
//! Alone in its file, so that the process's memory is this fleet's.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[allow(dead_code, reason = "the other live tests look at more of an answer")]
mod client;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use client::{Ended, ecs, free_port, post};
use serde_json::{Value, json};
use simulator::fleet::EventTarget;
use simulator::{Changed, Churn, Fleet, Options, QueueSpec, Simulator};

/// Memory of the process that the fleet may take. 217 MiB were measured in a build for tests.
const MIB_MAX: u64 = 300;
/// A build for tests took 2 s on an idle processor.
const START_MAX: Duration = Duration::from_secs(120);

/// Resident memory in MiB.
fn resident_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

/// Every page of a list.
async fn pages(sim: &Simulator, operation: &str, items: &str, mut parameters: Value) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let page = ecs(sim, operation, &parameters).await;
        all.extend(page[items].as_array().unwrap().iter().map(|arn| arn.as_str().unwrap().to_owned()));
        match page.get("nextToken") {
            None => return all,
            Some(token) => parameters["nextToken"] = token.clone(),
        }
    }
}

#[tokio::test]
async fn a_hundred_thousand_tasks_listen_within_bounded_memory() {
    let port = free_port();
    let toml = format!(
        "[[cluster]]\nname = 'big'\n[[cluster.service]]\nname = 's'\ncopies = 5_000\ntasks = 20\n\
                launch_type = 'FARGATE'\n[[cluster.service.container]]\nname = 'app'\nports = [{port}]\n\
                labels = {{ NOTIFY_ME_CONTAINER_PORT = '{port}', NOTIFY_ME_API_URI = '/v1.0/notify' }}"
    );
    let (before, started) = (resident_mib(), Instant::now());
    let queues = vec![QueueSpec { name: "events".to_owned(), ..QueueSpec::default() }];
    let events = Some(EventTarget { queue: "events".to_owned(), all: false });
    let options = Options { queues, events, ..Options::default() };
    let sim = Simulator::start(Fleet::from_toml(&toml).unwrap(), options).await.unwrap();
    let took = started.elapsed();
    let after = resident_mib();
    println!("started in {took:?}, {before:?} MiB before and {after:?} MiB after");
    assert!(took < START_MAX, "{took:?}");
    if let (Some(before), Some(after)) = (before, after) {
        assert!(after - before < MIB_MAX, "{before} MiB before and {after} MiB after");
    }

    let started = Instant::now();
    let listed = pages(&sim, "ListTasks", "taskArns", json!({ "cluster": "big" })).await;
    let different: HashSet<_> = listed.iter().collect();
    assert_eq!((sim.count("ListTasks"), different.len()), (1_000, 100_000));
    println!("listed in {:?}", started.elapsed());
    let started = Instant::now();
    let of_service = json!({ "cluster": "big", "serviceName": "s-5000" });
    assert_eq!(pages(&sim, "ListTasks", "taskArns", of_service).await, &listed[99_980..]);
    let services =
        pages(&sim, "ListServices", "serviceArns", json!({ "cluster": "big", "maxResults": 100 })).await;
    assert_eq!(services.len(), 5_000);
    let found =
        ecs(&sim, "DescribeServices", &json!({ "cluster": "big", "services": services[4_990..] })).await;
    assert_eq!(found["services"][9]["runningCount"], 20);
    println!("services in {:?}", started.elapsed());

    let tasks = sim.tasks();
    let addresses: HashSet<_> = tasks.iter().map(|task| task.endpoints[0].address).collect();
    assert_eq!(addresses.len(), 100_000);
    for task in tasks.iter().step_by(499) {
        assert_eq!(post(task.endpoints[0].address, "/v1.0/notify", "{}").await.status(), 200, "{task:?}");
    }
    let answered: Vec<_> = sim.received().into_iter().map(|received| received.task).collect();
    assert_eq!(answered, tasks.iter().step_by(499).map(|task| task.arn.clone()).collect::<Vec<_>>());

    let started = Instant::now();
    let changed = sim.churn(&Churn::new(1), 1_000, Duration::ZERO).await.unwrap();
    assert!(!changed.contains(&Changed::Nothing));
    assert!(sim.events_sent() > 1_000);
    println!("{} events of 1,000 changes in {:?}", sim.events_sent(), started.elapsed());

    sim.stop_task(&tasks[7].arn).await.unwrap();
    let ended = post(tasks[7].endpoints[0].address, "/", "").await;
    assert!(matches!(ended, Ended::Broken | Ended::Refused), "nobody answers for a stopped task: {ended:?}");
    sim.stop().await;
    let ended = post(tasks[8].endpoints[0].address, "/", "").await;
    assert!(matches!(ended, Ended::Refused), "the listener has closed: {ended:?}");
}
