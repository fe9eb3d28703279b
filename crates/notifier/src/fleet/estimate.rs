//! What a broadcast through the queues costs in requests to AWS, and how long these take at least. Pure.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use wire::ObserverMessage;

use super::DiscoveryPolicy;
use super::method::{cheapest, is_few};
use crate::aws::budget::Group;
use crate::aws::calls::Count;
use crate::model::{ClusterState, DiscoveryMethod, Fleet, Member};

/// Names in one page of `ListServices`, and tasks in one call of `ListTasks` and `DescribeTasks`. Source: ECS API
/// reference.
const PAGE: u64 = 100;
/// Services in one `DescribeServices`. Source: ECS API reference.
const SERVICES_DESCRIBED: u64 = 10;

/// Requests to AWS by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// The requests of each bucket that has any, by its name.
    pub calls: BTreeMap<&'static str, u64>,
    /// The time that these requests take at least, if nobody else uses the share and its buckets are full.
    pub time: Duration,
}

/// The tasks of a cluster as a plan found them.
#[derive(Debug, Default)]
struct Cluster<'a> {
    tasks: HashSet<&'a str>,
    services: BTreeMap<&'a str, Service<'a>>,
}

/// The tasks of a service as a plan found them.
#[derive(Debug, Default)]
struct Service<'a> {
    tasks: HashSet<&'a str>,
    opted_in: bool,
}

impl<'a> Cluster<'a> {
    fn add(&mut self, member: &'a Member, opted_in: bool) {
        // A service that the cluster does not have.
        if member.task.is_empty() {
            return;
        }
        self.tasks.insert(&member.task);
        // The group of a standalone task is `family:NAME`.
        if !member.service.contains(':') {
            let service = self.services.entry(&member.service).or_default();
            service.tasks.insert(&member.task);
            service.opted_in |= opted_in;
        }
    }

    /// The requests to find its tasks.
    fn calls(&self, scope: &ObserverMessage, policy: DiscoveryPolicy) -> [(Group, u64); 3] {
        let (found, named) = (self.services.len(), scope.services.len());
        let known = (named > 0).then(|| named.min(found));
        let state = ClusterState { tasks: self.tasks.len(), services: found, ..ClusterState::default() };
        let (asks, method) = match policy {
            DiscoveryPolicy::Services => (0, DiscoveryMethod::Services),
            DiscoveryPolicy::Sweep => (0, DiscoveryMethod::Sweep),
            DiscoveryPolicy::Auto if known.is_some_and(is_few) => (0, DiscoveryMethod::Services),
            DiscoveryPolicy::Auto => (1, cheapest(known, scope.standalone, &state)),
        };
        let pages = |tasks: &HashSet<&str>| (tasks.len() as u64).div_ceil(PAGE);
        let all = pages(&self.tasks).max(1) + pages(&self.tasks);
        let by_name = (named as u64).div_ceil(SERVICES_DESCRIBED);
        if method == DiscoveryMethod::Sweep {
            return [(Group::ClustersRead, asks), (Group::ServiceRead, by_name), (Group::ClusterRead, all)];
        }
        let found = found as u64;
        let whole = found.div_ceil(PAGE).max(1) + found.div_ceil(SERVICES_DESCRIBED);
        // A service with an opted-in container gets a message, which lists and describes the tasks of the service. Another
        // message does so for standalone tasks, with all tasks of the cluster.
        let messages = self.services.values().filter(|service| service.opted_in);
        let of_services: u64 = messages.map(|service| 2 * pages(&service.tasks)).sum();
        let standalone = if scope.standalone && named == 0 { all } else { 0 };
        [
            (Group::ClustersRead, asks),
            (Group::ServiceRead, if named == 0 { whole } else { by_name }),
            (Group::ClusterRead, of_services + standalone),
        ]
    }
}

impl Estimate {
    /// The requests of a process so far, within this percentage of AWS's rate.
    pub fn of_calls(counts: &[Count], percent: f64) -> Self {
        let groups = counts.iter().filter_map(|call| Some((Group::of(&call.operation)?, call.requests)));
        Self::of(groups, percent)
    }

    /// A broadcast through the queues to this fleet, as a plan found it with these requests. A live registry saves most of them.
    ///
    /// Task definitions and hosts count as often as for the plan: with a ledger, known ones cost nothing. Services without
    /// tasks are not known to a plan, and cost up to two calls each; of a cluster, only the tasks of the scope are known.
    pub fn of_broadcast(
        fleet: &Fleet,
        scope: &ObserverMessage,
        policy: DiscoveryPolicy,
        counts: &[Count],
        percent: f64,
    ) -> Self {
        let endpoints = fleet.endpoints.iter().map(|endpoint| (&*endpoint.member, true));
        let skips = fleet.skips.iter().map(|skip| (&*skip.member, true));
        let ignored = fleet.not_targeted.iter().map(|one| (&*one.member, false));
        let mut clusters = BTreeMap::<_, Cluster<'_>>::new();
        for (member, opted_in) in endpoints.chain(skips).chain(ignored) {
            let cluster = clusters.entry((&member.account, &member.region, &member.cluster)).or_default();
            cluster.add(member, opted_in);
        }
        let nothing = Cluster::default();
        let clusters: Vec<&Cluster<'_>> =
            if clusters.is_empty() { vec![&nothing] } else { clusters.values().collect() };
        let again = [
            (Group::ClusterRead, "DescribeContainerInstances"),
            (Group::TaskDefinitionRead, "DescribeTaskDefinition"),
            (Group::Ec2Read, "DescribeInstances"),
            (Group::NodesRead, "DescribeInstanceInformation"),
        ];
        let again = again.into_iter().map(|(group, operation)| {
            let calls = counts.iter().filter(|call| call.operation == operation);
            (group, calls.map(|call| call.requests).sum())
        });
        Self::of(clusters.into_iter().flat_map(|cluster| cluster.calls(scope, policy)).chain(again), percent)
    }

