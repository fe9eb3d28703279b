//! Fleets that are called in waves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use notifier::ledger::Recorded;
use notifier::model::{Cause, Delivery, Outcome};
use notifier::pipeline::send::SendError;
use notifier::report::Counts;
use simulator::fleet::AlarmState;
use testkit::{fleets, ports};
use tokio::time::sleep;
use wire::{ObserverMessage, Pace};

use crate::setup::{Form, Setup, id, scope};

const REFUSES: &str = "answers = [{ status = 403 }]";

/// The scope in waves.
fn paced(change: impl FnOnce(&mut Pace)) -> ObserverMessage {
    let mut pace = Pace::new();
    change(&mut pace);
    let mut scope = scope();
    scope.pace = Some(pace);
    scope
}

fn waves(waves: &str) -> ObserverMessage {
    paced(|pace| pace.waves = Some(waves.to_owned()))
}

/// One task, then the others, while this alarm is quiet.
fn stopping_on(alarm: &str, pause: Option<&str>) -> ObserverMessage {
    paced(|pace| {
        (pace.waves, pace.pause) = (Some("1".to_owned()), pause.map(str::to_owned));
        pace.stop_on_alarm = Some(vec![alarm.to_owned()]);
    })
}

async fn setup(form: Form, services: &[(&str, usize, &str)]) -> Setup {
    let services = services.iter().map(|(name, tasks, more)| fleets::service(name, *tasks, "/n", more));
    Setup::of(form, &fleets::fleet(&services.collect::<Vec<_>>()), &[]).await
}

/// The tasks of each wave of a service.
fn tasks(recorded: &Recorded, service: &str) -> BTreeMap<u16, BTreeSet<String>> {
    let mut waves = BTreeMap::<u16, BTreeSet<String>>::new();
    for entry in recorded.report.entries().iter().filter(|entry| entry.member.service == service) {
        waves.entry(entry.wave.expect("a wave")).or_default().insert(entry.member.task.clone());
    }
    waves
}

fn sizes(recorded: &Recorded, service: &str) -> Vec<usize> {
    tasks(recorded, service).values().map(BTreeSet::len).collect()
}

/// No task of a service is called before each of the wave before has its outcome.
fn assert_order(setup: &Setup, recorded: &Recorded, service: &str) {
    let waves = tasks(recorded, service);
    let wave_of = |task: &str| waves.iter().find(|(_, tasks)| tasks.contains(task)).map(|(wave, _)| *wave);
    let called: Vec<u16> = setup.sim.received().iter().filter_map(|call| wave_of(&call.task)).collect();
    assert!(called.is_sorted(), "{service}: {called:?}");
    assert_eq!(called.len(), waves.values().map(BTreeSet::len).sum::<usize>());
}

/// Each service is called in waves of its own size, one after the other.
pub(crate) async fn waves_follow_one_another(form: Form) {
    let setup = setup(form, &[("web", 21, ""), ("api", 2, "")]).await;
    let recorded = setup.broadcast(waves("1,10%,50%")).await;
    assert_eq!(recorded.report.counts(), Counts { delivered: 23, ..Counts::default() });
    assert_eq!(sizes(&recorded, "web"), [1, 2, 8, 10]);
    assert_eq!(sizes(&recorded, "api"), [1, 1]);
    for service in ["web", "api"] {
        assert_order(&setup, &recorded, service);
    }
    assert_eq!(recorded.broadcast.unwrap().pace.unwrap().waves.as_deref(), Some("1,10%,50%"));
}

