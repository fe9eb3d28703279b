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

use std::fmt;
use std::str::FromStr;

use crate::aws::Aws;
use crate::aws::ecs::{Ecs, EcsError};
use crate::aws::minimal::ec2::{Ec2, Ec2Error};
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

/// Which containers count as ready to be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthPolicy {
    /// If the container definition has a health check, it must pass. The default.
    #[default]
    Detect,
    /// Every container must have a health check, and it must pass.
    Require,
    /// Health is ignored.
    Ignore,
}

impl HealthPolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Detect, Self::Require, Self::Ignore];

    /// The policy's name in settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Require => "require",
            Self::Ignore => "ignore",
        }
    }
}

impl fmt::Display for HealthPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HealthPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|health| health.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is none of `detect`, `require` and `ignore`"))
    }
}

/// Why discovery failed.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// ECS refused the call, or did not answer.
    #[error(transparent)]
    Ecs(#[from] EcsError),
    /// EC2 refused the call, or did not answer.
    #[error(transparent)]
    Ec2(#[from] Ec2Error),
    /// The scope names too many services.
    #[error(
        "the scope has {named} services, but a broadcast can name at most {SERVICES_NAMED_MAX}: send several broadcasts, or notify the whole cluster"
    )]
    TooManyServices {
        /// Number of services in the scope.
        named: usize,
    },
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
    #[must_use]
    pub fn new(aws: &Aws, health: HealthPolicy, networks: Networks) -> Self {
        let ecs = Ecs::new(&aws.ecs, aws.budget.clone());
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
