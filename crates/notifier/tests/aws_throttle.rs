//! "Throttling slows us down; it never drops work and never spirals": against the simulator's token buckets, which are
//! AWS's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use notifier::aws::Aws;
use notifier::aws::budget::{Budget, Group};
use notifier::aws::calls::Results;
use simulator::{Fleet, Options, Simulator};
use tokio::task::JoinSet;

async fn throttling() -> Simulator {
    let fleet = Fleet::from_toml("addresses = 'private'\n[[cluster]]\nname = 'prod'").unwrap();
    Simulator::start(fleet, Options { throttle_like_aws: true, ..Options::default() }).await.unwrap()
}

/// Lists tasks so often, as fast as `budget` lets eight callers; returns how often that failed, and the results of the
/// requests.
async fn list_tasks(sim: &Simulator, budget: Budget, calls: usize) -> (usize, Results) {
    let aws = Aws { budget, ..Aws::at(&sim.url(), "us-east-1") };
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let aws = aws.clone();
        callers.spawn(async move {
            let mut failed = 0;
            for _ in (caller..calls).step_by(8) {
                aws.budget.wait(Group::ClusterRead).await;
                failed += usize::from(aws.ecs.list_tasks().cluster("prod").send().await.is_err());
            }
            failed
        });
    }
    let failed = callers.join_all().await.into_iter().sum();
    (failed, aws.calls.results())
}

#[tokio::test]
async fn calls_beyond_the_burst_succeed_later_and_are_not_repeated_without_end() {
    let sim = throttling().await;
    let calls = 160;
    let (failed, results) = list_tasks(&sim, Budget::unlimited(), calls).await;
    let requests = sim.count("ListTasks");
    assert_eq!((failed, results.ok, results.throttled), (0, calls as u64, requests - calls as u64));
    assert!(requests > calls as u64, "nothing was throttled");
    assert!(requests < 2 * calls as u64, "{requests} requests for {calls} calls");
}

#[tokio::test]
async fn within_our_share_nobody_is_throttled_while_others_take_theirs() {
    let sim = throttling().await;
    let (others, ours) = (50, 60);
    assert_eq!(list_tasks(&sim, Budget::unlimited(), others).await.0, 0);
    assert_eq!(list_tasks(&sim, Budget::default(), ours).await.0, 0);
    assert_eq!(sim.count("ListTasks"), (others + ours) as u64, "no request was repeated");
}