    fn of(groups: impl Iterator<Item = (Group, u64)>, percent: f64) -> Self {
        let mut estimate = Self::default();
        for (group, calls) in groups.filter(|(_, calls)| *calls > 0) {
            *estimate.calls.entry(group.as_str()).or_default() += calls;
        }
        let times = Group::ALL.iter().filter_map(|group| {
            let calls = estimate.calls.get(group.as_str())?;
            Some(group.share(percent).time_of(*calls))
        });
        // The buckets are used at the same time.
        estimate.time = times.max().unwrap_or_default();
        estimate
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::aws::calls::Results;
    use crate::model::{Cause, Delivery, NotTargeted, NotTargetedReason, SkipReason};

    /// Tasks that opted in, and cannot be called.
    fn fleet(services: u32, tasks: u32) -> Fleet {
        let member = |service: u32, task: u32| Member {
            cluster: "prod".to_owned(),
            service: format!("s-{service}"),
            task: format!("arn:{service}/{task}"),
            ..Member::default()
        };
        let all = (0..services).flat_map(|service| (0..tasks).map(move |task| (service, task)));
        let one = |(service, task)| {
            let reason = SkipReason::new(Cause::Health, "its health is UNHEALTHY");
            Delivery::skipped(Arc::new(member(service, task)), reason)
        };
        Fleet { skips: all.map(one).collect(), ..Fleet::default() }
    }

    fn count(operation: &str, requests: u64) -> Count {
        let operation = operation.to_owned();
        Count { service: String::new(), operation, requests, results: Results::default() }
    }

    #[track_caller]
    fn check(estimate: &Estimate, calls: &[(&'static str, u64)], seconds: f64) {
        assert_eq!(estimate.calls.clone().into_iter().collect::<Vec<_>>(), calls);
        assert!((estimate.time.as_secs_f64() - seconds).abs() < 0.01, "{:?}", estimate.time);
    }

    fn whole() -> ObserverMessage {
        ObserverMessage::new("prod")
    }

    #[test]
    fn a_thousand_services_through_the_queues() {
        let counts = [count("DescribeTaskDefinition", 1_000), count("DescribeContainerInstances", 3)];
        let estimate =
            |policy, percent| Estimate::of_broadcast(&fleet(1_000, 5), &whole(), policy, &counts, percent);
        let calls = [
            ("ecs-cluster-resource-read", 2_003),
            ("ecs-service-read", 110),
            ("ecs-task-definition-read", 1_000),
        ];
        check(&estimate(DiscoveryPolicy::Services, 100.0), &calls, (2_003.0 - 100.0) / 20.0);
        check(&estimate(DiscoveryPolicy::Services, 50.0), &calls, (2_003.0 - 50.0) / 10.0);
        // 5,000 tasks are 50 pages.
        let calls = [
            ("ecs-cluster-read", 1),
            ("ecs-cluster-resource-read", 103),
            ("ecs-task-definition-read", 1_000),
        ];
        check(&estimate(DiscoveryPolicy::Auto, 50.0), &calls, (1_000.0 - 25.0) / 10.0);
    }

    #[test]
    fn a_large_service_by_name_takes_pages() {
        let mut scope = whole();
        scope.services = vec!["s-0".to_owned()];
        let estimate = Estimate::of_broadcast(&fleet(1, 1_001), &scope, DiscoveryPolicy::Auto, &[], 50.0);
        check(&estimate, &[("ecs-cluster-resource-read", 22), ("ecs-service-read", 1)], 0.0);
    }

    #[test]
    fn a_service_that_did_not_opt_in_gets_no_message() {
        let mut all = fleet(2, 3);
        let ignored = all
            .skips
            .split_off(3)
            .into_iter()
            .map(|skip| NotTargeted { member: skip.member, reason: NotTargetedReason::TaskVanished });
        all.not_targeted.extend(ignored);
        let calls = [("ecs-cluster-resource-read", 2), ("ecs-service-read", 2)];
        check(&Estimate::of_broadcast(&all, &whole(), DiscoveryPolicy::Services, &[], 50.0), &calls, 0.0);
        // The message of standalone tasks lists all tasks.
        let mut scope = whole();
        scope.standalone = true;
        let calls = [("ecs-cluster-resource-read", 4), ("ecs-service-read", 2)];
        check(&Estimate::of_broadcast(&all, &scope, DiscoveryPolicy::Services, &[], 50.0), &calls, 0.0);
    }

    #[test]
    fn what_was_called_counts_by_bucket() {
        let counts = [count("ListTasks", 60), count("DescribeTasks", 60), count("GetCallerIdentity", 1)];
        check(&Estimate::of_calls(&counts, 50.0), &[("ecs-cluster-resource-read", 120)], 7.0);
        check(&Estimate::of_calls(&[], 50.0), &[], 0.0);
    }
}
