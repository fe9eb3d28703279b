//! Stages 1 and 2: the opted-in containers of a scope and their addresses.
//!
//! | file | what it does |
//! | --- | --- |
//! | `services`, `scan` | stages 1 and 2, with their calls to ECS |
//! | `method` | chooses how the tasks of a scope are found, with the fewest calls |
//! | `classify`, `address` | classifies containers, and finds their addresses (pure) |
//! | `recheck`, `lookup` | looks up the current address of an endpoint, with many others in one call |
//! | `clusters` | the clusters of an account and region |
//! | `place`, `pool` | clients, budget and caches of each account and region, by a cluster's ARN |
//! | `estimate` | what a broadcast costs in requests to AWS (pure) |
//! | `revisions`, `hosts` | caches of immutable data |
//! | `facts` | the same data in the ledger's table, shared by all processes of the installation |
//! | `registered` | finds the tasks of a scope in the registry |
//! | [`registry`] | the tasks of some clusters, kept up to date by the events of ECS |
//!
//! Calls to AWS use the largest pages and batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use wire::{Broadcast, ObserverMessage, PartMessage};

use crate::aws::ecs::EcsError;
use crate::aws::{ASSUME_ROLE, Aws, CallError};
use crate::base::text::printable;
use crate::base::{Clock, words};
use crate::model::network::Networks;
use crate::model::{Endpoint, Fleet, Found, Member, TaskState};
use crate::store::Store;

mod address;
mod classify;
mod clusters;
mod estimate;
mod facts;
mod hosts;
mod lookup;
mod method;
mod place;
mod pool;
mod recheck;
mod registered;
pub mod registry;
mod revisions;
mod scan;
mod services;

pub use estimate::Estimate;
pub(crate) use recheck::Recheck;
pub use recheck::RecheckError;
pub use services::{SERVICES_NAMED_MAX, Services};

/// The most clusters and patterns that one message names. For more, use a pattern, or several messages.
pub const CLUSTERS_NAMED_MAX: usize = 100;
/// The most characters of a tag or a pattern in an error.
const TAG_CHARS_MAX: usize = 200;

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

words! {
    /// How the tasks of a scope are found.
    #[derive(Default)]
    pub enum DiscoveryPolicy {
        /// With the fewest calls. The default.
        #[default]
        Auto = "auto",
        /// Always service by service.
        Services = "services",
        /// Always by a sweep of the cluster.
        Sweep = "sweep",
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
    /// Systems Manager did not describe the hosts outside AWS.
    #[error(transparent)]
    Ssm(CallError),
    #[error(
        "the scope has {named} services, but a broadcast can name at most {SERVICES_NAMED_MAX}: send several broadcasts, or notify the whole cluster"
    )]
    TooManyServices { named: usize },
    #[error(
        "the scope has {named} clusters, but a message can name at most {CLUSTERS_NAMED_MAX}: send several messages, or notify every cluster"
    )]
    TooManyClusters { named: usize },
    #[error(
        "`tags` selects among every cluster, but the message names single clusters: use `*` as the cluster"
    )]
    TagsOfOneCluster,
    #[error("no active cluster matches {}", matching(pattern, tags))]
    NoCluster { pattern: String, tags: BTreeMap<String, String> },
    #[error(
        "`{0}` is not the ARN of an ECS cluster, such as `arn:aws:ecs:eu-west-1:111122223333:cluster/NAME`"
    )]
    ClusterArn(String),
    /// The account is neither that of the credentials, nor does it have a role in the settings.
    #[error("the cluster is in account {account}, for which NOTIFIER_ROLES has no role")]
    NoRole { account: String },
    #[error(
        "one process can serve {} accounts and regions, and has as many: start another",
        pool::PLACES_MAX
    )]
    TooManyPlaces,
    #[error("`{0}` does not mean every cluster: use `*` or `arn:aws:ecs:REGION:ACCOUNT:cluster/*`")]
    ClusterPattern(String),
    #[error("ECS lists cluster {cluster}, but does not describe it: {why}")]
    ClusterNotDescribed { cluster: String, why: String },
}

/// `*` with the tag team=shop.
fn matching(pattern: &str, tags: &BTreeMap<String, String>) -> String {
    let tags: Vec<_> =
        tags.iter().map(|(key, value)| printable(&format!("{key}={value}"), TAG_CHARS_MAX)).collect();
    let with = if tags.is_empty() { String::new() } else { format!(" with the tags {}", tags.join(", ")) };
    format!("`{}`{with}", printable(pattern, TAG_CHARS_MAX))
}

