//! The accounts and regions that discovery uses, each made at its first use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::DiscoveryError;
use super::DiscoveryPolicy;
use super::classify::CallPolicy;
use super::facts::Facts;
use super::place::{Place, Shared};
use super::registry::Registry;
use crate::aws::{Aws, RoleSession, identity};
use crate::base::text::{chain, printable};
use crate::model::arn::{ClusterArn, TaskArn, is_account, is_region};

/// The most accounts and regions besides those of this process. Each has clients, connections and caches.
pub(super) const PLACES_MAX: usize = 256;
/// Time limit for the account number of this process. In a subnet without a route to STS there is no answer.
const ACCOUNT_WAIT_MAX: Duration = Duration::from_secs(5);
/// Time before STS is asked again after it did not answer.
const ACCOUNT_AGAIN_AFTER: Duration = Duration::from_mins(5);
/// The most characters of a cluster in an error.
const CLUSTER_CHARS_MAX: usize = 200;
/// How the ARN of a resource begins.
const ARN: &str = "arn:";

/// Every account and region, by the role that is assumed there (`None`: the credentials of this process) and the region.
type Others = BTreeMap<(Option<String>, String), Arc<Place>>;

/// The place of this process, and others by the ARN of a cluster.
#[derive(Debug)]
pub(super) struct Pool {
    aws: Aws,
    shared: Shared,
    home: Arc<Place>,
    made: Mutex<Made>,
    /// The account of this process; locked while STS is asked.
    account: tokio::sync::Mutex<Option<Account>>,
}

#[derive(Debug, Default)]
struct Made {
    places: Others,
    /// Sessions by role: all regions of an account share one.
    sessions: BTreeMap<String, RoleSession>,
}

/// What STS said about the account of this process.
#[derive(Debug)]
struct Account {
    /// `None` if STS did not answer.
    number: Option<String>,
    asked: Instant,
}

impl Pool {
    pub(super) fn new(aws: &Aws, policy: CallPolicy) -> Self {
        Self::with(aws.clone(), Shared { policy, facts: Arc::default(), registry: None })
    }

    fn with(aws: Aws, shared: Shared) -> Self {
        Self {
            home: Arc::new(Place::new(&aws, &shared)),
            aws,
            shared,
            made: Mutex::default(),
            account: tokio::sync::Mutex::default(),
        }
    }

    /// The same with this decision about hosts outside AWS.
    pub(super) fn with_anywhere(self, anywhere: bool) -> Self {
        let policy = CallPolicy { anywhere, ..self.shared.policy };
        Self::with(self.aws, Shared { policy, ..self.shared })
    }

    /// The same with these facts.
    pub(super) fn with_facts(self, facts: Facts) -> Self {
        Self::with(self.aws, Shared { facts: Arc::new(facts), ..self.shared })
    }

    /// The same with this registry.
    pub(super) fn with_registry(self, registry: Option<Registry>) -> Self {
        Self::with(self.aws, Shared { registry, ..self.shared })
    }

    /// The same with this way of finding tasks.
    pub(super) fn with_method(self, method: DiscoveryPolicy) -> Self {
        let policy = CallPolicy { method, ..self.shared.policy };
        Self::with(self.aws, Shared { policy, ..self.shared })
    }

    /// The registry, if there is one.
    pub(super) fn registry(&self) -> Option<&Registry> {
        self.shared.registry.as_ref()
    }

    /// The place of a cluster, by its ARN. A name is in the account and region of this process.
    ///
    /// # Errors
    ///
    /// If the ARN is not that of a cluster, or of an account without a role.
    pub(super) async fn of_cluster(&self, cluster: &str) -> Result<Arc<Place>, DiscoveryError> {
        if !cluster.starts_with(ARN) {
            return Ok(Arc::clone(&self.home));
        }
        let arn = ClusterArn::parse(cluster)
            .ok_or_else(|| DiscoveryError::ClusterArn(printable(cluster, CLUSTER_CHARS_MAX)))?;
        self.at(arn.account, arn.region).await
    }

    /// The place of a task: that of its cluster's ARN, else that of its own ARN, else that of this process.
    pub(super) async fn of_task(&self, cluster: &str, task: &str) -> Result<Arc<Place>, DiscoveryError> {
        if cluster.starts_with(ARN) {
            return self.of_cluster(cluster).await;
        }
        let arn = TaskArn::parse(task).map(|task| task.arn);
        match arn.filter(|arn| is_account(arn.account) && is_region(arn.region)) {
            // Without a role for it, an account is not asked about: ECS itself refuses a task of another account.
            Some(arn) if self.aws.roles.of(arn.account).is_some() || !self.is_home(arn.region) => {
                self.at(arn.account, arn.region).await
            }
            _ => Ok(Arc::clone(&self.home)),
        }
    }

    fn is_home(&self, region: &str) -> bool {
        self.aws.region.as_deref() == Some(region)
    }

    async fn at(&self, account: &str, region: &str) -> Result<Arc<Place>, DiscoveryError> {
        let role = self.aws.roles.of(account);
        if role.is_none() {
            // If STS does not answer, AWS itself refuses a cluster of another account.
            if self.account().boxed().await.is_some_and(|home| home != account) {
                return Err(DiscoveryError::NoRole { account: account.to_owned() });
            }
            if self.is_home(region) {
                return Ok(Arc::clone(&self.home));
            }
        }
        self.other(role, region)
    }

    /// The place with these credentials in this region. Making one makes no request.
    fn other(&self, role: Option<&str>, region: &str) -> Result<Arc<Place>, DiscoveryError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let Made { places, sessions } = &mut *made;
        let key = (role.map(str::to_owned), region.to_owned());
        if let Some(place) = places.get(&key) {
            return Ok(Arc::clone(place));
        }
        if places.len() >= PLACES_MAX {
            return Err(DiscoveryError::TooManyPlaces);
        }
        let session = role.map(|role| {
            sessions.entry(role.to_owned()).or_insert_with(|| RoleSession::new(&self.aws, role)).clone()
        });
        let aws = self.aws.elsewhere(region, session.as_ref());
        let place = Arc::new(Place::new(&aws, &self.shared));
        places.insert(key, Arc::clone(&place));
        Ok(place)
    }

    /// The account of this process. STS is asked once; if it does not answer, again after some minutes.
    async fn account(&self) -> Option<String> {
        let mut account = self.account.lock().await;
        if let Some(Account { number, asked }) = &*account
            && (number.is_some() || asked.elapsed() < ACCOUNT_AGAIN_AFTER)
        {
            return number.clone();
        }
        let number = identity::account(&self.aws.sts, ACCOUNT_WAIT_MAX).await;
        let number = number.inspect_err(|error| {
            tracing::warn!(
                error = chain(error),
                "The account of this process is unknown: STS does not answer. Clusters of accounts without a role in \
                 NOTIFIER_ROLES are looked up with the credentials of this process"
            );
        });
        let number = number.ok();
        *account = Some(Account { number: number.clone(), asked: Instant::now() });
        number
    }
}
