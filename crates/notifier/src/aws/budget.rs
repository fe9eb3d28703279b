//! The budget: a share of the account's API request rate.
//!
//! AWS gives each account and region one token bucket for each group of APIs. Deployments, autoscaling and dashboards
//! use the same buckets, so a broadcast waits for its own, smaller bucket first. The SDK's retries have their own
//! backoff (`client_config`).
//!
//! The tokens come from a [`TokenSource`]: that of this process alone (`process`), or one that all processes of the
//! installation share (`store::budget`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;

mod process;
mod throttles;

use process::ProcessTokens;
pub(super) use throttles::Throttles;

/// The default share of AWS's buckets for one process, in percent.
pub const PERCENT_DEFAULT: f64 = 50.0;
/// The smallest share, in percent: fractions, so that an installation's share can be divided among its processes.
pub const PERCENT_MIN: f64 = 0.01;
/// The whole bucket, in percent.
pub const PERCENT_MAX: f64 = 100.0;

/// A shorter wait is that of a lock, and is not counted.
const WAIT_COUNTED_MIN: Duration = Duration::from_millis(1);

/// APIs with a common bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// ECS `ListTasks`, `DescribeTasks`, `ListContainerInstances`, `DescribeContainerInstances`.
    ClusterRead,
    /// ECS `ListServices`, `DescribeServices`.
    ServiceRead,
    /// ECS `ListClusters`, `DescribeClusters`.
    ClustersRead,
    /// ECS `DescribeTaskDefinition`.
    TaskDefinitionRead,
    /// EC2 `DescribeInstances` with a filter and pages.
    Ec2Read,
    /// SSM `DescribeInstanceInformation`.
    NodesRead,
}

/// Tokens that each bucket gets per second. Sources: "Request throttling for the Amazon ECS API" and "Request throttling
/// for the Amazon EC2 API" (non-mutating actions with filters and pages).
const REFILL_PER_S: f64 = 20.0;
/// The same for Systems Manager, which publishes no rate: with the default share, one call a second.
const NODES_REFILL_PER_S: f64 = 2.0;

impl Group {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::ClusterRead,
        Self::ServiceRead,
        Self::ClustersRead,
        Self::TaskDefinitionRead,
        Self::Ec2Read,
        Self::NodesRead,
    ];

    /// A stable name, for stored keys and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterRead => "ecs-cluster-resource-read",
            Self::ServiceRead => "ecs-service-read",
            Self::ClustersRead => "ecs-cluster-read",
            Self::TaskDefinitionRead => "ecs-task-definition-read",
            Self::Ec2Read => "ec2-read",
            Self::NodesRead => "ssm-read",
        }
    }

    /// The group of an operation that discovery calls.
    pub fn of(operation: &str) -> Option<Self> {
        match operation {
            "ListTasks" | "DescribeTasks" | "ListContainerInstances" | "DescribeContainerInstances" => {
                Some(Self::ClusterRead)
            }
            "ListServices" | "DescribeServices" => Some(Self::ServiceRead),
            "ListClusters" | "DescribeClusters" => Some(Self::ClustersRead),
            "DescribeTaskDefinition" => Some(Self::TaskDefinitionRead),
            "DescribeInstances" => Some(Self::Ec2Read),
            "DescribeInstanceInformation" => Some(Self::NodesRead),
            _ => None,
        }
    }

    /// Tokens of the full bucket. Same sources.
    fn burst(self) -> f64 {
        match self {
            Self::ClusterRead | Self::ServiceRead | Self::Ec2Read => 100.0,
            Self::TaskDefinitionRead | Self::ClustersRead => 50.0,
            Self::NodesRead => 10.0,
        }
    }

    fn refill_per_s(self) -> f64 {
        if self == Self::NodesRead { NODES_REFILL_PER_S } else { REFILL_PER_S }
    }

    /// `percent` of the bucket, with a burst of at least one call.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a small number, rounded down"
    )]
    pub fn share(self, percent: f64) -> BucketShare {
        let share = percent / 100.0;
        let burst = (self.burst() * share) as u32;
        BucketShare { burst: burst.max(1), refill_per_s: self.refill_per_s() * share }
    }
}

