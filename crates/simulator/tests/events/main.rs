//! Task state change events in a queue, and what can happen to them on their way.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::faults::{Fault, TASK_EVENT, When};
use simulator::fleet::EventTarget;
use simulator::{Fleet, Latency, Options, QueueSpec, Simulator};

/// Every network mode, in one cluster: Fargate `app`, `bridge`, `host` and a standalone task.
const FLEET: &str = "
    addresses = 'private'
    [[cluster]]
    name = 'c'
    hosts = [{ count = 3 }]
    [[cluster.service]]
    name = 'app'
    launch_type = 'FARGATE'
    ip = 'dual'
    tasks = 3
    [[cluster.service.container]]
    name = 'a'
    ports = [8080]
    [[cluster.service.container]]
    name = 'late'
    last_status = 'PENDING'
    [[cluster.service]]
    name = 'bridge'
    [[cluster.service.container]]
    name = 'a'
    ports = [80, { range = '90-92' }]
    [[cluster.service]]
    name = 'host'
    network_mode = 'host'
    [[cluster.service.container]]
    name = 'a'
    ports = [9100]
    [[cluster.standalone]]
    family = 'job'
    launch_type = 'FARGATE'
    [[cluster.standalone.container]]
    name = 'a'
    ports = [80]
";

async fn start(all: bool) -> Simulator {
    let events = Some(EventTarget { queue: "events".to_owned(), all });
    let queues = vec![QueueSpec { name: "events".to_owned(), ..QueueSpec::default() }];
    let options = Options { events, queues, ..Options::default() };
    Simulator::start(Fleet::from_toml(FLEET).unwrap(), options).await.unwrap()
}

/// Takes all that is in the queue, in the order of arrival.
async fn arrived(sim: &Simulator) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let ask = json!({ "QueueUrl": "events", "MaxNumberOfMessages": 10, "VisibilityTimeout": 43_200 });
        let answer = sim.sqs("ReceiveMessage", ask).await.unwrap();
        let Some(messages) = answer.get("Messages").and_then(Value::as_array) else { return events };
        events.extend(
            messages.iter().map(|it| serde_json::from_str::<Value>(it["Body"].as_str().unwrap()).unwrap()),
        );
    }
}

/// Status, desired status and version of each event.
fn steps(events: &[Value]) -> Vec<String> {
    let text = |event: &Value, name: &str| event["detail"][name].as_str().unwrap().to_owned();
    let step = |event| {
        format!(
            "{} {} {}",
            text(event, "lastStatus"),
            text(event, "desiredStatus"),
            event["detail"]["version"]
        )
    };
    events.iter().map(step).collect()
}

fn arn_of(event: &Value) -> &str {
    event["detail"]["taskArn"].as_str().unwrap()
}

fn task_of(sim: &Simulator, service: &str, place: usize) -> String {
    let tasks = sim.tasks();
    tasks.iter().filter(|task| task.service.as_deref() == Some(service)).nth(place).unwrap().arn.clone()
}

#[tokio::test(start_paused = true)]
async fn events_fit_the_schema_of_aws_in_every_mode_and_at_every_step() {
    let sim = start(true).await;
    for service in ["app", "bridge"] {
        sim.start_task("c", service).await.unwrap();
    }
    sim.move_address(&task_of(&sim, "app", 0), &task_of(&sim, "app", 1)).await.unwrap();
    for task in sim.tasks() {
        sim.stop_task(&task.arn).await.unwrap();
    }
    let (events, schema) = (arrived(&sim).await, schema::detail());
    assert_eq!(events.len(), 4 + 2 + 5 + 1 + 3 * 5 + 2 * 3 + 3 + 5);
    for event in &events {
        assert_eq!(schema::mistakes(&schema, &event["detail"], "detail"), Vec::<String>::new(), "{event}");
        assert_eq!((&event["source"], &event["version"]), (&json!("aws.ecs"), &json!("0")));
        assert_eq!(
            (&event["detail-type"], &event["resources"]),
            (&json!("ECS Task State Change"), &json!([arn_of(event)]))
        );
        assert_eq!((&event["region"], &event["account"]), (&json!("us-east-1"), &json!("111122223333")));
        assert_eq!(event["time"], "2026-01-01T00:00:00Z");
        assert_eq!(event["detail"]["updatedAt"], "2026-01-01T00:00:00.000Z");
    }
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len());
}

