//! Converts ECS's answers to the project's own types. Invalid values are left out: an item without an ARN, a port 0, a
//! text that is not an address.

use aws_sdk_ecs::types;

use crate::model::labels::is_label;
use crate::model::{ContainerDefinition, Deployment, Host, NetworkMode, ServiceState, TaskDefinition};

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
pub(super) fn task_definition(definition: &types::TaskDefinition) -> TaskDefinition {
    let network = match definition.network_mode {
        Some(types::NetworkMode::Awsvpc) => NetworkMode::Awsvpc,
        Some(types::NetworkMode::Host) => NetworkMode::Host,
        Some(types::NetworkMode::None) => NetworkMode::None,
        // A task definition without a mode gets Docker's default: bridge on Linux, and NAT on Windows, which ECS reports
        // like bridge.
        _ => NetworkMode::Bridge,
    };
    let containers = definition.container_definitions().iter().map(|container| {
        let all = container.docker_labels().into_iter().flatten();
        let labels = all.filter(|(name, _)| is_label(name));
        ContainerDefinition {
            name: container.name().unwrap_or_default().to_owned(),
            labels: labels.map(|(name, value)| (name.clone(), value.clone())).collect(),
            has_health_check: container.health_check().is_some(),
        }
    });
    TaskDefinition { network, containers: containers.collect() }
}

/// The custom attribute of a host outside AWS with the address to call, for hosts behind NAT.
const ADDRESS_ATTRIBUTE: &str = "notify.address";

/// A container instance; `None` without an ARN.
pub(super) fn host(instance: types::ContainerInstance) -> Option<Host> {
    let mut attributes = instance.attributes.unwrap_or_default().into_iter();
    let address = attributes.find(|attribute| attribute.name == ADDRESS_ATTRIBUTE);
    Some(Host {
        arn: instance.container_instance_arn?,
        instance: instance.ec2_instance_id,
        address: address.and_then(|attribute| attribute.value),
    })
}

#[cfg(test)]
mod tests;
