//! The calls that find clusters.
//!
//! They have a separate bucket, "Cluster read". Source: "Request throttling for the Amazon ECS API".

use aws_sdk_ecs::types::{Cluster, ClusterField};

use super::{DESCRIBED_MAX, Described, Ecs, EcsError, Origin, PAGE_MAX, PAGES_MAX, described, failure};
use crate::aws::budget::Group;
use crate::aws::pages::pages;
use crate::model::ClusterState;

/// The status of a cluster that runs tasks. Source: ECS API reference, `Cluster.status`.
const ACTIVE: &str = "ACTIVE";

impl Ecs {
    /// The ARNs of every cluster of the account and region. Deleted ones may be among them. Source: ECS API reference,
    /// `DeleteCluster`.
    pub async fn list_clusters(&self) -> Result<Vec<String>, EcsError> {
        const OPERATION: &str = "ListClusters";
        let listed = pages(PAGES_MAX, async |token| {
            self.budget.wait(Group::ClustersRead).await;
            let call = self.client.list_clusters().max_results(PAGE_MAX).set_next_token(token);
            let page = call.send().await.map_err(|e| failure(OPERATION, "", "", e))?;
            Ok((self.required(OPERATION, "clusterArns", page.cluster_arns)?, page.next_token))
        });
        listed.await?.ok_or(EcsError::Endless(OPERATION))
    }

    /// The clusters of these ARNs that exist, with their tags if `tags`.
    pub async fn describe_clusters(
        &self,
        arns: &[String],
        tags: bool,
    ) -> Result<Described<ClusterState>, EcsError> {
        const OPERATION: &str = "DescribeClusters";
        let batch = async |batch: Vec<String>| {
            self.budget.wait(Group::ClustersRead).await;
            let include = tags.then(|| vec![ClusterField::Tags]);
            let call = self.client.describe_clusters().set_clusters(Some(batch)).set_include(include);
            let answer = call.send().await.map_err(|e| failure(OPERATION, "", "", e))?;
            let clusters = self.required(OPERATION, "clusters", answer.clusters)?;
            let clusters = clusters.into_iter().filter_map(cluster).collect();
            Ok::<_, EcsError>((clusters, answer.failures.unwrap_or_default()))
        };
        described(arns, DESCRIBED_MAX, Origin::Ecs, |cluster: &ClusterState| &cluster.arn, batch).await
    }
}

/// A cluster; `None` without an ARN.
fn cluster(cluster: Cluster) -> Option<ClusterState> {
    let tags = cluster.tags.unwrap_or_default().into_iter();
    Some(ClusterState {
        arn: cluster.cluster_arn?,
        is_active: cluster.status.as_deref() == Some(ACTIVE),
        tasks: count(cluster.running_tasks_count) + count(cluster.pending_tasks_count),
        services: count(cluster.active_services_count),
        tags: tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect(),
    })
}

/// A count of an answer; none is negative.
fn count(number: i32) -> usize {
    usize::try_from(number).unwrap_or_default()
}