/// Errors in the first wave stop the broadcast: of the rest, no task is called, and each has an outcome.
pub(crate) async fn a_failing_canary_stops_the_fleet(form: Form) {
    let setup = setup(form, &[("web", 300, REFUSES)]).await;
    let recorded = setup.broadcast(waves("1%")).await;
    let counts = recorded.report.counts();
    let called = setup.sim.received().len();
    assert!((1..=3).contains(&called), "{called} of the 3 tasks of the canary");
    assert_eq!(counts, Counts { rejected: called, skipped: 300 - called, ..Counts::default() });
    let skipped = recorded.report.entries().iter().filter(|entry| entry.outcome == Some(Outcome::Skipped));
    assert!(skipped.into_iter().all(|entry| entry.cause == Some(Cause::Stopped)));
    let stopped = recorded.stopped.unwrap();
    assert_eq!(stopped.wave, 1);
    assert!(stopped.reason.contains("at most 0 allowed"), "{stopped:?}");
    assert!(recorded.is_complete);
}

/// Tasks of a large fleet, and those of its canary of 1 %.
const LARGE: usize = 10_000;
const CANARY: usize = 100;

/// A canary that fails stops a fleet of 10,000: calls are counted at the receivers.
async fn a_failing_canary_stops_10_000_tasks(form: Form) {
    // So large a fleet listens on one socket, which needs its port on every address.
    let port = ports::free().to_string();
    let services = [fleets::service("web", LARGE, "/n", REFUSES).replace("8080", &port)];
    let setup = Setup::of(form, &fleets::fleet(&services), &[("NOTIFIER_AWS_BUDGET_PERCENT", "100")]).await;
    let scope = paced(|pace| {
        (pace.waves, pace.max_errors) = (Some("1%".to_owned()), Some("1%".to_owned()));
    });
    match form {
        Form::Send => drop(setup.send(&scope).await.unwrap()),
        Form::Daemon | Form::Functions => {
            setup.publish(scope).await;
            let is_stopped = async || setup.notifier.ctx().ledger.stopped(&id()).await.unwrap().is_some();
            setup.work_until(is_stopped).await;
            setup
                .work_until(async || {
                    // To read the whole broadcast is work.
                    sleep(Duration::from_millis(500)).await;
                    setup.has_ended().await
                })
                .await;
        }
    }
    let calls = setup.sim.received();
    let called: BTreeSet<_> = calls.iter().map(|call| &call.task).collect();
    let recorded = setup.recorded().await.unwrap();
    let canary = &tasks(&recorded, "web")[&1];
    assert_eq!(canary.len(), CANARY);
    assert!(called.iter().all(|task| canary.contains(*task)), "a call outside of the canary");
    // In one process, no delivery begins after the one that exceeds the limit.
    let most = if form == Form::Send { CANARY / 2 + 64 } else { CANARY };
    assert!((2..=most).contains(&calls.len()), "{} calls", calls.len());
    let counts = recorded.report.counts();
    assert_eq!(counts, Counts { rejected: calls.len(), skipped: LARGE - calls.len(), ..Counts::default() });
    assert_eq!(recorded.stopped.unwrap().wave, 1);
    assert!(recorded.is_complete);
}

#[tokio::test]
async fn a_failing_canary_stops_10_000_tasks_of_send() {
    a_failing_canary_stops_10_000_tasks(Form::Send).await;
}

#[tokio::test]
async fn a_failing_canary_stops_10_000_tasks_of_the_daemon() {
    a_failing_canary_stops_10_000_tasks(Form::Daemon).await;
}

/// A broadcast that was stopped stays stopped.
pub(crate) async fn a_stop_is_not_undone_by_a_repeat(form: Form) {
    let setup = setup(form, &[("web", 10, REFUSES)]).await;
    setup.broadcast(waves("1")).await;
    let calls = setup.sim.received().len();
    match form {
        Form::Send => {
            let error = setup.send(&waves("1")).await.unwrap_err();
            assert!(matches!(&error, SendError::Stopped(stopped) if stopped.wave == 1), "{error:?}");
        }
        Form::Daemon | Form::Functions => {
            setup.publish(waves("1")).await;
            let depth = async || setup.depth().await;
            setup.work_until(async || depth().await == 0).await;
        }
    }
    assert_eq!(setup.sim.received().len(), calls);
    assert!(setup.recorded().await.unwrap().stopped.is_some());
}