impl DiscoveryError {
    /// Whether asking again would give the same answer.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Ecs(error) => error.is_final(),
            // Another process may have room for one more place.
            Self::Ec2(_) | Self::Ssm(_) | Self::TooManyPlaces | Self::ClusterNotDescribed { .. } => false,
            // A cluster may be created later, but nobody expects this event to wait for it.
            Self::TooManyServices { .. }
            | Self::TooManyClusters { .. }
            | Self::NoCluster { .. }
            | Self::TagsOfOneCluster
            | Self::ClusterArn(_)
            | Self::NoRole { .. }
            | Self::ClusterPattern(_) => true,
        }
    }

    /// A stable word for the kind of error, for scripts and alarms.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ecs(EcsError::ClusterNotFound(_)) => "cluster-not-found",
            Self::Ecs(EcsError::ServiceNotFound { .. }) => "service-not-found",
            Self::Ecs(EcsError::Call(error))
            | Self::Ec2(CallError::Call(error))
            | Self::Ssm(CallError::Call(error))
                if error.operation == ASSUME_ROLE =>
            {
                "role"
            }
            Self::Ecs(_) | Self::ClusterNotDescribed { .. } => "ecs",
            Self::Ec2(_) => "ec2",
            Self::Ssm(_) => "ssm",
            Self::TooManyServices { .. } => "too-many-services",
            Self::TooManyClusters { .. } => "too-many-clusters",
            Self::NoCluster { .. } => "no-cluster",
            Self::TagsOfOneCluster => "tags-of-one-cluster",
            Self::ClusterArn(_) | Self::ClusterPattern(_) => "invalid-cluster",
            Self::NoRole { .. } => "no-role",
            Self::TooManyPlaces => "too-many-places",
        }
    }
}

/// Stages 1 and 2, with their clients and caches for each account and region.
///
/// A cluster's name means the account and region of this process. A cluster of another account or region is named by its
/// ARN; then its calls have separate clients, budgets and caches, and for another account the credentials of the role
/// that the settings have for it. The larger futures are boxed, so that those of callers stay small.
#[derive(Debug)]
pub struct Discovery {
    pool: pool::Pool,
}

impl Discovery {
    /// Discovery with these clients, and others that are derived from them. `health` decides which containers are ready,
    /// `networks` which addresses may be called.
    pub fn new(aws: &Aws, health: HealthPolicy, networks: Networks) -> Self {
        let policy =
            classify::CallPolicy { health, networks, anywhere: false, method: DiscoveryPolicy::default() };
        Self { pool: pool::Pool::new(aws, policy) }
    }

    /// The same, which also looks up hosts outside AWS (ECS Anywhere) in Systems Manager if `anywhere`; otherwise their
    /// containers are skipped.
    #[must_use]
    pub fn with_anywhere(self, anywhere: bool) -> Self {
        Self { pool: self.pool.with_anywhere(anywhere) }
    }

    /// The same, which finds the tasks of a scope in this way.
    #[must_use]
    pub fn with_method(self, method: DiscoveryPolicy) -> Self {
        Self { pool: self.pool.with_method(method) }
    }

    /// The same, which shares with all processes that use this store what AWS says of task definitions and hosts. It is kept
    /// for `days`.
    #[must_use]
    pub fn with_store(self, store: Option<Arc<dyn Store>>, clock: Clock, days: u32) -> Self {
        Self { pool: self.pool.with_facts(facts::Facts::new(store, clock, days)) }
    }

    /// The same, which finds tasks in this registry where it is live.
    #[must_use]
    pub fn with_registry(self, registry: Option<registry::Registry>) -> Self {
        Self { pool: self.pool.with_registry(registry) }
    }

    /// The registry, if there is one.
    pub fn registry(&self) -> Option<&registry::Registry> {
        self.pool.registry()
    }

    /// The ARN of a cluster. A name is looked up once.
    pub(crate) async fn cluster_arn(&self, cluster: &str) -> Result<String, DiscoveryError> {
        if crate::model::arn::ClusterArn::parse(cluster).is_some() {
            return Ok(cluster.to_owned());
        }
        self.pool.of_cluster(cluster).await?.cluster_arn(cluster).boxed().await
    }

