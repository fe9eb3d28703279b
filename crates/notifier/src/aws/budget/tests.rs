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
async fn a_share_is_that_part_of_the_burst_and_then_of_the_refill() {
    for (percent, group, calls, expected) in [
        (PERCENT_DEFAULT, Group::ClusterRead, 50, 0.0),
        (PERCENT_DEFAULT, Group::ClusterRead, 70, 2.0),
        (100.0, Group::ClusterRead, 120, 1.0),
        (1.0, Group::ClusterRead, 2, 5.0),
        (1.0, Group::TaskDefinitionRead, 3, 10.0),
        // 50 % over 57 processes, and 20 calls a second of the whole bucket.
        (50.0 / 57.0, Group::ServiceRead, 2, 5.7),
        (0.01, Group::ClusterRead, 2, 500.0),
        // Outside the range, the nearest end counts.
        (0.0, Group::ClusterRead, 2, 500.0),
        (f64::NAN, Group::ClusterRead, 2, 500.0),
        (255.0, Group::ClusterRead, 120, 1.0),
    ] {
        about(expected, seconds(&Budget::percent(percent), group, calls).await);
    }
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

#[tokio::test(start_paused = true)]
async fn a_separate_budget_has_the_same_share_and_is_not_delayed() {
    let budget = Budget::percent(1.0);
    let separate = budget.separate(AccountRegion::default());
    about(5.0, seconds(&budget, Group::ClusterRead, 2).await);
    about(0.0, seconds(&separate, Group::ClusterRead, 1).await);
    about(5.0, seconds(&separate, Group::ClusterRead, 1).await);
    let call = tokio::spawn({
        let separate = separate.clone();
        async move { separate.wait(Group::ClusterRead).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((budget.waiting(), separate.waiting()), (1, 1), "the display shows all that wait");
    call.await.unwrap();
    assert_eq!((budget.waiting(), separate.waiting()), (0, 0));
    about(
        0.0,
        seconds(&Budget::unlimited().separate(AccountRegion::default()), Group::ClusterRead, 1_000).await,
    );
}

#[tokio::test(start_paused = true)]
async fn finding_clusters_has_a_share_of_its_own() {
    let budget = Budget::percent(100.0);
    about(1.0, seconds(&budget, Group::ClustersRead, 70).await);
    about(0.0, seconds(&budget, Group::ClusterRead, 100).await);
}

#[tokio::test(start_paused = true)]
async fn waits_are_counted_with_their_time_for_all_separate_budgets_together() {
    let budget = Budget::percent(1.0);
    seconds(&budget, Group::ClusterRead, 1).await;
    assert_eq!(budget.waits(), Waits::default(), "nobody waited");
    seconds(&budget, Group::ClusterRead, 2).await;
    seconds(&budget.separate(AccountRegion::default()), Group::ClusterRead, 2).await;
    let waits = budget.waits();
    assert_eq!(waits.calls, 3);
    about(15.0, waits.time.as_secs_f64());
    assert_eq!(Budget::unlimited().waits(), Waits::default());
}
