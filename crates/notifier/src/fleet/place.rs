//! One account and region: the clients, their share of the budget, and the caches.

use std::sync::Arc;

use super::classify::CallPolicy;
use super::facts::Facts;
use super::hosts::{HostCache, Sources};
use super::lookup::{Lookup, lookup};
use super::revisions::RevisionCache;
use crate::aws::Aws;
use crate::aws::ecs::Ecs;

/// Discovery in one account and region.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ecs: Ecs,
    pub(super) sources: Sources,
    pub(super) revisions: RevisionCache,
    pub(super) hosts: HostCache,
    pub(super) lookup: Lookup,
    pub(super) policy: Arc<CallPolicy>,
}

impl Place {
    pub(super) fn new(aws: &Aws, policy: Arc<CallPolicy>, facts: &Arc<Facts>) -> Self {
        let ecs = Ecs::new(aws);
        Self {
            lookup: lookup(&ecs),
            ecs,
            sources: Sources { ec2: aws.ec2.clone(), nodes: policy.anywhere.then(|| aws.nodes.clone()) },
            revisions: RevisionCache::new(Arc::clone(facts)),
            hosts: HostCache::new(Arc::clone(facts)),
            policy,
        }
    }
}
