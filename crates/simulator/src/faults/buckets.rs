//! The request-rate limits of ECS and EC2: one token bucket for each group of operations.
//!
//! Sources: Amazon ECS API Reference, "Request throttling for the Amazon ECS API"; Amazon EC2 Developer Guide,
//! "Request throttling for the Amazon EC2 API". Both hold for one account and Region.

use std::collections::HashMap;

use tokio::time::Instant;

/// A group of operations that draw on one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Group {
    EcsClusterResourceRead,
    EcsServiceRead,
    EcsTaskDefinitionRead,
    EcsClusterRead,
    Ec2Describe,
    /// `DescribeInstances` with neither a filter nor pages.
    Ec2DescribeAll,
}

impl Group {
    /// The group of an operation, or `None` where no limit is simulated (SQS has none that a fleet meets).
    fn of(operation: &str, whole: bool) -> Option<Self> {
        Some(match operation {
            "DescribeTasks" | "ListTasks" | "ListContainerInstances" | "DescribeContainerInstances" => {
                Self::EcsClusterResourceRead
            }
            "DescribeServices" | "ListServices" => Self::EcsServiceRead,
            "DescribeTaskDefinition" => Self::EcsTaskDefinitionRead,
            "DescribeClusters" | "ListClusters" => Self::EcsClusterRead,
            "DescribeInstances" if whole => Self::Ec2DescribeAll,
            "DescribeInstances" => Self::Ec2Describe,
            _ => return None,
        })
    }

    /// Tokens of a full bucket.
    fn burst(self) -> f64 {
        match self {
            Self::EcsClusterResourceRead | Self::EcsServiceRead | Self::Ec2Describe => 100.0,
            Self::EcsTaskDefinitionRead | Self::EcsClusterRead | Self::Ec2DescribeAll => 50.0,
        }
    }

    /// Tokens that come back each second.
    fn refill(self) -> f64 {
        if self == Self::Ec2DescribeAll { 10.0 } else { 20.0 }
    }
}

/// The buckets drawn on so far; one that nobody used is full.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    levels: HashMap<Group, (f64, Instant)>,
}

impl Buckets {
    /// Takes a token for one call, or says that none is left. `whole`: the call asks for everything at once.
    pub(super) fn take(&mut self, operation: &str, whole: bool, now: Instant) -> bool {
        let Some(group) = Group::of(operation, whole) else { return true };
        let (level, since) = self.levels.entry(group).or_insert((group.burst(), now));
        let refilled = now.saturating_duration_since(*since).as_secs_f64() * group.refill();
        *level = (*level + refilled).min(group.burst());
        *since = now;
        let granted = *level >= 1.0;
        if granted {
            *level -= 1.0;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_group_shares_one_burst_and_refills_by_the_second() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        let granted =
            (0..60).flat_map(|_| ["ListTasks", "DescribeTasks"]).filter(|op| buckets.take(op, false, now));
        assert_eq!(granted.count(), 100, "both operations draw on the same bucket");
        let later = now + Duration::from_secs(1);
        assert_eq!((0..60).filter(|_| buckets.take("ListTasks", false, later)).count(), 20);
        assert!(buckets.take("ListServices", false, now), "another group has its own bucket");
    }

    #[test]
    fn asking_ec2_for_everything_at_once_has_the_smaller_bucket() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        let mut granted = |whole| (0..200).filter(|_| buckets.take("DescribeInstances", whole, now)).count();
        assert_eq!((granted(true), granted(false)), (50, 100));
    }

    #[test]
    fn an_operation_without_a_limit_is_never_refused() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        assert!((0..10_000).all(|_| buckets.take("SendMessage", false, now)));
    }
}
