//! One suite of claims for every form of the notifier: `send` on the in-memory transport, the daemon and the functions on SQS.
//! The forms differ only in the transport, so each claim about received requests and the ledger is the same for all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod accounts;
mod clusters;
mod late;
mod metrics;
mod rollout;
mod setup;
mod sources;
mod storm;
mod traces;

use std::collections::BTreeMap;
use std::time::Duration;

use notifier::ledger::Recorded;
use notifier::model::Outcome;
use notifier::pipeline::send::SendError;
use notifier::report::Counts;
use setup::{Form, Setup, id, scope};
use tokio::time::sleep;

/// Every kind of container: one that accepts, refuses, fails, goes away, stops before the call, has a wrong label, opted
/// out, and one that recovers.
const FLEET: &[(&str, &str, &str)] = &[
    ("accepts", "/n", ""),
    ("refuses", "/n", "answers = [{ status = 403 }]"),
    ("fails", "/n", "answers = [{ status = 503 }]"),
    ("leaves", "/n", "answers = [{ status = 410 }]"),
    ("recovers", "/n", "answers = [{ status = 503 }, { status = 200 }]"),
    ("mislabelled", "no-slash", ""),
];

fn outcomes(recorded: &Recorded) -> BTreeMap<&str, Vec<Option<Outcome>>> {
    let mut outcomes = BTreeMap::<&str, Vec<_>>::new();
    for delivery in recorded.report.entries() {
        outcomes.entry(&delivery.member.service).or_default().push(delivery.outcome);
    }
    outcomes
}

/// Every container of a running task that opted in has one outcome, and the same in each form.
async fn every_container_has_its_outcome(form: Form) {
    let setup = Setup::new(form, FLEET).await;
    let recorded = setup.broadcast(scope()).await;
    let expected = [
        ("accepts", Outcome::Delivered),
        ("fails", Outcome::Failed),
        ("leaves", Outcome::Gone),
        ("mislabelled", Outcome::Skipped),
        ("recovers", Outcome::Delivered),
        ("refuses", Outcome::Rejected),
    ];
    let expected: BTreeMap<_, _> =
        expected.map(|(service, outcome)| (service, vec![Some(outcome); 2])).into();
    assert_eq!(outcomes(&recorded), expected);
    let received = setup.received();
    let calls = ["accepts", "leaves", "recovers", "refuses"].map(|service| received[service]);
    assert_eq!(calls, [2, 2, 4, 2], "no task is called more often than its answers ask for");
    assert_eq!(received["fails"], 6, "three attempts each");
    assert!(!received.contains_key("mislabelled") && !received.contains_key("other"));
}

/// A delivery keeps its id in all attempts.
async fn a_repeat_carries_the_same_id(form: Form) {
    let setup =
        Setup::new(form, &[("recovers", "/n", "answers = [{ status = 503 }, { status = 200 }]")]).await;
    setup.broadcast(scope()).await;
    let mut ids = BTreeMap::<String, Vec<String>>::new();
    for call in setup.sim.received() {
        ids.entry(call.task.clone()).or_default().push(call.header("webhook-id").unwrap().to_owned());
    }
    assert_eq!(ids.len(), 2);
    for (task, ids) in ids {
        assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "{task}");
    }
}

/// With a ledger, the same broadcast again calls no task that was notified.
async fn the_same_broadcast_again_calls_only_the_rest(form: Form) {
    let setup = Setup::new(
        form,
        &[("accepts", "/n", ""), ("refuses", "/n", "answers = [{ status = 403 }, { status = 200 }]")],
    )
    .await;
    let first = setup.broadcast(scope()).await.report.counts();
    assert_eq!(first, Counts { delivered: 2, rejected: 2, ..Counts::default() });
    match form {
        Form::Send => drop(setup.broadcast(scope()).await),
        // The broadcast has already ended, so its end does not show that the second run is done.
        Form::Daemon | Form::Functions => {
            let counts = async || setup.recorded().await.unwrap().report.counts();
            setup.publish(scope()).await;
            setup.work_until(async || counts().await.delivered == 4).await;
        }
    }
    let recorded = setup.recorded().await.unwrap();
    assert_eq!(recorded.report.counts(), Counts { delivered: 4, ..Counts::default() });
    assert_eq!(setup.received()["accepts"], 2, "notified once, and not again");
}

