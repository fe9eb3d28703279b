//! What a broadcast through the queues costs in requests to AWS, and how long these take at least. Pure.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::aws::budget::Group;
use crate::aws::calls::Count;
use crate::model::{Fleet, Member};

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

/// A service as a plan found it.
#[derive(Debug, Default)]
struct Service<'a> {
    tasks: HashSet<&'a str>,
    opted_in: bool,
}

impl Estimate {
    /// The requests of a process so far, within this percentage of AWS's rate.
    pub fn of_calls(counts: &[Count], percent: f64) -> Self {
        let groups = counts.iter().filter_map(|call| Some((Group::of(&call.operation)?, call.requests)));
        Self::of(groups, percent)
    }

    /// A broadcast through the queues to this fleet, as a plan found it with these requests: a message for each service. The
    /// scope names `named` services; 0 means the whole cluster.
    ///
    /// Task definitions and hosts count as often as for the plan: with a ledger, known ones cost nothing. Services without
    /// tasks are not known to a plan, and cost up to two calls each.
    pub fn by_services(fleet: &Fleet, named: usize, counts: &[Count], percent: f64) -> Self {
        let endpoints = fleet.endpoints.iter().map(|endpoint| (&*endpoint.member, true));
        let skips = fleet.skips.iter().map(|skip| (&*skip.member, true));
        let ignored = fleet.not_targeted.iter().map(|one| (&*one.member, false));
        let mut services = BTreeMap::<_, Service<'_>>::new();
        for (member, opted_in) in
            endpoints.chain(skips).chain(ignored).filter(|(member, _)| !member.task.is_empty())
        {
            let Member { account, region, cluster, service, task, .. } = member;
            let service = services.entry((account, region, cluster, service)).or_default();
            service.tasks.insert(task);
            service.opted_in |= opted_in;
        }
        let found = u64::try_from(services.len()).unwrap_or(u64::MAX);
        let named = u64::try_from(named).unwrap_or(u64::MAX);
        let listed = if named == 0 { found.div_ceil(PAGE).max(1) } else { 0 };
        let asked = if named == 0 { found } else { named };
        // A service with an opted-in container gets a message, which lists and describes the tasks of the service.
        let messages = services.values().filter(|service| service.opted_in);
        let pages: u64 = messages.map(|service| (service.tasks.len() as u64).div_ceil(PAGE)).sum();
        let again = |operation: &str| {
            counts.iter().filter(|call| call.operation == operation).map(|call| call.requests).sum::<u64>()
        };
        let calls = [
            (Group::ServiceRead, listed + asked.div_ceil(SERVICES_DESCRIBED)),
            (Group::ClusterRead, 2 * pages + again("DescribeContainerInstances")),
            (Group::TaskDefinitionRead, again("DescribeTaskDefinition")),
            (Group::Ec2Read, again("DescribeInstances")),
            (Group::NodesRead, again("DescribeInstanceInformation")),
        ];
        Self::of(calls.into_iter(), percent)
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

    #[test]
    fn a_thousand_services_through_the_queues() {
        let counts = [count("DescribeTaskDefinition", 1_000), count("DescribeContainerInstances", 3)];
        let calls = [
            ("ecs-cluster-resource-read", 2_003),
            ("ecs-service-read", 110),
            ("ecs-task-definition-read", 1_000),
        ];
        let estimate = Estimate::by_services(&fleet(1_000, 5), 0, &counts, 100.0);
        check(&estimate, &calls, (2_003.0 - 100.0) / 20.0);
        let estimate = Estimate::by_services(&fleet(1_000, 5), 0, &counts, 50.0);
        check(&estimate, &calls, (2_003.0 - 50.0) / 10.0);
    }

    #[test]
    fn a_large_service_by_name_takes_pages() {
        let calls = [("ecs-cluster-resource-read", 22), ("ecs-service-read", 1)];
        check(&Estimate::by_services(&fleet(1, 1_001), 1, &[], 50.0), &calls, 0.0);
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
        check(&Estimate::by_services(&all, 0, &[], 50.0), &calls, 0.0);
    }

    #[test]
    fn what_was_called_counts_by_bucket() {
        let counts = [count("ListTasks", 60), count("DescribeTasks", 60), count("GetCallerIdentity", 1)];
        check(&Estimate::of_calls(&counts, 50.0), &[("ecs-cluster-resource-read", 120)], 7.0);
        check(&Estimate::of_calls(&[], 50.0), &[], 0.0);
    }
}
