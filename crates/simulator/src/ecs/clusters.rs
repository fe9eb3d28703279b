//! `ListClusters` and `DescribeClusters`.

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::world::{Cluster, count};

use super::page::Page;
use super::{Request, invalid, without_nulls};

pub(super) fn list(request: &Request<'_>) -> Result<Value, AwsError> {
    let page = Page::of(request, 100)?;
    let (arns, token) = page.cut(request.world.clusters.iter(), |cluster| Some(cluster.arn.as_str()));
    Ok(without_nulls(json!({ "clusterArns": arns, "nextToken": token })))
}

pub(super) fn describe(request: &Request<'_>) -> Result<Value, AwsError> {
    let named = match request.input.get("clusters") {
        None => vec!["default"],
        Some(_) => request.input.named("clusters", 100)?,
    };
    let include = request.input.list("include")?.unwrap_or_default();
    if let Some(unknown) = include.iter().find(|field| !FIELDS.contains(field)) {
        return Err(invalid(format!("{unknown} is not a field of a cluster that can be included.")));
    }
    let has_tags = include.contains(&"TAGS");
    let (clusters, failures) = request.describe(
        &named,
        |name| request.world.arns.cluster(name),
        |name| Ok(request.world.cluster(Some(name)).map(|cluster| shape(cluster, has_tags))),
    )?;
    Ok(json!({ "clusters": clusters, "failures": failures }))
}

/// What a description includes on request. Source: Amazon ECS API Reference, `DescribeClusters`.
const FIELDS: [&str; 5] = ["ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "STATISTICS", "TAGS"];

fn shape(cluster: &Cluster, has_tags: bool) -> Value {
    let tags = cluster.tags.iter().filter(|_| has_tags);
    let tags: Vec<_> = tags.map(|(key, value)| json!({ "key": key, "value": value })).collect();
    let (pending, running) = count(cluster.tasks.iter());
    json!({
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": if cluster.is_inactive { "INACTIVE" } else { "ACTIVE" },
        "registeredContainerInstancesCount": cluster.hosts.len(),
        "runningTasksCount": running,
        "pendingTasksCount": pending,
        "activeServicesCount": cluster.services.len(),
        "statistics": [],
        "tags": tags,
        "settings": [],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    })
}