/// Fewer errors than the limit do not stop it.
pub(crate) async fn errors_within_the_limit_do_not_stop_it(form: Form) {
    let setup = setup(form, &[("web", 6, ""), ("bad", 2, REFUSES)]).await;
    let scope = paced(|pace| {
        (pace.waves, pace.max_errors) = (Some("1".to_owned()), Some("2".to_owned()));
    });
    let recorded = setup.broadcast(scope).await;
    assert_eq!(recorded.report.counts(), Counts { delivered: 6, rejected: 2, ..Counts::default() });
    assert_eq!(recorded.stopped, None);
}

/// The next wave begins when somebody continues.
pub(crate) async fn a_manual_pause_ends_with_continue(form: Form) {
    let setup = setup(form, &[("web", 5, "")]).await;
    let scope = paced(|pace| {
        (pace.waves, pace.pause) = (Some("1".to_owned()), Some("manual".to_owned()));
    });
    let ledger = &setup.notifier.ctx().ledger;
    let delivered = async || setup.recorded().await.map_or(0, |recorded| recorded.report.counts().delivered);
    let go_on = async || {
        while delivered().await < 1 {
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_secs(2)).await;
        assert_eq!(setup.sim.received().len(), 1, "it waits");
        assert!(ledger.continue_after(&id(), 1).await.unwrap());
        assert!(!ledger.continue_after(&id(), 1).await.unwrap(), "once");
    };
    let (recorded, ()) = tokio::join!(setup.broadcast(scope), go_on());
    assert_eq!(recorded.report.counts(), Counts { delivered: 5, ..Counts::default() });
}

/// An alarm that is raised before the first wave, or that does not exist, stops the broadcast: nobody is called.
pub(crate) async fn an_alarm_before_the_first_wave_calls_nobody(form: Form) {
    for (state, says) in [
        (Some(AlarmState::Alarm), "alarm `errors` is in the state ALARM"),
        (None, "the alarms could not be read: there is no alarm `errors` in this account and region"),
    ] {
        let setup = setup(form, &[("web", 4, ""), ("api", 2, "")]).await;
        if let Some(state) = state {
            setup.sim.set_alarm("errors", state);
        }
        let recorded = setup.broadcast(stopping_on("errors", None)).await;
        assert_eq!(setup.sim.received().len(), 0);
        let stopped = recorded.stopped.unwrap();
        assert_eq!((stopped.wave, stopped.reason.as_str()), (0, says));
        let entries = recorded.report.entries();
        assert!(entries.iter().all(|entry| entry.cause == Some(Cause::Stopped)), "{entries:?}");
        if form == Form::Send {
            assert_eq!(entries.len(), 6, "each container has an outcome");
        }
        assert!(recorded.is_complete);
    }
}

/// An alarm that is raised during a pause stops the broadcast; the wave before it stays as it is.
pub(crate) async fn an_alarm_during_a_pause_stops_the_rest(form: Form) {
    let setup = setup(form, &[("web", 5, "")]).await;
    setup.sim.set_alarm("errors", AlarmState::InsufficientData);
    let raise = async || {
        while setup.sim.received().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
        setup.sim.set_alarm("errors", AlarmState::Alarm);
    };
    let scope = stopping_on("errors", Some("1h"));
    let (recorded, ()) = tokio::join!(setup.broadcast(scope), raise());
    let counts = recorded.report.counts();
    assert_eq!(counts, Counts { delivered: 1, skipped: 4, ..Counts::default() });
    let stopped = recorded.stopped.unwrap();
    assert_eq!((stopped.wave, stopped.reason.as_str()), (1, "alarm `errors` is in the state ALARM"));
    assert!(setup.sim.count("DescribeAlarms") <= 5, "{}", setup.sim.count("DescribeAlarms"));
}

