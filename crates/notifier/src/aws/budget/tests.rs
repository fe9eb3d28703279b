//! The waits of a share of AWS's throttles.

use super::*;

/// Seconds until the last of `calls` may start.
async fn seconds(budget: &Budget, group: Group, calls: u32) -> f64 {
    let start = tokio::time::Instant::now();
    for _ in 0..calls {
        budget.wait(group).await;
    }
    start.elapsed().as_secs_f64()
}

#[track_caller]
fn about(expected: f64, found: f64) {
    assert!((expected - found).abs() < 0.01, "{expected} s expected, {found} s found");
}

#[tokio::test(start_paused = true)]
async fn half_of_the_burst_comes_at_once_and_then_half_of_the_refill() {
    let budget = Budget::default();
    about(0.0, seconds(&budget, Group::ClusterRead, 50).await);
    about(2.0, seconds(&budget, Group::ClusterRead, 20).await);
}

#[tokio::test(start_paused = true)]
async fn each_group_has_its_own_share() {
    let budget = Budget::default();
    about(0.0, seconds(&budget, Group::ServiceRead, 50).await);
    about(0.0, seconds(&budget, Group::Ec2Read, 50).await);
    about(0.0, seconds(&budget, Group::TaskDefinitionRead, 25).await);
    about(0.1, seconds(&budget, Group::TaskDefinitionRead, 1).await);
}

#[tokio::test(start_paused = true)]
async fn the_whole_bucket_can_be_taken_and_a_hundredth_of_it() {
    about(1.0, seconds(&Budget::percent(100.0), Group::ClusterRead, 120).await);
    about(5.0, seconds(&Budget::percent(1.0), Group::ClusterRead, 2).await);
    about(10.0, seconds(&Budget::percent(1.0), Group::TaskDefinitionRead, 3).await);
}

#[tokio::test(start_paused = true)]
async fn the_shares_of_many_processes_together_are_the_installations() {
    // 50 % over 57 processes, and 20 calls a second of the whole bucket.
    about(57.0 / 10.0, seconds(&Budget::percent(50.0 / 57.0), Group::ServiceRead, 2).await);
    about(500.0, seconds(&Budget::percent(0.01), Group::ClusterRead, 2).await);
}

#[tokio::test(start_paused = true)]
async fn a_percentage_outside_the_range_counts_as_the_nearest_end() {
    about(500.0, seconds(&Budget::percent(0.0), Group::ClusterRead, 2).await);
    about(500.0, seconds(&Budget::percent(f64::NAN), Group::ClusterRead, 2).await);
    about(1.0, seconds(&Budget::percent(255.0), Group::ClusterRead, 120).await);
}

#[tokio::test(start_paused = true)]
async fn clones_share_and_who_waits_together_leaves_one_after_the_other() {
    let budget = Budget::default();
    seconds(&budget, Group::ServiceRead, 50).await;
    let start = tokio::time::Instant::now();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let budget = budget.clone();
        waiting.spawn(async move {
            budget.wait(Group::ServiceRead).await;
            start.elapsed().as_millis() / 100
        });
    }
    let mut left = waiting.join_all().await;
    left.sort_unstable();
    assert_eq!(left, (1..=10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn one_call_of_a_lane_waits_for_one_call_of_each_other_lane() {
    let budget = Budget::percent(100.0);
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let lane = budget.lane();
        for _ in 0..1_000 {
            let lane = lane.clone();
            crowd.spawn(async move { lane.wait(Group::ServiceRead).await });
        }
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    // Ten calls, each behind one of both others, at 20 calls a second.
    let waited = seconds(&budget.lane(), Group::ServiceRead, 10).await;
    assert!(waited <= 30.0 / 20.0 + 0.1, "{waited} s");
    assert!(crowd.len() == 2_000 && crowd.join_all().await.len() == 2_000, "the others end too");
}

#[tokio::test(start_paused = true)]
async fn giving_up_the_wait_leaves_the_turn_to_the_next() {
    let budget = Budget::percent(1.0);
    budget.wait(Group::ClusterRead).await;
    let given_up = tokio::time::timeout(Duration::from_secs(1), budget.wait(Group::ClusterRead)).await;
    assert!(given_up.is_err());
    about(4.0, seconds(&budget, Group::ClusterRead, 1).await);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_are_counted_until_they_go_out_or_are_given_up() {
    let budget = Budget::percent(1.0);
    budget.wait(Group::ClusterRead).await;
    assert_eq!(budget.waiting(), 0);
    let (first, second) = (budget.clone(), budget.lane());
    let mut given_up = Box::pin(first.wait(Group::ClusterRead));
    let mut patient = Box::pin(second.wait(Group::ClusterRead));
    for wait in [&mut given_up, &mut patient] {
        assert!(futures_util::poll!(wait).is_pending());
    }
    assert_eq!(budget.waiting(), 2);
    drop(given_up);
    assert_eq!(budget.waiting(), 1);
    patient.await;
    assert_eq!(budget.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nothing_waits() {
    about(0.0, seconds(&Budget::unlimited(), Group::Ec2Read, 10_000).await);
}
