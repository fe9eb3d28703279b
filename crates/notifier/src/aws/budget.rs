//! The budget: a share of the account's API request rate.
//!
//! AWS gives each account and region one token bucket for each group of APIs. Deployments, autoscaling and dashboards
//! use the same buckets, so a broadcast waits for its own, smaller bucket first. The SDK's retries have their own
//! backoff (`client_config`).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Mutex;

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

    /// `percent` of the bucket, with a burst of at least one call and a refill rate above zero.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a small number, rounded down"
    )]
    fn quota(self, percent: f64) -> Quota {
        let share = percent / 100.0;
        let burst = NonZeroU32::new((self.burst() * share) as u32).unwrap_or(NonZeroU32::MIN);
        let period = Duration::from_secs_f64(1.0 / (self.refill_per_s() * share));
        // The period is never zero with the table above and a valid percentage.
        Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst)
    }
}

/// One value for each group.
#[derive(Debug, Default)]
struct Groups<T> {
    cluster: T,
    service: T,
    clusters: T,
    task_definition: T,
    ec2: T,
    nodes: T,
}

impl<T> Groups<T> {
    fn new(value: impl Fn(Group) -> T) -> Self {
        Self {
            cluster: value(Group::ClusterRead),
            service: value(Group::ServiceRead),
            clusters: value(Group::ClustersRead),
            task_definition: value(Group::TaskDefinitionRead),
            ec2: value(Group::Ec2Read),
            nodes: value(Group::NodesRead),
        }
    }

    fn get(&self, group: Group) -> &T {
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

/// A share of AWS's buckets. Clones share it; separate processes have separate budgets.
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
    groups: Groups<Share>,
    waiting: Arc<Waiting>,
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

#[derive(Debug)]
struct Share {
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioClock>,
    /// Locked while waiting, so that calls go in order of arrival, and one token wakes only one caller.
    turn: Mutex<()>,
}

impl Budget {
    /// This share of every bucket of AWS. A percentage outside [`PERCENT_MIN`] to [`PERCENT_MAX`] counts as the nearest limit.
    pub fn percent(percent: impl Into<f64>) -> Self {
        let percent = percent.into();
        let percent = if percent.is_nan() { PERCENT_MIN } else { percent.clamp(PERCENT_MIN, PERCENT_MAX) };
        Self::of(percent, Arc::default())
    }

    fn of(percent: f64, waiting: Arc<Waiting>) -> Self {
        let share = |group: Group| Share {
            limiter: RateLimiter::direct_with_clock(group.quota(percent), TokioClock),
            turn: Mutex::default(),
        };
        let shares = Shares { percent, groups: Groups::new(share), waiting };
        Self { shares: Some(Arc::new(shares)), lane: Arc::default() }
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
    pub fn separate(&self) -> Self {
        self.shares
            .as_ref()
            .map_or_else(Self::unlimited, |shares| Self::of(shares.percent, Arc::clone(&shares.waiting)))
    }

    /// Waits for a token of this group, and takes it. Lanes take turns; within a lane, calls go in order of arrival.
    pub async fn wait(&self, group: Group) {
        let Some(shares) = &self.shares else { return };
        let share = shares.groups.get(group);
        let _waiting = Arc::clone(&shares.waiting.now);
        let begun = TokioClock.now();
        let _first_of_lane = self.lane.get(group).lock().await;
        let _turn = share.turn.lock().await;
        // Terminates: the bucket refills at a constant rate, and no other caller takes tokens while the lock is held.
        while let Err(not_yet) = share.limiter.check() {
            tokio::time::sleep(not_yet.wait_time_from(TokioClock.now())).await;
        }
        let waited = TokioClock.now().saturating_duration_since(begun);
        if waited >= WAIT_COUNTED_MIN {
            shares.waiting.calls.fetch_add(1, Ordering::Relaxed);
            let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
            shares.waiting.micros.fetch_add(micros, Ordering::Relaxed);
        }
    }

    /// The waits so far, of all groups, lanes and separate budgets.
    pub fn waits(&self) -> Waits {
        self.shares.as_ref().map_or_else(Waits::default, |shares| Waits {
            calls: shares.waiting.calls.load(Ordering::Relaxed),
            time: Duration::from_micros(shares.waiting.micros.load(Ordering::Relaxed)),
        })
    }

    /// Number of calls that wait for the budget now, of all groups, lanes and separate budgets.
    pub fn waiting(&self) -> usize {
        self.shares.as_ref().map_or(0, |shares| Arc::strong_count(&shares.waiting.now) - 1)
    }
}

impl Default for Budget {
    /// [`PERCENT_DEFAULT`] percent.
    fn default() -> Self {
        Self::percent(PERCENT_DEFAULT)
    }
}

/// Tokio's clock, which tests can pause.
#[derive(Clone, Debug)]
struct TokioClock;

impl Clock for TokioClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

#[cfg(test)]
mod tests;
