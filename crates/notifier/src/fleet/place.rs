//! One account and region: the clients, their share of the budget, and the caches.

use std::sync::Arc;

use super::classify::CallPolicy;
use super::hosts::HostCache;
use super::recheck::{self, Lookup};
use super::revisions::RevisionCache;
use crate::aws::Aws;
use crate::aws::ecs::Ecs;
use crate::aws::minimal::ec2::Ec2;

/// Discovery in one account and region.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ecs: Ecs,
    pub(super) ec2: Ec2,
    pub(super) revisions: RevisionCache,
    pub(super) hosts: HostCache,
    pub(super) lookup: Lookup,
    pub(super) policy: Arc<CallPolicy>,
}

impl Place {
    pub(super) fn new(aws: &Aws, policy: Arc<CallPolicy>) -> Self {
        let ecs = Ecs::new(aws);
        Self {
            lookup: recheck::lookup(&ecs),
            ecs,
            ec2: aws.ec2.clone(),
            revisions: RevisionCache::default(),
            hosts: HostCache::default(),
            policy,
        }
    }
}
