//! Task state change events of the simulator, through a rule of MiniStack's EventBridge.
//!
//! EventBridge refuses events of `aws.ecs` from anybody but ECS, and so does MiniStack. So the rule gets a second source, and
//! its target gives the event the source of ECS back.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use simulator::fleet::EventTarget;
use simulator::{Options, QueueSpec, Simulator};

use crate::boto::Boto;

/// The source of events that anybody may put.
const SECOND_SOURCE: &str = "com.example.ecs";
/// The queue to which the simulator sends every change of a task.
const CHANGES: &str = "changes";
/// Entries of one `PutEvents`. Source: Amazon EventBridge API Reference.
const ENTRIES_MAX: usize = 10;
/// The fields of an event that its target receives as they are.
const FIELDS: [&str; 8] =
    ["version", "id", "detail-type", "account", "time", "region", "resources", "detail"];

/// Returns options of a simulator that keeps the changes of its tasks for [`changes`].
pub fn options() -> Options {
    // A change is received once.
    let attributes = [("VisibilityTimeout".to_owned(), "43200".to_owned())].into();
    let queues = vec![QueueSpec { name: CHANGES.to_owned(), attributes }];
    Options {
        queues,
        events: Some(EventTarget { queue: CHANGES.to_owned(), all: true }),
        ..Options::default()
    }
}

/// Returns the changes of tasks since the last call, as events of ECS.
pub async fn changes(sim: &Simulator) -> Vec<Value> {
    let url = format!("{}/111122223333/{CHANGES}", sim.url());
    let asked = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 });
    let mut changes = Vec::new();
    loop {
        let answer = sim.sqs("ReceiveMessage", asked.clone()).await.unwrap();
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            return changes;
        }
        let event = |message: &Value| serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
        changes.extend(messages.iter().map(event));
    }
}

/// Creates or replaces a rule with this pattern and the second source, and with this queue as its target.
pub async fn put_rule(boto: &mut Boto, name: &str, pattern: &Value, queue: &str) {
    let mut pattern = pattern.clone();
    pattern["source"].as_array_mut().unwrap().push(json!(SECOND_SOURCE));
    let rule = json!({ "Name": name, "EventPattern": pattern.to_string() });
    boto.call("events", "put_rule", rule).await;
    let variable = |field: &str| field.replace('-', "_");
    let paths: BTreeMap<_, _> = FIELDS.map(|field| (variable(field), format!("$.{field}"))).into();
    let fields = FIELDS.map(|field| format!("\"{field}\": <{}>", variable(field))).join(", ");
    let template = format!("{{ \"source\": \"aws.ecs\", {fields} }}");
    let transformer = json!({ "InputPathsMap": paths, "InputTemplate": template });
    // The id of the target in the Terraform module.
    let target = json!({ "Id": "ecs-task-notifier", "Arn": queue, "InputTransformer": transformer });
    let answer = boto.call("events", "put_targets", json!({ "Rule": name, "Targets": [target] })).await;
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
}

/// Puts these events on the bus, the last first and each twice.
pub async fn put(boto: &mut Boto, events: &[Value]) {
    let entry = |event: &Value| {
        json!({
            "Source": SECOND_SOURCE, "DetailType": event["detail-type"],
            "Detail": event["detail"].to_string(), "Resources": event["resources"],
        })
    };
    let entries: Vec<_> = events.iter().rev().flat_map(|event| [entry(event), entry(event)]).collect();
    for entries in entries.chunks(ENTRIES_MAX) {
        let answer = boto.call("events", "put_events", json!({ "Entries": entries })).await;
        assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
    }
}