/// A cancelled broadcast calls no task.
async fn a_cancelled_broadcast_calls_no_task(form: Form) {
    let setup = Setup::new(form, &[("accepts", "/n", "")]).await;
    setup.notifier.ctx().ledger.cancel(&id(), "a mistake".to_owned()).await.unwrap();
    match form {
        Form::Send => {
            let error = setup.send(&scope()).await.unwrap_err();
            assert!(matches!(&error, SendError::Cancelled { reason } if reason == "a mistake"), "{error:?}");
        }
        Form::Daemon | Form::Functions => {
            setup.publish(scope()).await;
            setup.work_until(async || setup.has_ended().await).await;
        }
    }
    assert_eq!(setup.sim.received().len(), 0);
}

use accounts::*;
use clusters::*;
use late::*;
use metrics::*;
use rollout::*;
use sources::*;
use traces::*;

/// A test for each claim and form.
macro_rules! forms {
    ($($form:ident is $which:ident { $($claim:ident)* })*) => {
        $(mod $form { $(#[tokio::test] async fn $claim() { super::$claim(super::Form::$which).await; })* })*
    };
}

/// Claims about every form, and claims about the forms with queues.
macro_rules! claims {
    ({ $($claim:ident)* } { $($of_queues:ident)* }) => {
        forms! {
            send is Send { $($claim)* }
            daemon is Daemon { $($claim)* $($of_queues)* }
            functions is Functions { $($claim)* $($of_queues)* }
        }
    };
}

claims! {
{
    every_container_has_its_outcome
    a_repeat_carries_the_same_id
    the_same_broadcast_again_calls_only_the_rest
    a_cancelled_broadcast_calls_no_task
    several_clusters_are_one_broadcast
    a_cluster_that_cannot_be_reached_fails_alone
    every_cluster_with_a_tag_is_one_broadcast
    the_trace_of_an_event_is_followed_into_the_tasks
    a_broadcast_without_a_trace_gets_one
    metrics_count_each_container_once
    a_task_that_starts_while_a_broadcast_is_open_hears_it
    waves_follow_one_another
    a_failing_canary_stops_the_fleet
    a_stop_is_not_undone_by_a_repeat
    errors_within_the_limit_do_not_stop_it
    a_manual_pause_ends_with_continue
    a_pause_ends_with_cancel
    an_alarm_before_the_first_wave_calls_nobody
    an_alarm_during_a_pause_stops_the_rest
    a_quiet_alarm_stops_nothing
    zones_follow_one_another
} {
    an_s3_event_becomes_the_broadcast_of_its_route
    one_bad_record_does_not_take_the_others_with_it
    without_routes_an_event_of_a_source_is_refused
    of_a_storm_only_the_newest_event_is_broadcast
    equal_clusters_of_two_accounts_and_regions_are_reached_by_one_rule
    a_refused_role_leaves_the_other_clusters_served
    the_trace_of_a_message_is_followed_into_the_tasks
    a_live_registry_needs_no_call_to_ecs
    the_health_of_a_registered_task_is_looked_up
    a_registry_that_is_not_live_is_not_used
    a_retained_event_is_heard_by_each_task_that_starts_later_until_it_is_cleared
    two_gates_at_once_decide_alike
    a_task_that_comes_between_two_waves_joins_the_last
}
}

#[tokio::test]
async fn a_send_that_is_stopped_leaves_a_broadcast_that_is_not_complete() {
    let setup = Setup::new(Form::Send, &[("silent", "/n", "answers = [{ hang = true }]")]).await;
    let scope = scope();
    let (sending, ()) = tokio::join!(setup.send(&scope), async {
        while setup.sim.received().len() < 2 {
            sleep(Duration::from_millis(20)).await;
        }
        setup.stop.cancel();
    });
    let counts = sending.unwrap().counts();
    assert_eq!(counts.total() - counts.pending, 0, "{counts:?}");
    assert!(!setup.recorded().await.unwrap().is_complete);
}
