//! `ListServices` and `DescribeServices`.

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::fleet::{Controller, NetworkMode, Scheduling};
use crate::world::{Cluster, Rollout, Service};

use super::page::Page;
use super::tasks::LAUNCH_TYPES;
use super::{Request, timestamp, without_nulls};

pub(super) fn list(request: &Request<'_>) -> Result<Value, AwsError> {
    let cluster = request.cluster()?;
    let launch_type = request.input.one_of("launchType", &LAUNCH_TYPES)?;
    let scheduling = request.input.one_of("schedulingStrategy", &["REPLICA", "DAEMON"])?;
    // ListServices alone has pages of 10 unless asked otherwise.
    let page = Page::of(request, 10)?;
    let (arns, token) = page.cut(cluster.services.iter(), |service| {
        let listed = launch_type.is_none_or(|wanted| wanted == service.launch_type.as_str())
            && scheduling.is_none_or(|wanted| wanted == strategy(service.scheduling));
        listed.then_some(service.arn.as_str())
    });
    Ok(without_nulls(json!({ "serviceArns": arns, "nextToken": token })))
}

pub(super) fn describe(request: &Request<'_>) -> Result<Value, AwsError> {
    let cluster = request.cluster()?;
    let named = request.input.named("services", 10)?;
    let (services, failures) = request.describe(
        &named,
        |name| request.world.arns.service(&cluster.name, name),
        |name| {
            let name = request.within(cluster, "service", name)?;
            let found = name.and_then(|name| cluster.service(name));
            Ok(found.map(|service| shape(request, cluster, service)))
        },
    )?;
    Ok(json!({ "services": services, "failures": failures }))
}

fn strategy(scheduling: Scheduling) -> &'static str {
    match scheduling {
        Scheduling::Replica => "REPLICA",
        Scheduling::Daemon => "DAEMON",
    }
}

fn shape(request: &Request<'_>, cluster: &Cluster, service: &Service) -> Value {
    let counts: Vec<_> = service.rollouts.iter().map(|rollout| service.counts(rollout, cluster)).collect();
    let pending: usize = counts.iter().map(|(pending, _)| pending).sum();
    let running: usize = counts.iter().map(|(_, running)| running).sum();
    let desired: u32 = service.rollouts.first().map_or(0, |primary| primary.desired);
    let of_rolling = service.controller == Controller::Ecs;
    let rollouts = service.rollouts.iter().enumerate();
    let deployments: Vec<Value> =
        rollouts.clone().map(|(place, rollout)| deployment(cluster, service, rollout, place)).collect();
    let task_sets: Vec<Value> =
        rollouts.map(|(place, rollout)| task_set(request, cluster, service, rollout, place)).collect();
    // An EXTERNAL service has no definition of its own, and CodeDeploy's is the primary task set's business.
    let definition = service.rollouts.first().filter(|_| of_rolling).map(|it| &it.recipe.definition.arn);
    without_nulls(json!({
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": cluster.arn,
        "status": "ACTIVE",
        "desiredCount": desired,
        "runningCount": running,
        "pendingCount": pending,
        "launchType": service.launch_type,
        "platformVersion": (service.launch_type.as_str() == "FARGATE").then_some("LATEST"),
        "taskDefinition": definition,
        "deployments": if of_rolling { deployments } else { Vec::new() },
        "taskSets": (!of_rolling).then_some(task_sets),
        "networkConfiguration": service.rollouts.first().and_then(|it| network(request, it)),
        "loadBalancers": [],
        "serviceRegistries": [],
        "events": [],
        "placementConstraints": [],
        "placementStrategy": [],
        "schedulingStrategy": service.scheduling,
        "deploymentController": { "type": service.controller },
        "createdAt": timestamp(service.created_at),
        "enableECSManagedTags": false,
        "propagateTags": "NONE",
        "enableExecuteCommand": false,
    }))
}

fn network(request: &Request<'_>, rollout: &Rollout) -> Option<Value> {
    (rollout.recipe.definition.mode == NetworkMode::Awsvpc).then(|| {
        json!({ "awsvpcConfiguration": {
            "subnets": [request.world.subnet()],
            "securityGroups": [],
            "assignPublicIp": "DISABLED",
        } })
    })
}

/// The primary deployment replaces those after it.
fn status(place: usize) -> &'static str {
    if place == 0 { "PRIMARY" } else { "ACTIVE" }
}

fn deployment(cluster: &Cluster, service: &Service, rollout: &Rollout, place: usize) -> Value {
    let (pending, running) = service.counts(rollout, cluster);
    let alone = service.rollouts.len() == 1;
    json!({
        "id": rollout.id,
        "status": status(place),
        "taskDefinition": rollout.recipe.definition.arn,
        "desiredCount": rollout.desired,
        "pendingCount": pending,
        "runningCount": running,
        "failedTasks": 0,
        "createdAt": timestamp(service.created_at),
        "updatedAt": timestamp(service.created_at),
        "launchType": service.launch_type,
        "rolloutState": if alone && pending == 0 { "COMPLETED" } else { "IN_PROGRESS" },
    })
}

fn task_set(
    request: &Request<'_>,
    cluster: &Cluster,
    service: &Service,
    rollout: &Rollout,
    place: usize,
) -> Value {
    let (pending, running) = service.counts(rollout, cluster);
    without_nulls(json!({
        "id": rollout.id,
        "taskSetArn": request.world.arns.task_set(&cluster.name, &service.name, &rollout.id),
        "serviceArn": service.arn,
        "clusterArn": cluster.arn,
        "startedBy": (service.controller == Controller::CodeDeploy).then_some("CODE_DEPLOY"),
        "status": status(place),
        "taskDefinition": rollout.recipe.definition.arn,
        "computedDesiredCount": rollout.desired,
        "pendingCount": pending,
        "runningCount": running,
        "createdAt": timestamp(service.created_at),
        "updatedAt": timestamp(service.created_at),
        "launchType": service.launch_type,
        "networkConfiguration": network(request, rollout),
        "loadBalancers": [],
        "serviceRegistries": [],
        "scale": { "value": 100.0, "unit": "PERCENT" },
        "stabilityStatus": if pending == 0 { "STEADY_STATE" } else { "STABILIZING" },
    }))
}