/// A share of one bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BucketShare {
    /// Tokens of the full bucket; at least one.
    pub burst: u32,
    /// Tokens that it gets per second.
    pub refill_per_s: f64,
}

impl BucketShare {
    /// The shortest time in which so many calls can start, if the bucket is full at the beginning.
    pub fn time_of(&self, calls: u64) -> Duration {
        let waiting = calls.saturating_sub(self.burst.into());
        #[expect(clippy::cast_precision_loss, reason = "numbers of calls are far below 2^52")]
        Duration::try_from_secs_f64(waiting as f64 / self.refill_per_s).unwrap_or(Duration::MAX)
    }
}

/// The tokens of one account and region.
pub trait TokenSource: std::fmt::Debug + Send + Sync {
    /// Waits for a token of this group, and takes it. There is one call at a time for each group.
    fn take(&self, group: Group) -> BoxFuture<'_, ()>;

    /// Notes that AWS throttled a call of this group.
    fn throttled(&self, group: Group);
}

/// A budget that the processes of an installation share.
pub trait SharedBudget: std::fmt::Debug + Send + Sync {
    /// The tokens of this percentage of the buckets of an account and region.
    fn tokens(&self, of: &AccountRegion, percent: f64) -> Arc<dyn TokenSource>;
}

/// An account and region. `None` means that of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountRegion {
    /// Id of the account.
    pub account: Option<String>,
    /// Name of the region.
    pub region: Option<String>,
}

/// One value for each group.
#[derive(Debug, Default)]
pub(crate) struct Groups<T> {
    cluster: T,
    service: T,
    clusters: T,
    task_definition: T,
    ec2: T,
    nodes: T,
}

impl<T> Groups<T> {
    pub(crate) fn new(value: impl Fn(Group) -> T) -> Self {
        Self {
            cluster: value(Group::ClusterRead),
            service: value(Group::ServiceRead),
            clusters: value(Group::ClustersRead),
            task_definition: value(Group::TaskDefinitionRead),
            ec2: value(Group::Ec2Read),
            nodes: value(Group::NodesRead),
        }
    }

    pub(crate) fn get(&self, group: Group) -> &T {
        match group {
            Group::ClusterRead => &self.cluster,
            Group::ServiceRead => &self.service,
            Group::ClustersRead => &self.clusters,
            Group::TaskDefinitionRead => &self.task_definition,
            Group::Ec2Read => &self.ec2,
            Group::NodesRead => &self.nodes,
        }
    }
}

/// A share of AWS's buckets. Clones share it. Separate processes have separate budgets, unless they [share](Self::share) one.
#[derive(Clone, Debug)]
pub struct Budget {
    shares: Option<Arc<Shares>>,
    /// The lane of these calls: per group, one of them waits for the budget, and the others wait behind it. So lanes take
    /// turns, however many calls each has.
    lane: Arc<Groups<Mutex<()>>>,
}

#[derive(Debug)]
struct Shares {
    percent: f64,
    of: AccountRegion,
    /// Locked while waiting, so that calls go in order of arrival, and one token wakes only one caller.
    turns: Groups<Mutex<()>>,
    /// Chosen at the first call.
    tokens: OnceLock<Arc<dyn TokenSource>>,
    common: Arc<Common>,
}

impl Shares {
    fn tokens(&self) -> &dyn TokenSource {
        let choose = || match self.common.shared.get() {
            Some(shared) => shared.tokens(&self.of, self.percent),
            None => Arc::new(ProcessTokens::new(self.percent)),
        };
        &**self.tokens.get_or_init(choose)
    }
}

/// What all separate budgets of a process have in common.
#[derive(Debug, Default)]
struct Common {
    waiting: Waiting,
    shared: OnceLock<Arc<dyn SharedBudget>>,
}

/// The calls that wait, of all groups and lanes, and of all separate budgets.
#[derive(Debug, Default)]
struct Waiting {
    /// Each call that waits now has a clone.
    now: Arc<()>,
    /// Calls that have waited.
    calls: AtomicU64,
    micros: AtomicU64,
}

