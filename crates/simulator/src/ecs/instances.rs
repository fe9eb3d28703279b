//! `ListContainerInstances` and `DescribeContainerInstances`.

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::fleet::HostKind;
use crate::world::{Cluster, Host, count};

use super::page::Page;
use super::{Request, timestamp, without_nulls};

pub(super) fn list(request: &Request<'_>) -> Result<Value, AwsError> {
    let cluster = request.cluster()?;
    let known = ["ACTIVE", "DRAINING", "REGISTERING", "DEREGISTERING", "REGISTRATION_FAILED"];
    let status = request.input.one_of("status", &known)?;
    let page = Page::of(request, 100)?;
    let (arns, token) = page.cut(cluster.hosts.iter().map(|host| {
        // Without a status, the API lists active and draining instances: all that a fleet has.
        status.is_none_or(|wanted| wanted == host.status).then_some(host.arn.as_str())
    }));
    Ok(without_nulls(json!({ "containerInstanceArns": arns, "nextToken": token })))
}

pub(super) fn describe(request: &Request<'_>) -> Result<Value, AwsError> {
    let cluster = request.cluster()?;
    let named = request.input.named("containerInstances", 100)?;
    let (instances, failures) = request.describe(
        &named,
        |id| request.world.arns.container_instance(&cluster.name, id),
        |named| {
            let Some(id) = request.within(cluster, "container-instance", named)? else { return Ok(None) };
            let found = cluster.hosts.iter().enumerate().find(|(_, host)| host.id == id);
            Ok(found.map(|(place, host)| shape(cluster, host, place)))
        },
    )?;
    Ok(json!({ "containerInstances": instances, "failures": failures }))
}

fn shape(cluster: &Cluster, host: &Host, place: usize) -> Value {
    let (pending, running) = count(cluster.tasks.iter().filter(|task| task.host == Some(place)));
    let attributes = |zone: &str| {
        json!([
            { "name": "ecs.availability-zone", "value": zone },
            { "name": "ecs.os-type", "value": "linux" },
            { "name": "ecs.cpu-architecture", "value": "x86_64" },
        ])
    };
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
        // A machine outside AWS is in no zone.
        "attributes": if host.kind == HostKind::Anywhere { json!([]) } else { attributes(&host.zone) },
        "registeredAt": timestamp(host.registered_at),
        "attachments": [],
        "tags": [],
    })
}
