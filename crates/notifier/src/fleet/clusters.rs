//! The clusters of an account and region.

use std::collections::BTreeMap;

use super::DiscoveryError;
use super::place::Place;
use crate::aws::ecs::NotDescribed;
use crate::base::text::printable;
use crate::model::ClusterState;
use crate::model::arn::is_every_cluster;

/// The most characters of a pattern in an error.
const PATTERN_CHARS_MAX: usize = 200;

/// Checks that a pattern means every cluster, of this account and region or of another.
pub(super) fn check(pattern: &str) -> Result<(), DiscoveryError> {
    if is_every_cluster(pattern) {
        return Ok(());
    }
    Err(DiscoveryError::ClusterPattern(printable(pattern, PATTERN_CHARS_MAX)))
}

impl Place {
    /// See [`Discovery::clusters`](super::Discovery::clusters).
    pub(super) async fn clusters(
        &self,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, DiscoveryError> {
        let ecs = self.ecs.lane();
        let mut listed = ecs.list_clusters().await?;
        listed.sort_unstable();
        listed.dedup();
        let described = ecs.describe_clusters(&listed, !tags.is_empty()).await?;
        for (cluster, reason) in described.failed {
            // One that was deleted after it was listed is no longer wanted.
            if let NotDescribed::Unexplained(why) = reason {
                return Err(DiscoveryError::ClusterNotDescribed { cluster, why });
            }
        }
        let has_tags =
            |cluster: &ClusterState| tags.iter().all(|(key, value)| cluster.tags.get(key) == Some(value));
        let wanted = described.found.into_iter().filter(|cluster| cluster.is_active && has_tags(cluster));
        let mut arns: Vec<String> = wanted.map(|cluster| cluster.arn).collect();
        arns.sort_unstable();
        Ok(arns)
    }
}