/// The waits of calls for the budget so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Calls that had to wait.
    pub calls: u64,
    /// How long they waited together.
    pub time: Duration,
}

impl Budget {
    /// This share of every bucket of AWS. A percentage outside [`PERCENT_MIN`] to [`PERCENT_MAX`] counts as the nearest limit.
    pub fn percent(percent: impl Into<f64>) -> Self {
        let percent = percent.into();
        let percent = if percent.is_nan() { PERCENT_MIN } else { percent.clamp(PERCENT_MIN, PERCENT_MAX) };
        Self::with(percent, AccountRegion::default(), Arc::default())
    }

    fn with(percent: f64, of: AccountRegion, common: Arc<Common>) -> Self {
        let shares = Shares { percent, of, turns: Groups::default(), tokens: OnceLock::default(), common };
        Self { shares: Some(Arc::new(shares)), lane: Arc::default() }
    }

    /// Takes the tokens of this budget, and of all [separate](Self::separate) ones, from one that other processes use too.
    ///
    /// Call it before the first [`wait`](Self::wait). The first shared budget counts.
    pub fn share(&self, budget: Arc<dyn SharedBudget>) {
        if let Some(shares) = &self.shares {
            let _ = shares.common.shared.set(budget);
        }
    }

    /// The share of AWS's buckets, in percent; `None` without a limit.
    pub fn percentage(&self) -> Option<f64> {
        self.shares.as_ref().map(|shares| shares.percent)
    }

    /// No limit, for a simulator.
    pub fn unlimited() -> Self {
        Self { shares: None, lane: Arc::default() }
    }

    /// The same share with a new lane: each call of one lane delays a call of another by at most one.
    #[must_use]
    pub fn lane(&self) -> Self {
        Self { shares: self.shares.clone(), lane: Arc::default() }
    }

    /// A separate budget with the same percentage, for another account or region: AWS has separate buckets there. Calls
    /// that wait are counted together.
    #[must_use]
    pub fn separate(&self, of: AccountRegion) -> Self {
        self.shares
            .as_ref()
            .map_or_else(Self::unlimited, |shares| Self::with(shares.percent, of, Arc::clone(&shares.common)))
    }

    /// Waits for a token of this group, and takes it. Lanes take turns; within a lane, calls go in order of arrival.
    pub async fn wait(&self, group: Group) {
        let Some(shares) = &self.shares else { return };
        let waiting = &shares.common.waiting;
        let _waiting = Arc::clone(&waiting.now);
        let begun = Instant::now();
        let _first_of_lane = self.lane.get(group).lock().await;
        let _turn = shares.turns.get(group).lock().await;
        shares.tokens().take(group).await;
        let waited = begun.elapsed();
        if waited >= WAIT_COUNTED_MIN {
            waiting.calls.fetch_add(1, Ordering::Relaxed);
            let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
            waiting.micros.fetch_add(micros, Ordering::Relaxed);
        }
    }

    /// Notes that AWS throttled a call of this group.
    pub(crate) fn throttled(&self, group: Group) {
        if let Some(tokens) = self.shares.as_ref().and_then(|shares| shares.tokens.get()) {
            tokens.throttled(group);
        }
    }

    /// The waits so far, of all groups, lanes and separate budgets.
    pub fn waits(&self) -> Waits {
        self.shares.as_ref().map_or_else(Waits::default, |shares| Waits {
            calls: shares.common.waiting.calls.load(Ordering::Relaxed),
            time: Duration::from_micros(shares.common.waiting.micros.load(Ordering::Relaxed)),
        })
    }

    /// Number of calls that wait for the budget now, of all groups, lanes and separate budgets.
    pub fn waiting(&self) -> usize {
        self.shares.as_ref().map_or(0, |shares| Arc::strong_count(&shares.common.waiting.now) - 1)
    }
}

impl Default for Budget {
    /// [`PERCENT_DEFAULT`] percent.
    fn default() -> Self {
        Self::percent(PERCENT_DEFAULT)
    }
}

#[cfg(test)]
mod tests;
