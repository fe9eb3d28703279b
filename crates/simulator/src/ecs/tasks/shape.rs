//! A task as `DescribeTasks` shows it, by network mode and place in its life.

use serde_json::{Value, json};

use crate::fleet::{Container, LaunchType, TaskStatus};
use crate::world::{Cluster, Definition, Interface, Network, Task};

use super::super::{timestamp, without_nulls};

pub(super) fn task(cluster: &Cluster, task: &Task) -> Value {
    let recipe = &task.recipe;
    let started = (!task.last_status.is_starting()).then(|| timestamp(task.created_at));
    let stopped = task.stopped_at.map(timestamp);
    let fargate = recipe.launch_type == LaunchType::Fargate;
    let containers = task.definitions().iter().enumerate().map(|(place, it)| container(task, place, it));
    without_nulls(json!({
        "taskArn": task.arn,
        "clusterArn": cluster.arn,
        "taskDefinitionArn": recipe.definition.arn,
        "containerInstanceArn": task.host.and_then(|host| cluster.hosts.get(host)).map(|host| &host.arn),
        "group": recipe.group,
        "startedBy": recipe.started_by,
        "launchType": recipe.launch_type,
        "platformVersion": fargate.then_some("1.4.0"),
        "platformFamily": fargate.then_some("Linux"),
        "availabilityZone": task.zone(),
        "lastStatus": task.last_status,
        "desiredStatus": task.desired_status,
        "healthStatus": task.health(),
        "connectivity": if task.connected { "CONNECTED" } else { "DISCONNECTED" },
        "connectivityAt": started,
        "attachments": attachments(task),
        "attributes": [{ "name": "ecs.cpu-architecture", "value": "x86_64" }],
        "containers": containers.collect::<Vec<_>>(),
        "cpu": "256",
        "memory": "512",
        "overrides": { "containerOverrides": [], "inferenceAcceleratorOverrides": [] },
        "inferenceAccelerators": [],
        "tags": [],
        "enableExecuteCommand": false,
        "createdAt": timestamp(task.created_at),
        "pullStartedAt": started,
        "pullStoppedAt": started,
        "startedAt": started,
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
    let stopped = status == TaskStatus::Stopped;
    without_nulls(json!({
        "containerArn": ids.map(|ids| &ids.arn),
        "taskArn": task.arn,
        "name": container.name,
        "image": Definition::image(container),
        "runtimeId": ids.filter(|_| status != TaskStatus::Pending).map(|ids| &ids.runtime),
        "lastStatus": status,
        "exitCode": stopped.then_some(0),
        "networkBindings": port_bindings(task, place, status),
        "networkInterfaces": interfaces(task),
        "healthStatus": task.container_health(container),
        "cpu": "0",
    }))
}

/// Bridge mode alone has bindings, and only while the container runs. Host mode has none although ports are mapped.
pub(crate) fn port_bindings(task: &Task, place: usize, status: TaskStatus) -> Vec<Value> {
    let Network::Bridge { ips, bindings } = &task.network else { return Vec::new() };
    if !status.has_processes() {
        return Vec::new();
    }
    let of_container = bindings.iter().filter(|binding| binding.container == place);
    let both = of_container.flat_map(|binding| ips.all().map(move |ip| (binding, ip)));
    both.map(|(binding, ip)| {
        let (mapping, bind) = (binding.mapping, if ip.is_ipv4() { "0.0.0.0" } else { "::" });
        if mapping.is_range {
            json!({
                "bindIP": bind,
                "protocol": mapping.protocol,
                "containerPortRange": format!("{}-{}", mapping.first, mapping.last),
                "hostPortRange": format!("{}-{}", binding.host_port, binding.host_port + mapping.width() - 1),
            })
        } else {
            json!({
                "bindIP": bind,
                "protocol": mapping.protocol,
                "containerPort": mapping.first,
                "hostPort": binding.host_port,
            })
        }
    })
    .collect()
}

/// An awsvpc task's interface, as each container repeats it, once it is there. It stays after the task has stopped.
pub(crate) fn interfaces(task: &Task) -> Vec<Value> {
    match &task.network {
        Network::Own(interface) if task.last_status != TaskStatus::Provisioning => {
            vec![without_nulls(json!({
                "attachmentId": interface.attachment,
                "privateIpv4Address": interface.ips.v4,
                "ipv6Address": interface.ips.v6,
            }))]
        }
        _ => Vec::new(),
    }
}

fn attachments(task: &Task) -> Vec<Value> {
    let Network::Own(interface) = &task.network else { return Vec::new() };
    vec![json!({
        "id": interface.attachment,
        "type": "ElasticNetworkInterface",
        "status": attachment_status(task.last_status),
        "details": attachment_details(interface, task.last_status),
    })]
}

/// The status of a task's attachments.
pub(crate) fn attachment_status(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Provisioning => "PRECREATED",
        TaskStatus::Deprovisioning => "DETACHING",
        TaskStatus::Stopped => "DELETED",
        _ => "ATTACHED",
    }
}

pub(crate) fn attachment_details(interface: &Interface, status: TaskStatus) -> Vec<Value> {
    let subnet = ("subnetId", interface.subnet.clone());
    if status == TaskStatus::Provisioning {
        return vec![detail(&subnet)];
    }
    let mut details =
        vec![subnet, ("networkInterfaceId", interface.id.clone()), ("macAddress", interface.mac.clone())];
    details.extend(interface.ips.v4.map(|ip| ("privateIPv4Address", ip.to_string())));
    details.extend(interface.ips.v6.map(|ip| ("ipv6Address", ip.to_string())));
    details.iter().map(detail).collect()
}

fn detail((name, value): &(&str, String)) -> Value {
    json!({ "name": name, "value": value })
}
