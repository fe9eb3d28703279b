//! `DescribeTaskDefinition`.

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::fleet::{Container, NetworkMode, PortMapping};
use crate::world::Definition;

use super::{Request, invalid, timestamp, without_nulls};

pub(super) fn describe(request: &Request<'_>) -> Result<Value, AwsError> {
    let named = request.input.text("taskDefinition")?.unwrap_or_default();
    if named.is_empty() {
        return Err(invalid("Task definition cannot be blank."));
    }
    let definition = request
        .world
        .definition(named)
        .ok_or_else(|| AwsError::client("ClientException", "Unable to describe task definition."))?;
    Ok(json!({ "taskDefinition": shape(definition), "tags": [] }))
}

fn shape(definition: &Definition) -> Value {
    let containers = definition.containers.iter().map(|container| shape_of_container(definition, container));
    json!({
        "taskDefinitionArn": definition.arn,
        "family": definition.family,
        "revision": definition.revision,
        "networkMode": definition.mode,
        "status": "ACTIVE",
        "containerDefinitions": containers.collect::<Vec<_>>(),
        "volumes": [],
        "placementConstraints": [],
        "compatibilities": [definition.launch_type],
        "requiresCompatibilities": [definition.launch_type],
        "cpu": "256",
        "memory": "512",
        "registeredAt": timestamp(definition.registered_at),
    })
}

fn shape_of_container(definition: &Definition, container: &Container) -> Value {
    let ports: Vec<Value> = container.ports.iter().map(|port| mapping(definition.mode, *port)).collect();
    let health_check = container.health_check.then(|| {
        json!({
            "command": ["CMD-SHELL", "true"],
            "interval": 30,
            "timeout": 5,
            "retries": 3,
        })
    });
    without_nulls(json!({
        "name": container.name,
        "image": Definition::image(container),
        "cpu": 0,
        "portMappings": ports,
        "essential": container.essential.unwrap_or(true),
        "environment": [],
        "mountPoints": [],
        "volumesFrom": [],
        "dockerLabels": (!container.labels.is_empty()).then_some(&container.labels),
        "healthCheck": health_check,
    }))
}

/// A registered port mapping; ECS fills in the host port, where 0 stands for any.
fn mapping(mode: NetworkMode, mapping: PortMapping) -> Value {
    if mapping.is_range {
        let range = format!("{}-{}", mapping.first, mapping.last);
        return json!({ "containerPortRange": range, "protocol": mapping.protocol });
    }
    let host_port = match mode {
        NetworkMode::Bridge => mapping.host.map_or(0, u16::from),
        _ => mapping.first.get(),
    };
    json!({ "containerPort": mapping.first, "hostPort": host_port, "protocol": mapping.protocol })
}