/// An alarm that is quiet does not slow the waves, and one wave of everybody may have alarms too.
pub(crate) async fn a_quiet_alarm_stops_nothing(form: Form) {
    let setup = setup(form, &[("web", 5, "")]).await;
    setup.sim.set_alarm("errors", AlarmState::Ok);
    let recorded = setup.broadcast(stopping_on("errors", Some("0s"))).await;
    assert_eq!(recorded.report.counts(), Counts { delivered: 5, ..Counts::default() });
    assert_eq!(sizes(&recorded, "web"), [1, 4]);
    assert_eq!(recorded.stopped, None);
    assert!(setup.sim.count("DescribeAlarms") > 0);

    let setup = self::setup(form, &[("web", 5, "")]).await;
    setup.sim.set_alarm("errors", AlarmState::Ok);
    let recorded = setup.broadcast(paced(|pace| pace.stop_on_alarm = Some(vec!["errors".to_owned()]))).await;
    assert_eq!(recorded.report.counts(), Counts { delivered: 5, ..Counts::default() });
    assert_eq!(sizes(&recorded, "web"), [5]);
    assert!(setup.sim.count("DescribeAlarms") > 0);
}

/// One zone after another: each wave has the tasks of one zone, and reports name it.
pub(crate) async fn zones_follow_one_another(form: Form) {
    let setup = setup(form, &[("web", 9, "")]).await;
    let scope = paced(|pace| (pace.by_zone, pace.waves) = (Some(true), Some("1".to_owned())));
    let recorded = setup.broadcast(scope).await;
    assert_eq!(recorded.report.counts(), Counts { delivered: 9, ..Counts::default() });
    assert_eq!(sizes(&recorded, "web"), [1, 2, 1, 2, 1, 2]);
    assert_order(&setup, &recorded, "web");
    let zone = |entry: &Delivery| entry.zone.as_ref().expect("a zone").to_string();
    let mut zones = BTreeMap::<u16, BTreeSet<String>>::new();
    for entry in recorded.report.entries() {
        zones.entry(entry.wave.expect("a wave")).or_default().insert(zone(entry));
    }
    assert!(zones.values().all(|zones| zones.len() == 1), "{zones:?}");
    let order: Vec<_> = zones.into_values().flatten().collect();
    assert!(order[0] == order[1] && order[2] == order[3] && order[4] == order[5], "{order:?}");
    assert_eq!(order.into_iter().collect::<BTreeSet<_>>().len(), 3);
}

/// A cancelled broadcast ends in its pause.
pub(crate) async fn a_pause_ends_with_cancel(form: Form) {
    let setup = setup(form, &[("web", 5, "")]).await;
    let scope = paced(|pace| {
        (pace.waves, pace.pause) = (Some("1".to_owned()), Some("manual".to_owned()));
    });
    let ledger = &setup.notifier.ctx().ledger;
    let cancel = async || {
        while setup.sim.received().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
        ledger.cancel(&id(), String::new()).await.unwrap();
    };
    let (recorded, ()) = tokio::join!(setup.broadcast(scope), cancel());
    let counts = recorded.report.counts();
    assert_eq!((counts.total(), counts.skipped + counts.delivered), (5, 5), "{counts:?}");
    assert!(counts.skipped >= 4 && setup.sim.received().len() == 1, "{counts:?}");
}

