//! Stages 1 and 2: the opted-in containers of a scope, and where each of them listens.
//!
//! | file | what it does |
//! | --- | --- |
//! | `services`, `scan` | stages 1 and 2: which calls to ECS they make |
//! | `classify`, `address` | what a container is for a broadcast, and its address (pure) |
//! | `recheck` | where one endpoint is now |
//! | `revisions`, `hosts` | what cannot change, looked up once |
//!
//! AWS gets as few calls as its pages allow.

use crate::aws::Aws;
use crate::aws::ecs::{Ecs, EcsError};
use crate::aws::minimal::ec2::{Ec2, Ec2Error};
use crate::base::words;
use crate::model::network::Networks;

mod address;
mod classify;
mod hosts;
mod recheck;
mod revisions;
mod scan;
mod services;

pub use recheck::{Recheck, RecheckError};
pub use services::{SERVICES_NAMED_MAX, Services};

words! {
    /// Which containers count as ready to be called.
    #[derive(Default)]
    pub enum HealthPolicy {
        /// Where the container definition has a health check, it must pass. The default.
        #[default]
        Detect = "detect",
        /// Every container must have a health check, and it must pass.
        Require = "require",
        /// Health does not count.
        Ignore = "ignore",
    }
}

/// Why a fleet was not found.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum DiscoveryError {
    #[error(transparent)]
    Ecs(#[from] EcsError),
    #[error(transparent)]
    Ec2(#[from] Ec2Error),
    #[error(
        "the scope names {named} services, but one broadcast names at most {SERVICES_NAMED_MAX}: send several, or name none to reach the whole cluster"
    )]
    TooManyServices { named: usize },
}

impl DiscoveryError {
    /// Whether asking again would give the same answer.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Ecs(error) => error.is_final(),
            Self::Ec2(_) => false,
            Self::TooManyServices { .. } => true,
        }
    }

    /// A stable word for the kind of error, for scripts and alarms.
    #[must_use]
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

/// Stages 1 and 2, and what they remember between messages.
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
    /// Discovery through these clients. `health` decides which containers are ready, `networks` which addresses may be
    /// called.
    #[must_use]
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
