//! `ListClusters` and `DescribeClusters`.

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::world::{Cluster, count};

use super::page::Page;
use super::{Request, without_nulls};

pub(super) fn list(request: &Request<'_>) -> Result<Value, AwsError> {
    let page = Page::of(request, 100)?;
    let (arns, token) = page.cut(request.world.clusters.iter().map(|cluster| Some(cluster.arn.as_str())));
    Ok(without_nulls(json!({ "clusterArns": arns, "nextToken": token })))
}

pub(super) fn describe(request: &Request<'_>) -> Result<Value, AwsError> {
    let named = match request.input.get("clusters") {
        None => vec!["default"],
        Some(_) => request.input.named("clusters", 100)?,
    };
    let (clusters, failures) = request.describe(
        &named,
        |name| request.world.arns.cluster(name),
        |name| Ok(request.world.cluster(Some(name)).map(shape)),
    )?;
    Ok(json!({ "clusters": clusters, "failures": failures }))
}

fn shape(cluster: &Cluster) -> Value {
    let (pending, running) = count(cluster.tasks.iter());
    json!({
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": "ACTIVE",
        "registeredContainerInstancesCount": cluster.hosts.len(),
        "runningTasksCount": running,
        "pendingTasksCount": pending,
        "activeServicesCount": cluster.services.len(),
        "statistics": [],
        "tags": [],
        "settings": [],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    })
}
