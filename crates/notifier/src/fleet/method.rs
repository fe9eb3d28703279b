//! Chooses how the tasks of a scope are found, with the fewest calls to ECS.
//!
//! Service by service, each service costs at least a `ListTasks` and a `DescribeTasks`. A sweep of the whole cluster costs
//! the same two calls for each hundred tasks, whatever their services. Both are in one bucket of ECS, the one that limits
//! discovery. Source: "Request throttling for the Amazon ECS API".

use wire::{MESSAGE_BYTES_MAX, ObserverMessage, PAGE_TASKS_MAX};

use super::DiscoveryPolicy;
use super::place::Place;
use crate::aws::ecs::Ecs;
use crate::model::{ClusterState, DiscoveryMethod};

/// Calls that a sweep must save: the burst of ECS's bucket at the default share. Fewer calls take no time, and each service
/// has its own message, which every version of the second stage reads.
const SWEEP_SAVES_MIN: usize = 50;
/// The most bytes of the task ARNs in a page's message, with some room: an ARN has up to 200 characters.
const PAGE_BYTES_MAX: usize = PAGE_TASKS_MAX * 256;

impl Place {
    /// Chooses the method for a scope. `named` is the number of existing services that it names; `event_bytes` the size of
    /// the event that each message carries.
    pub(super) async fn method(
        &self,
        ecs: &Ecs,
        scope: &ObserverMessage,
        named: Option<usize>,
        event_bytes: usize,
    ) -> DiscoveryMethod {
        match self.policy.method {
            // Waves divide each service by itself, so one message has all its tasks.
            _ if scope.pace.is_some() => DiscoveryMethod::Services,
            _ if !fits_pages(event_bytes) => DiscoveryMethod::Services,
            DiscoveryPolicy::Services => DiscoveryMethod::Services,
            DiscoveryPolicy::Sweep => DiscoveryMethod::Sweep,
            DiscoveryPolicy::Auto if named.is_some_and(is_few) => DiscoveryMethod::Services,
            DiscoveryPolicy::Auto => {
                // A wrong name, or a missing permission, is reported by the calls that follow.
                let cluster = ecs.describe_clusters(std::slice::from_ref(&scope.cluster), false).await;
                let cluster = cluster.ok().and_then(|described| described.found.into_iter().next());
                cluster
                    .map_or(DiscoveryMethod::Services, |cluster| cheapest(named, scope.standalone, &cluster))
            }
        }
    }
}

/// Whether an event of this size leaves room for a page of tasks in each message.
pub(super) fn fits_pages(event_bytes: usize) -> bool {
    event_bytes + PAGE_BYTES_MAX <= MESSAGE_BYTES_MAX
}

/// Whether so few services never make a sweep worth while, whatever the size of the cluster.
pub(super) fn is_few(named: usize) -> bool {
    2 * named < 2 + SWEEP_SAVES_MIN
}

/// The method with the fewest calls for a scope in a cluster of this size.
pub(super) fn cheapest(named: Option<usize>, standalone: bool, cluster: &ClusterState) -> DiscoveryMethod {
    let sweep = 2 * cluster.tasks.div_ceil(PAGE_TASKS_MAX).max(1);
    // The tasks that no service started are found only by a list of all tasks.
    let rest = if standalone && named.is_none() { sweep } else { 0 };
    let services = 2 * named.unwrap_or(cluster.services) + rest;
    if services >= sweep + SWEEP_SAVES_MIN { DiscoveryMethod::Sweep } else { DiscoveryMethod::Services }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(tasks: usize, services: usize, named: usize, standalone: bool) -> DiscoveryMethod {
        let named = Some(named).filter(|named| *named > 0);
        cheapest(named, standalone, &ClusterState { tasks, services, ..ClusterState::default() })
    }

    #[test]
    fn many_small_services_are_swept_and_few_large_ones_are_not() {
        assert_eq!(method(5_000, 1_000, 0, false), DiscoveryMethod::Sweep, "100 calls in place of 2,000");
        assert_eq!(method(3, 1, 0, false), DiscoveryMethod::Services);
        assert_eq!(method(50_000, 10, 0, false), DiscoveryMethod::Services, "most tasks may be standalone");
        assert_eq!(method(10_000, 100, 0, false), DiscoveryMethod::Services, "each service fills a page");
        assert_eq!(method(10_000, 125, 0, false), DiscoveryMethod::Sweep);
    }

    #[test]
    fn a_scope_that_names_services_is_swept_if_they_are_many_for_the_size_of_the_cluster() {
        assert_eq!(method(5_000, 1_000, 1, false), DiscoveryMethod::Services);
        assert_eq!(method(5_000, 1_000, 74, false), DiscoveryMethod::Services);
        assert_eq!(method(5_000, 1_000, 75, false), DiscoveryMethod::Sweep);
        assert_eq!(method(100_000, 1_000, 1_000, false), DiscoveryMethod::Services);
    }

    #[test]
    fn standalone_tasks_need_the_whole_list_anyway() {
        assert_eq!(method(5_000, 25, 0, true), DiscoveryMethod::Sweep);
        assert_eq!(method(5_000, 25, 0, false), DiscoveryMethod::Services);
        assert_eq!(
            method(5_000, 1_000, 5, true),
            DiscoveryMethod::Services,
            "the names exclude standalone tasks"
        );
    }

    #[test]
    fn a_cluster_without_counts_is_not_swept() {
        assert_eq!(method(0, 0, 0, false), DiscoveryMethod::Services);
    }
}
