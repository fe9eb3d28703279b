//! One account and region: the clients, their share of the budget, and the caches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::DiscoveryError;
use super::classify::CallPolicy;
use super::facts::Facts;
use super::hosts::{HostCache, Sources};
use super::lookup::{Lookup, lookup};
use super::registry::Registry;
use super::revisions::RevisionCache;
use crate::aws::Aws;
use crate::aws::ecs::{Ecs, EcsError};

/// The most names of clusters whose ARNs are cached.
const ARNS_MAX: usize = 1_000;

/// What all accounts and regions share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) policy: CallPolicy,
    pub(super) facts: Arc<Facts>,
    pub(super) registry: Option<Registry>,
}

/// Discovery in one account and region.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ecs: Ecs,
    pub(super) sources: Sources,
    pub(super) revisions: RevisionCache,
    pub(super) hosts: HostCache,
    pub(super) lookup: Lookup,
    pub(super) policy: CallPolicy,
    pub(super) registry: Option<Registry>,
    /// ARNs of clusters, by name.
    arns: Mutex<HashMap<String, String>>,
}

impl Place {
    pub(super) fn new(aws: &Aws, shared: &Shared) -> Self {
        let Shared { policy, facts, registry } = shared;
        let ecs = Ecs::new(aws);
        Self {
            lookup: lookup(&ecs),
            ecs,
            sources: Sources { ec2: aws.ec2.clone(), nodes: policy.anywhere.then(|| aws.nodes.clone()) },
            revisions: RevisionCache::new(Arc::clone(facts)),
            hosts: HostCache::new(Arc::clone(facts)),
            policy: policy.clone(),
            registry: registry.clone(),
            arns: Mutex::default(),
        }
    }

    /// The ARN of a cluster of this account and region, by its name.
    pub(super) async fn cluster_arn(&self, name: &str) -> Result<String, DiscoveryError> {
        let known = self.arns.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(arn) = known {
            return Ok(arn);
        }
        let clusters = self.ecs.describe_clusters(&[name.to_owned()], false).await?;
        let found = clusters.found.into_iter().next().filter(|cluster| cluster.is_active);
        let arn = found.ok_or_else(|| EcsError::ClusterNotFound(name.to_owned()))?.arn;
        let mut arns = self.arns.lock().unwrap_or_else(PoisonError::into_inner);
        if arns.len() < ARNS_MAX {
            arns.insert(name.to_owned(), arn.clone());
        }
        Ok(arn)
    }
}
