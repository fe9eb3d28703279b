//! Converts ECS's answers to the project's own types. Invalid values are left out: an item without an ARN, a port 0, a
//! text that is not an address.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use aws_sdk_ecs::types;
use time::OffsetDateTime;

use crate::model::{
    Attachment, ContainerSpec, ContainerState, Deployment, Host, NetworkInterface, NetworkMode, PortBinding,
    PortRange, Revision, ServiceState, TaskState,
};

/// A task; `None` without an ARN.
pub(super) fn task(task: types::Task) -> Option<TaskState> {
    Some(TaskState {
        arn: task.task_arn?,
        cluster: task.cluster_arn,
        group: task.group,
        last_status: task.last_status,
        desired_status: task.desired_status,
        revision: task.task_definition_arn,
        host: task.container_instance_arn,
        availability_zone: task.availability_zone,
        started_at: task.started_at.and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok()),
        version: task.version,
        containers: task.containers.unwrap_or_default().into_iter().map(container).collect(),
        attachments: task.attachments.unwrap_or_default().into_iter().map(attachment).collect(),
    })
}

fn container(container: types::Container) -> ContainerState {
    ContainerState {
        name: container.name.unwrap_or_default(),
        last_status: container.last_status,
        health: container.health_status.map(|status| status.as_str().to_owned()),
        bindings: container.network_bindings.iter().flatten().filter_map(binding).collect(),
        interfaces: container.network_interfaces.unwrap_or_default().into_iter().map(interface).collect(),
    }
}

/// The ports of a binding; `None` unless it has both ports.
fn binding(binding: &types::NetworkBinding) -> Option<PortBinding> {
    let one = |port: i32| PortRange::one(u16::try_from(port).ok()?);
    let range = |text: Option<&str>| PortRange::parse(text?);
    let (container, host) = match binding.container_port.and_then(one) {
        Some(container) => (container, one(binding.host_port?)?),
        None => (range(binding.container_port_range())?, range(binding.host_port_range())?),
    };
    let is_tcp = matches!(binding.protocol, None | Some(types::TransportProtocol::Tcp));
    Some(PortBinding { is_tcp, container, host })
}

fn interface(interface: types::NetworkInterface) -> NetworkInterface {
    NetworkInterface {
        v4: parsed(interface.private_ipv4_address()),
        v6: parsed(interface.ipv6_address()),
        attachment: interface.attachment_id,
    }
}

fn attachment(attachment: types::Attachment) -> Attachment {
    let detail = |name: &str| {
        let details = attachment.details().iter().filter(|detail| detail.name() == Some(name));
        details.filter_map(types::KeyValuePair::value).collect::<Vec<_>>()
    };
    Attachment {
        // API answers have the first type, events the second.
        is_interface: matches!(attachment.r#type(), Some("ElasticNetworkInterface" | "eni")),
        is_attached: attachment.status() == Some("ATTACHED"),
        v4: detail("privateIPv4Address").into_iter().find_map(|text| text.parse::<Ipv4Addr>().ok()),
        v6: detail("ipv6Address").into_iter().find_map(|text| text.parse::<Ipv6Addr>().ok()),
        id: attachment.id,
    }
}

/// A service; `None` without a name.
pub(super) fn service(service: types::Service) -> Option<ServiceState> {
    let sets = service.task_sets.unwrap_or_default().into_iter();
    Some(ServiceState {
        arn: service.service_arn.unwrap_or_default(),
        name: service.service_name?,
        is_inactive: service.status.as_deref() == Some(INACTIVE),
        revision: service.task_definition,
        deployments: service.deployments.unwrap_or_default().into_iter().map(deployment).collect(),
        task_set_revisions: sets.filter_map(|set| set.task_definition).collect(),
    })
}

/// The status of deleted services and deployments. Source: ECS API reference, `Service.status`.
const INACTIVE: &str = "INACTIVE";

fn deployment(deployment: types::Deployment) -> Deployment {
    let tasks = [deployment.running_count, deployment.pending_count];
    Deployment {
        is_inactive: deployment.status.as_deref() == Some(INACTIVE),
        revision: deployment.task_definition,
        tasks: tasks.into_iter().filter_map(|count| u64::try_from(count).ok()).sum(),
    }
}

/// A task-definition revision.
pub(super) fn revision(definition: &types::TaskDefinition) -> Revision {
    let network = match definition.network_mode {
        Some(types::NetworkMode::Awsvpc) => NetworkMode::Awsvpc,
        Some(types::NetworkMode::Host) => NetworkMode::Host,
        Some(types::NetworkMode::None) => NetworkMode::None,
        // A task definition without a mode gets Docker's default: bridge on Linux, and NAT on Windows, which ECS reports
        // like bridge.
        _ => NetworkMode::Bridge,
    };
    let none = std::collections::HashMap::new();
    let containers = definition.container_definitions().iter().map(|container| {
        let labels = container.docker_labels().unwrap_or(&none);
        ContainerSpec::new(container.name().unwrap_or_default(), labels, container.health_check().is_some())
    });
    Revision::new(network, containers)
}

/// A container instance; `None` without an ARN.
pub(super) fn host(instance: types::ContainerInstance) -> Option<Host> {
    Some(Host { arn: instance.container_instance_arn?, instance: instance.ec2_instance_id })
}

fn parsed<T: FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests;