    /// Whether a container of this task has opted in, or tries to. An unreadable task definition counts: stage 2 reports it.
    pub(crate) async fn is_opted_in(&self, cluster: &str, task: &TaskState) -> Result<bool, DiscoveryError> {
        let place = self.pool.of_cluster(cluster).await?;
        let revision: Vec<String> = task.revision.iter().cloned().collect();
        let found = place.revisions.get(&place.ecs.lane(), &revision).boxed().await?;
        let opted_in = |revision: &Arc<crate::model::Revision>| {
            revision.containers().iter().any(|container| container.opt_in.is_some())
        };
        Ok(found.iter().any(|revision| revision.as_ref().map_or(true, opted_in)))
    }

    /// The fleet of a scope, without the tasks that `is_known` knows by their ARNs.
    pub(crate) async fn other_tasks(
        &self,
        scope: &ObserverMessage,
        is_known: impl Fn(&str) -> bool + Send + Sync,
    ) -> Result<Fleet, DiscoveryError> {
        self.pool.of_cluster(&scope.cluster).await?.other_tasks(scope, is_known).boxed().await
    }

    /// The names of a cluster's services.
    pub async fn service_names(&self, cluster: &str) -> Result<Vec<String>, DiscoveryError> {
        self.pool.of_cluster(cluster).await?.service_names(cluster).boxed().await
    }

    /// The ARNs of every active cluster of an account and region that has all of these tags, sorted; none may have them.
    /// The `pattern` `*` means the account and region of this process, `arn:aws:ecs:REGION:ACCOUNT:cluster/*` another.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] if the pattern is neither, or AWS cannot be reached.
    pub async fn clusters(
        &self,
        pattern: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, DiscoveryError> {
        clusters::check(pattern)?;
        self.pool.of_cluster(pattern).await?.clusters(tags).boxed().await
    }

    /// Finds the services of a scope whose containers opted in.
    ///
    /// All revisions that a service may be running count, not only the newest: those of every deployment and task set.
    /// A container that opted in wrongly counts too; stage 2 reports it for each of its tasks.
    pub async fn services(
        &self,
        scope: &ObserverMessage,
        broadcast: &Broadcast,
    ) -> Result<Services, DiscoveryError> {
        self.pool.of_cluster(&scope.cluster).await?.services(scope, broadcast).boxed().await
    }

    /// Finds the running tasks of one message of stage 1, and the addresses of their opted-in containers.
    ///
    /// The labels are read from each task's own revision, so old and new tasks are correct during a deployment.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] if AWS cannot be reached, or the cluster does not exist. A missing service is a skip.
    pub async fn tasks(&self, message: &PartMessage) -> Result<Fleet, DiscoveryError> {
        self.pool.of_cluster(message.cluster()).await?.tasks(message).boxed().await
    }

    /// The whole fleet of a scope, in order: [`scan`](Self::scan), collected.
    pub async fn fleet(&self, scope: &ObserverMessage) -> Result<Fleet, DiscoveryError> {
        let (found, mut chunks) = mpsc::channel(1);
        let collect = async {
            let mut fleet = Fleet::default();
            while let Some(chunk) = chunks.recv().await {
                fleet.extend(chunk);
            }
            fleet
        };
        let (scanned, mut fleet) = tokio::join!(self.scan(scope, found), collect);
        scanned?;
        fleet.sort();
        Ok(fleet)
    }

    /// Finds the fleet of a scope: stages 1 and 2 without a queue between them. Sends up to 1,000 tasks at a time to
    /// `found`, each task once and in no order, and stops early if the receiver was dropped. Returns how they were found.
    ///
    /// A whole cluster is listed at once: that takes two calls per hundred tasks, instead of more than two per service. The
    /// tasks are the same.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] if AWS cannot be reached, or the cluster does not exist. A named service that does not exist is
    /// a skip.
    pub async fn scan(
        &self,
        scope: &ObserverMessage,
        found: mpsc::Sender<Fleet>,
    ) -> Result<Found, DiscoveryError> {
        self.pool.of_cluster(&scope.cluster).await?.scan(scope, found).boxed().await
    }

    /// The current state of a container, and of the endpoint where it was called. Most deliveries do not need it.
    pub(crate) fn recheck<'a>(
        &'a self,
        member: &'a Member,
        called: Option<&'a Endpoint>,
    ) -> BoxFuture<'a, Result<Recheck, RecheckError>> {
        async move {
            let place = self.pool.of_task(&member.cluster, &member.task).await?;
            place.recheck(member, called).await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