#[test]
fn the_validator_finds_what_is_wrong() {
    let wrong = json!({ "version": "4", "containers": [{ "name": "a" }], "healthStatus": "HEALTHY" });
    let found = schema::mistakes(&schema::detail(), &wrong, "detail");
    for expected in [
        "detail.taskArn is missing",
        "detail.containers[].taskArn is missing",
        "detail.healthStatus is unknown",
    ] {
        assert!(found.contains(&expected.to_owned()), "{found:?}");
    }
    assert!(found.iter().any(|mistake| mistake.starts_with("detail.version is \"4\", not")), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn versions_count_the_steps_of_a_task_and_equal_those_of_the_api() {
    let sim = start(true).await;
    let arn = sim.start_task("c", "app").await.unwrap();
    let first = ["PROVISIONING RUNNING 1", "PENDING RUNNING 2", "ACTIVATING RUNNING 3", "RUNNING RUNNING 4"];
    assert_eq!(steps(&arrived(&sim).await), first);
    assert_eq!(sim.task(&arn).unwrap().version, 4);
    assert!(
        sim.tasks()
            .iter()
            .all(|task| task.version == if task.endpoints[0].address.port() < 9_000 { 4 } else { 2 })
    );
    sim.stop_task(&arn).await.unwrap();
    sim.stop_task(&arn).await.unwrap();
    let last = [
        "RUNNING STOPPED 5",
        "DEACTIVATING STOPPED 6",
        "STOPPING STOPPED 7",
        "DEPROVISIONING STOPPED 8",
        "STOPPED STOPPED 9",
    ];
    let events = arrived(&sim).await;
    assert_eq!(steps(&events), last);
    assert_eq!(sim.task(&arn).unwrap().version, 9);
    let end = &events[4]["detail"];
    let kinds: Vec<_> =
        end["attachments"].as_array().unwrap().iter().map(|it| (&it["type"], &it["status"])).collect();
    assert_eq!(kinds, [(&json!("elb"), &json!("DELETED")), (&json!("eni"), &json!("DELETED"))]);
    let address = &end["containers"][0]["networkInterfaces"][0]["privateIpv4Address"];
    assert!(address.is_string(), "the event of a stopped task has its old address: {end}");
    assert_eq!(end["containers"][1]["lastStatus"], "STOPPED");
}

#[tokio::test(start_paused = true)]
async fn the_usual_rule_lets_through_what_changes_the_set_of_tasks_to_call() {
    let sim = start(false).await;
    let arn = sim.start_task("c", "app").await.unwrap();
    sim.stop_task(&task_of(&sim, "bridge", 0)).await.unwrap();
    let expected = ["RUNNING RUNNING 4", "RUNNING STOPPED 3", "STOPPING STOPPED 4", "STOPPED STOPPED 5"];
    assert_eq!(steps(&arrived(&sim).await), expected);
    sim.move_address(&task_of(&sim, "app", 0), &arn).await.unwrap();
    let events = arrived(&sim).await;
    let moved = events.last().unwrap();
    assert_eq!((arn_of(moved), steps(&events).pop().unwrap().as_str()), (arn.as_str(), "RUNNING RUNNING 5"));
    assert_eq!(moved["detail"]["containers"][1]["lastStatus"], "PENDING", "in the event of a running task");
    assert_eq!(sim.events_sent(), 4 + 5 + 1);
}

/// Stops tasks 0, 1 and 2 of `app` with one fault ordered, and returns places and steps of what has arrived by then.
async fn with(fault: Fault, when: When) -> (Simulator, Vec<String>) {
    let sim = start(false).await;
    sim.faults().order(TASK_EVENT, when, fault);
    for place in 0..3 {
        sim.start_task("c", "app").await.unwrap();
        sim.stop_task(&task_of(&sim, "app", place)).await.unwrap();
    }
    let versions = steps(&arrived(&sim).await);
    (sim, versions)
}

#[tokio::test(start_paused = true)]
async fn events_are_lost_doubled_and_written_otherwise_as_ordered() {
    let (_, usual) = with(Fault::LoseEvent, When::Nth(0)).await;
    assert_eq!(usual.len(), 3 * 6);
    let (sim, found) = with(Fault::LoseEvent, When::Every(6)).await;
    assert_eq!(found, usual.iter().filter(|step| *step != "STOPPED STOPPED 9").cloned().collect::<Vec<_>>());
    assert_eq!(sim.faults().struck()[&(TASK_EVENT.to_owned(), "lose event")], 3);
    let (_, found) = with(Fault::DoubleEvent, When::Nth(2)).await;
    assert_eq!(
        found[..4],
        ["RUNNING RUNNING 4", "RUNNING STOPPED 5", "RUNNING STOPPED 5", "DEACTIVATING STOPPED 6"]
    );
    let (_, found) = with(Fault::FloatVersion, When::Nth(1)).await;
    assert_eq!(found[..2], ["RUNNING RUNNING 4.0", "RUNNING STOPPED 5"]);
}

#[tokio::test(start_paused = true)]
async fn events_change_places_and_come_late_as_ordered() {
    let (_, found) = with(Fault::SwapEvent, When::Nth(5)).await;
    assert_eq!(
        found[3..7],
        ["STOPPING STOPPED 7", "STOPPED STOPPED 9", "DEPROVISIONING STOPPED 8", "RUNNING RUNNING 4"]
    );
    let (sim, found) = with(Fault::SwapEvent, When::Nth(18)).await;
    assert_eq!((found.len(), sim.events_waiting()), (17, 1), "no event follows");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(steps(&arrived(&sim).await), ["STOPPED STOPPED 9"]);

    let (sim, found) = with(Fault::LateRunning, When::Nth(1)).await;
    assert_eq!(found[5..7], ["STOPPED STOPPED 9", "RUNNING RUNNING 4"]);
    assert_eq!((found.len(), sim.events_waiting()), (19, 0));

    let late = Latency { median_us: 60_000_000, p99_us: 600_000_000, seed: 1 };
    let (sim, found) = with(Fault::LateEvent(late), When::Every(2)).await;
    assert_eq!((found.len(), sim.events_waiting()), (9, 9));
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert_eq!((arrived(&sim).await.len(), sim.events_waiting()), (9, 0));
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_everything_arrives_in_its_order() {
    let (sim, found) = with(Fault::EventGap(Duration::from_mins(5)), When::Nth(3)).await;
    assert_eq!(found.len(), 2);
    tokio::time::sleep(Duration::from_secs(299)).await;
    sim.start_task("c", "app").await.unwrap();
    assert!(arrived(&sim).await.is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let events = arrived(&sim).await;
    assert_eq!(
        steps(&events)[..4],
        ["DEACTIVATING STOPPED 6", "STOPPING STOPPED 7", "DEPROVISIONING STOPPED 8", "STOPPED STOPPED 9"]
    );
    assert_eq!((events.len(), steps(&events).pop().unwrap().as_str()), (17, "RUNNING RUNNING 4"));
    assert_eq!(
        events[16]["time"], "2026-01-01T00:04:59Z",
        "an event says when it was made, not when it came"
    );
    sim.start_task("c", "app").await.unwrap();
    assert_eq!(arrived(&sim).await.len(), 1, "the gap is over");
}

/// Starts and stops with everything ordered at once; returns every event that arrived in the end, and the simulator.
async fn storm(seed: u64) -> (Simulator, Vec<Value>) {
    let sim = start(false).await;
    let minutes = Latency { median_us: 30_000_000, p99_us: 300_000_000, seed };
    let chances = [
        (Fault::DoubleEvent, 100),
        (Fault::SwapEvent, 200),
        (Fault::LateEvent(minutes), 50),
        (Fault::EventGap(Duration::from_mins(3)), 5),
        (Fault::LateRunning, 100),
    ];
    for (number, (fault, per_mille)) in (0..).zip(chances) {
        sim.faults().order(TASK_EVENT, When::Chance { per_mille, seed: seed * 10 + number }, fault);
    }
    for round in 0..40 {
        sim.start_task("c", "app").await.unwrap();
        sim.stop_task(&task_of(&sim, "app", round)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_hours(3)).await;
    assert_eq!(sim.events_waiting(), 0);
    let events = arrived(&sim).await;
    (sim, events)
}

#[tokio::test(start_paused = true)]
async fn without_losses_the_greatest_version_of_each_task_is_the_truth() {
    for seed in 0..10 {
        let (sim, events) = storm(seed).await;
        let mut newest: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
        for event in &events {
            let seen = (
                event["detail"]["version"].as_u64().unwrap(),
                event["detail"]["lastStatus"].as_str().unwrap(),
            );
            let newest = newest.entry(arn_of(event)).or_insert(seen);
            *newest = seen.max(*newest);
        }
        for (arn, (version, status)) in newest {
            let task = sim.task(arn).unwrap();
            assert_eq!((task.version, task.last_status.as_str()), (version, status), "seed {seed}");
        }
        let by_arrival: Vec<_> =
            events.iter().map(|event| (arn_of(event), event["detail"]["version"].as_u64())).collect();
        let again = |place: usize| {
            by_arrival[..place]
                .iter()
                .any(|(arn, version)| *arn == by_arrival[place].0 && *version >= by_arrival[place].1)
        };
        assert!((0..by_arrival.len()).any(again), "seed {seed}: neither doubled nor out of order");
        let (_, repeated) = storm(seed).await;
        assert_eq!(events, repeated, "the same seed sends the same events in the same order");
    }
}

#[tokio::test(start_paused = true)]
async fn each_account_and_region_sends_to_its_own_target_and_to_no_queue_that_is_not_there() {
    let fleet = |region: &str, events: &str| {
        Fleet::from_toml(&format!("region = '{region}'\n{events}\n{FLEET}")).unwrap()
    };
    let home = fleet("us-east-1", "events = { queue = 'gone' }");
    let elsewhere = vec![fleet("eu-west-1", "events = { queue = 'events' }"), fleet("eu-west-2", "")];
    let queues = vec![QueueSpec { name: "events".to_owned(), ..QueueSpec::default() }];
    let sim = Simulator::start(home, Options { elsewhere, queues, ..Options::default() }).await.unwrap();
    for task in sim.tasks().iter().filter(|task| task.service.as_deref() == Some("host")) {
        sim.stop_task(&task.arn).await.unwrap();
    }
    let events = arrived(&sim).await;
    assert_eq!((events.len(), sim.events_sent()), (3, 3));
    assert!(
        events.iter().all(|event| event["region"] == "eu-west-1" && arn_of(event).contains(":eu-west-1:"))
    );
}
