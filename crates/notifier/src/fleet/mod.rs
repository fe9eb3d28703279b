//! Stages 1 and 2: the opted-in containers of a scope and their addresses.
//!
//! | file | what it does |
//! | --- | --- |
//! | `services`, `scan` | stages 1 and 2, with their calls to ECS |
//! | `classify`, `address` | classifies containers, and finds their addresses (pure) |
//! | `recheck` | looks up the current address of an endpoint |
//! | `revisions`, `hosts` | caches of immutable data |
//!
//! Calls to AWS use the largest pages and batches.

use crate::aws::ecs::{Ecs, EcsError};
use crate::aws::minimal::ec2::Ec2;
use crate::aws::{Aws, CallError};
use crate::base::words;
use crate::model::network::Networks;

mod address;
mod classify;
mod hosts;
mod recheck;
mod revisions;
mod scan;
mod services;

pub(crate) use recheck::Recheck;
pub use recheck::RecheckError;
pub use services::{SERVICES_NAMED_MAX, Services};

words! {
    /// Which containers count as ready to be called.
    #[derive(Default)]
    pub enum HealthPolicy {
        /// If the container definition has a health check, it must pass. The default.
        #[default]
        Detect = "detect",
        /// Every container must have a health check, and it must pass.
        Require = "require",
        /// Health is ignored.
        Ignore = "ignore",
    }
}

/// Why discovery failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum DiscoveryError {
    #[error(transparent)]
    Ecs(#[from] EcsError),
    #[error(transparent)]
    Ec2(#[from] CallError),
    #[error(
        "the scope has {named} services, but a broadcast can name at most {SERVICES_NAMED_MAX}: send several broadcasts, or notify the whole cluster"
    )]
    TooManyServices { named: usize },
}

impl DiscoveryError {
    /// Whether asking again would give the same answer.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Ecs(error) => error.is_final(),
            Self::Ec2(_) => false,
            Self::TooManyServices { .. } => true,
        }
    }

    /// A stable word for the kind of error, for scripts and alarms.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ecs(EcsError::ClusterNotFound(_)) => "cluster-not-found",
            Self::Ecs(EcsError::ServiceNotFound { .. }) => "service-not-found",
            Self::Ecs(_) => "ecs",
            Self::Ec2(_) => "ec2",
            Self::TooManyServices { .. } => "too-many-services",
        }
    }
}

/// Stages 1 and 2, with their caches.
#[derive(Debug)]
pub struct Discovery {
    ecs: Ecs,
    ec2: Ec2,
    revisions: revisions::RevisionCache,
    hosts: hosts::HostCache,
    lookup: recheck::Lookup,
    policy: classify::CallPolicy,
}

impl Discovery {
    /// Discovery with these clients. `health` decides which containers are ready, `networks` which addresses may be
    /// called.
    pub fn new(aws: &Aws, health: HealthPolicy, networks: Networks) -> Self {
        let ecs = Ecs::new(aws);
        Self {
            lookup: recheck::lookup(&ecs),
            ecs,
            ec2: aws.ec2.clone(),
            revisions: revisions::RevisionCache::default(),
            hosts: hosts::HostCache::default(),
            policy: classify::CallPolicy { health, networks },
        }
    }
}