/// The same request twice at once makes two gates for each service: each wave has the same tasks, and none comes early.
pub(crate) async fn two_gates_at_once_decide_alike(form: Form) {
    let setup = setup(form, &[("web", 20, "")]).await;
    tokio::join!(setup.publish(waves("1,25%")), setup.publish(waves("1,25%")));
    setup.work_until(async || setup.has_ended().await && setup.depth().await == 0).await;
    let recorded = setup.recorded().await.unwrap();
    assert_eq!(recorded.report.counts(), Counts { delivered: 20, ..Counts::default() });
    assert_eq!(sizes(&recorded, "web"), [1, 4, 15]);
    let waves = tasks(&recorded, "web");
    let wave_of = |task: &str| waves.iter().find(|(_, tasks)| tasks.contains(task)).map(|(wave, _)| *wave);
    let mut seen = BTreeSet::new();
    let first = setup.sim.received().into_iter().filter(|call| seen.insert(call.task.clone()));
    let first: Vec<u16> = first.filter_map(|call| wave_of(&call.task)).collect();
    assert!(first.is_sorted() && first.len() == 20, "{first:?}");
}

/// A task that starts during a pause is called in the last wave.
pub(crate) async fn a_task_that_comes_between_two_waves_joins_the_last(form: Form) {
    let setup = setup(form, &[("web", 4, "")]).await;
    let scope = paced(|pace| {
        (pace.waves, pace.pause) = (Some("1,2".to_owned()), Some("manual".to_owned()));
    });
    setup.publish(scope).await;
    setup.work_until(async || setup.sim.received().len() == 1).await;
    let come = setup.sim.start_task("prod", "web").await.unwrap();
    let ledger = &setup.notifier.ctx().ledger;
    for wave in [1, 2] {
        assert!(ledger.continue_after(&id(), wave).await.unwrap());
    }
    setup.work_until(async || setup.has_ended().await).await;
    let recorded = setup.recorded().await.unwrap();
    assert_eq!(recorded.report.counts(), Counts { delivered: 5, ..Counts::default() });
    assert_eq!(sizes(&recorded, "web"), [1, 1, 3]);
    assert!(tasks(&recorded, "web")[&3].contains(&come));
}

/// In one process, no service has more deliveries under way than allowed.
#[tokio::test]
async fn no_more_than_max_parallel_are_under_way() {
    let slow = "answers = [{ delay_ms = 100, status = 200 }]";
    let setup = setup(Form::Send, &[("web", 12, slow)]).await;
    let scope = paced(|pace| pace.max_parallel = Some(1));
    let recorded = setup.broadcast(scope).await;
    assert_eq!(recorded.report.counts(), Counts { delivered: 12, ..Counts::default() });
    let times: Vec<_> = setup.sim.received().iter().map(|call| call.at).collect();
    let gaps = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    assert!(gaps.clone().all(|gap| gap >= Duration::from_millis(95)), "{:?}", gaps.collect::<Vec<_>>());
}

/// In one process, two clusters would be in different zones at the same time.
#[tokio::test]
async fn zones_of_several_clusters_are_refused() {
    let setup = setup(Form::Send, &[("web", 2, "")]).await;
    let mut scope = paced(|pace| pace.by_zone = Some(true));
    scope.clusters = vec!["other".to_owned()];
    let error = setup.send(&scope).await.unwrap_err();
    assert!(
        matches!(error, SendError::Pace(_)) && error.to_string().contains("one cluster at a time"),
        "{error}"
    );
    assert_eq!(setup.sim.received().len(), 0);
}

/// Without a ledger, nobody could continue it.
#[tokio::test]
async fn a_pace_that_is_not_valid_calls_nobody() {
    let setup = setup(Form::Send, &[("web", 2, "")]).await;
    for (waves, says) in [("10%,5%", "`waves` are numbers"), ("", "`waves` are numbers")] {
        let error = setup.send(&paced(|pace| pace.waves = Some(waves.to_owned()))).await.unwrap_err();
        assert!(matches!(error, SendError::Pace(_)) && error.to_string().contains(says), "{error}");
    }
    let mut open = paced(|pace| pace.waves = Some("1".to_owned()));
    open.cover = Some(60);
    let error = setup.send(&open).await.unwrap_err();
    assert!(error.to_string().contains("`cover` or `retain`"), "{error}");
    assert_eq!(setup.sim.received().len(), 0);
}
