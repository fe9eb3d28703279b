//! What an event says of its task: much of what `DescribeTasks` says, with other names for attachments, times as text,
//! and without health and tags.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS task state change events", and AWS's schema
//! `aws.ecs@ECSTaskStateChange`.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

use crate::chance::{Draw, seed_of};
use crate::ecs::{attachment_details, attachment_status, interfaces, port_bindings, without_nulls};
use crate::fleet::{Container, LaunchType, TaskStatus};
use crate::world::{Cluster, Definition, Network, Task};

const MILLISECONDS: EncodedConfig = precision(Some(3));
const SECONDS: EncodedConfig = precision(None);

const fn precision(digits: Option<u8>) -> EncodedConfig {
    let decimal_digits = match digits {
        None => None,
        Some(digits) => std::num::NonZeroU8::new(digits),
    };
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits }).encode()
}

/// A time as an event's detail has it: `2026-01-01T00:00:00.000Z`.
fn time(at: Duration) -> String {
    (OffsetDateTime::UNIX_EPOCH + at).format(&Iso8601::<MILLISECONDS>).unwrap_or_default()
}

/// A time as the envelope has it: `2026-01-01T00:00:00Z`.
pub(super) fn time_in_seconds(at: Duration) -> String {
    (OffsetDateTime::UNIX_EPOCH + at).format(&Iso8601::<SECONDS>).unwrap_or_default()
}

/// The detail of an event about this task as it is now.
pub(crate) fn detail(cluster: &Cluster, task: &Task, now: Duration) -> Value {
    let recipe = &task.recipe;
    let started = (!task.last_status.is_starting()).then(|| time(task.created_at));
    let stopped = task.stopped_at.map(time);
    let is_fargate = recipe.launch_type == LaunchType::Fargate;
    let containers = task.definitions().iter().enumerate().map(|(place, it)| container(task, place, it));
    let names = task.definitions().iter().map(|container| json!({ "name": container.name }));
    without_nulls(json!({
        "taskArn": task.arn,
        "clusterArn": cluster.arn,
        "taskDefinitionArn": recipe.definition.arn,
        "containerInstanceArn": task.host.and_then(|host| cluster.hosts.get(host)).map(|host| &host.arn),
        "group": recipe.group,
        "startedBy": recipe.started_by,
        "launchType": recipe.launch_type,
        "platformVersion": is_fargate.then_some("1.4.0"),
        "ephemeralStorage": is_fargate.then(|| json!({ "sizeInGiB": 20 })),
        "enableExecuteCommand": false,
        "availabilityZone": task.zone(),
        "lastStatus": task.last_status,
        "desiredStatus": task.desired_status,
        "connectivity": if task.connected { "CONNECTED" } else { "DISCONNECTED" },
        "connectivityAt": started,
        "attachments": attachments(task),
        "attributes": [{ "name": "ecs.cpu-architecture", "value": "x86_64" }],
        "containers": containers.collect::<Vec<_>>(),
        "cpu": "256",
        "memory": "512",
        "overrides": { "containerOverrides": names.collect::<Vec<_>>() },
        "createdAt": time(task.created_at),
        "pullStartedAt": started,
        "pullStoppedAt": started,
        "startedAt": started,
        "updatedAt": time(now),
        "stoppingAt": stopped,
        "executionStoppedAt": stopped,
        "stoppedAt": stopped,
        "stoppedReason": task.stopped_reason,
        "stopCode": task.stopped_reason.map(|_| "ServiceSchedulerInitiated"),
        "version": task.version,
    }))
}

fn container(task: &Task, place: usize, container: &Container) -> Value {
    let ids = task.containers.get(place);
    let status = task.container_status(container);
    // The schema has no place for ranges of ports.
    let bindings: Vec<_> = port_bindings(task, place, status)
        .into_iter()
        .filter(|binding| binding.get("containerPort").is_some())
        .collect();
    without_nulls(json!({
        "containerArn": ids.map(|ids| &ids.arn),
        "taskArn": task.arn,
        "name": container.name,
        "image": Definition::image(container),
        "runtimeId": ids.filter(|_| status != TaskStatus::Pending).map(|ids| &ids.runtime),
        "lastStatus": status,
        "exitCode": (status == TaskStatus::Stopped).then_some(0),
        "networkBindings": (!bindings.is_empty()).then_some(bindings),
        "networkInterfaces": interfaces(task),
        "cpu": "0",
    }))
}

/// The network interface, and for a service's task the load balancer's attachment before it, which has no details.
fn attachments(task: &Task) -> Vec<Value> {
    let Network::Own(interface) = &task.network else { return Vec::new() };
    let status = attachment_status(task.last_status);
    let balancer = task.recipe.service.as_ref().map(|_| {
        let id = Draw::new(seed_of(0, &interface.attachment)).uuid();
        json!({ "id": id, "type": "elb", "status": status, "details": [] })
    });
    let own = json!({
        "id": interface.attachment,
        "type": "eni",
        "status": status,
        "details": attachment_details(interface, task.last_status),
    });
    balancer.into_iter().chain([own]).collect()
}
