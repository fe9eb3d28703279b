//! `ListContainerInstances` and `DescribeContainerInstances`.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::fleet::HostKind;
use crate::world::{Host, Task, count};

use super::page::Page;
use super::{Request, timestamp, without_nulls};

pub(super) fn list(request: &Request<'_>) -> Result<Value, AwsError> {
    let cluster = request.cluster()?;
    let known = ["ACTIVE", "DRAINING", "REGISTERING", "DEREGISTERING", "REGISTRATION_FAILED"];
    let status = request.input.one_of("status", &known)?;
    let page = Page::of(request, 100)?;
    let (arns, token) = page.cut(cluster.hosts.iter(), |host| {
        // Without a status, the API lists active and draining instances: all that a fleet has.
        status.is_none_or(|wanted| wanted == host.status).then_some(host.arn.as_str())
    });
    Ok(without_nulls(json!({ "containerInstanceArns": arns, "nextToken": token })))
}

pub(super) fn describe(request: &Request<'_>) -> Result<Value, AwsError> {
    let cluster = request.cluster()?;
    let named = request.input.named("containerInstances", 100)?;
    let mut tasks: HashMap<usize, Vec<&Task>> = HashMap::new();
    for task in &cluster.tasks {
        tasks.entry(task.host.unwrap_or(usize::MAX)).or_default().push(task);
    }
    let (instances, failures) = request.describe(
        &named,
        |id| request.world.arns.container_instance(&cluster.name, id),
        |named| {
            let Some(id) = request.within(cluster, "container-instance", named)? else { return Ok(None) };
            let found = cluster.hosts.iter().enumerate().find(|(_, host)| host.id == id);
            Ok(found.map(|(place, host)| shape(host, tasks.get(&place).map_or(&[][..], Vec::as_slice))))
        },
    )?;
    Ok(json!({ "containerInstances": instances, "failures": failures }))
}

fn shape(host: &Host, tasks: &[&Task]) -> Value {
    let (pending, running) = count(tasks.iter().copied());
    let known = [
        ("ecs.availability-zone", host.zone.as_str()),
        ("ecs.os-type", "linux"),
        ("ecs.cpu-architecture", "x86_64"),
    ];
    // A machine outside AWS is in no zone.
    let known = known.into_iter().filter(|_| host.kind != HostKind::Anywhere);
    let custom = host.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let attributes: Vec<_> =
        known.chain(custom).map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "containerInstanceArn": host.arn,
        "ec2InstanceId": host.instance,
        "version": 1,
        "versionInfo": { "agentVersion": "1.100.0", "dockerVersion": "DockerVersion: 25.0.14" },
        "remainingResources": [],
        "registeredResources": [],
        "status": host.status,
        "agentConnected": host.agent_connected,
        "runningTasksCount": running,
        "pendingTasksCount": pending,
        "attributes": attributes,
        "registeredAt": timestamp(host.registered_at),
        "attachments": [],
        "tags": [],
    })
}
