//! The direct form where one thing goes wrong: a broadcast that was cancelled, a discovery that fails half-way.

use std::collections::BTreeSet;
use std::time::Duration;

use notifier::ledger::Recorded;
use notifier::model::{Cause, Outcome};
use simulator::faults::{Fault, When};

use crate::direct::{Direct, Ended};
use crate::invariants;
use crate::run::{self, Ground, Seen};
use crate::script::Script;
use crate::world::{Form, Moment, NOWHERE, Place, Upset, World};

/// Tasks of which so much is found at once that discovery hands them over, and some more.
const TASKS: u32 = 1_050;
const HANDED_OVER: usize = 1_000;
/// The calls of `DescribeTasks` that find them: 100 tasks in each.
const DESCRIBED_IN: u64 = 10;

fn direct(services: &[u32], script: &Script, ledger: Place) -> World {
    World { form: Form::Direct, ledger, ..World::small_of(services, script) }
}

/// Plays a world of the direct form by hand, in a thread of its own.
async fn played<T, F>(world: World, how: impl FnOnce(Direct) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let play = move || run::play(&world, Ground::default(), |run| how(Direct::new(run)));
    tokio::task::spawn_blocking(play).await.unwrap().expect("a world that ends")
}

#[test]
fn a_broadcast_that_was_cancelled_calls_nobody() {
    for ledger in [Place::File, Place::Table] {
        let mut world = direct(&[2, 1], &Script::accepting(), ledger);
        world.upsets = vec![(Moment::Passed(Duration::ZERO), Upset::Cancel(0))];
        let seen = run::run(&world, &notifier::deliver::Auth::default());
        assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
        assert!(
            matches!(seen.runs.as_slice(), [run] if matches!(run.ended, Ended::Cancelled)),
            "{:?}",
            seen.runs
        );
        assert_eq!(seen.calls.len(), 0);
    }
}

#[tokio::test]
async fn a_broadcast_that_was_cancelled_after_it_failed_calls_nobody_again() {
    for is_resend in [false, true] {
        let world = direct(&[2], &Script::absent(), Place::File);
        let (calls, again, seen) = played(world.clone(), move |mut direct| async move {
            let first = direct.once(0, None).await;
            assert!(matches!(first, Ended::Done(_)), "{first:?}");
            let calls = direct.run.sim.received_count();
            direct.run.disturb(Upset::Cancel(0)).await;
            let known = if is_resend { direct.run.recorded_of(0).await } else { None };
            let again = direct.once(0, known).await;
            (calls, again, direct.look().await)
        })
        .await;
        assert!(matches!(again, Ended::Cancelled), "{again:?}");
        assert!(calls > 0);
        assert_eq!(seen.calls.len(), calls);
        assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
    }
}

/// The task is looked up before it is called again, and ECS takes its time.
#[test]
fn a_broadcast_that_is_cancelled_during_a_lookup_calls_nobody_after_it() {
    let mut world = direct(&[1], &Script::absent(), Place::File);
    world.faults = vec![("DescribeTasks", When::Nth(2), Fault::Delay(Duration::from_secs(10)))];
    world.upsets = vec![(Moment::Asked("DescribeTasks", 2), Upset::Cancel(0))];
    let seen = run::run(&world, &notifier::deliver::Auth::default());
    assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
    assert_eq!(seen.calls.len(), 1);
    let [run] = seen.runs.as_slice() else { panic!("{:?}", seen.runs) };
    let Ended::Done(report) = &run.ended else { panic!("{run:?}") };
    let [entry] = report.entries() else { panic!("{report:?}") };
    assert_eq!((entry.outcome, entry.cause), (Some(Outcome::Skipped), Some(Cause::Cancelled)));
}

/// The interruption comes while the ledger still writes the record of the expected deliveries.
#[test]
fn a_run_that_is_interrupted_before_its_deliveries_are_handed_over_reports_each() {
    let mut world = direct(&[3], &Script::accepting(), Place::File);
    world.faults = vec![("LedgerPutNew", When::Nth(1), Fault::Delay(Duration::from_secs(5)))];
    world.upsets = vec![(Moment::Struck, Upset::Restart)];
    let seen = run::run(&world, &notifier::deliver::Auth::default());
    assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
    let Ended::Interrupted(report) = &seen.runs[0].ended else { panic!("{:?}", seen.runs) };
    let causes: Vec<_> = report.entries().iter().map(|entry| (entry.outcome, entry.cause)).collect();
    assert_eq!(causes, [(None, Some(Cause::Interrupted)); 3]);
    assert_eq!((seen.runs.len(), seen.calls.len()), (2, 3));
}

/// The same of a run whose deliveries had failed before: what it reports as pending is no longer recorded as failed.
#[tokio::test]
async fn an_interrupted_run_records_what_it_reports() {
    let world = direct(&[3], &Script::absent(), Place::File);
    let (second, seen) = played(world.clone(), |mut direct| async move {
        let first = direct.once(0, None).await;
        assert!(matches!(first, Ended::Done(_)), "{first:?}");
        let delay = Fault::Delay(Duration::from_secs(5));
        direct.run.sim.faults().order("LedgerPutNew", When::Nth(1), delay);
        direct.upsets = vec![(Moment::Struck, Upset::Restart)];
        let second = direct.once(0, None).await;
        let third = direct.once(0, None).await;
        assert!(matches!(third, Ended::Done(_)), "{third:?}");
        (second, direct.look().await)
    })
    .await;
    let Ended::Interrupted(report) = second else { panic!("{second:?}") };
    assert_eq!(report.counts().pending, 3);
    let recorded = seen.runs[1].after.as_ref().unwrap();
    assert_eq!(recorded.report.counts(), report.counts());
    assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
}

#[test]
fn a_resend_records_a_service_that_does_not_exist() {
    let mut world = direct(&[2], &Script::accepting(), Place::File);
    world.resends = true;
    world.broadcasts[0].services = vec!["s0".to_owned(), NOWHERE.to_owned()];
    world.faults = vec![("LedgerPutNew", When::Nth(1), Fault::Fail)];
    let seen = run::run(&world, &notifier::deliver::Auth::default());
    assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
    let resends: Vec<bool> = seen.runs.iter().map(|run| run.is_resend).collect();
    assert_eq!(resends, [false, true]);
    let Ended::Done(report) = &seen.runs[1].ended else { panic!("{:?}", seen.runs) };
    assert_eq!((report.counts().skipped, report.counts().delivered), (1, 2));
}

/// The fleet is listed anew by each run; that it cannot be says nothing of the tasks that the run before had found.
#[tokio::test]
async fn a_run_that_cannot_find_the_fleet_takes_no_task_for_stopped() {
    let mut world = direct(&[3], &Script::absent(), Place::File);
    world.concurrency = 1;
    world.upsets = vec![(Moment::Calls(1), Upset::Kill)];
    let seen = played(world.clone(), |mut direct| async move {
        let first = direct.once(0, None).await;
        assert!(matches!(first, Ended::Killed), "{first:?}");
        direct.run.sim.faults().order("DescribeTasks", When::First(40), Fault::Fail);
        let second = direct.once(0, None).await;
        assert!(matches!(second, Ended::Failed(_)), "{second:?}");
        direct.run.sim.faults().clear();
        let third = direct.once(0, None).await;
        assert!(matches!(third, Ended::Done(_)), "{third:?}");
        direct.look().await
    })
    .await;
    let [killed, failed, _] = seen.runs.as_slice() else { panic!("{:?}", seen.runs) };
    let entries = |recorded: &Option<Recorded>| recorded.as_ref().unwrap().report.entries().to_vec();
    assert_eq!(entries(&killed.after), entries(&failed.after));
    assert!(entries(&failed.after).iter().any(|entry| entry.outcome.is_none()));
    assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
}

/// Which tasks were called, of the calls in these places.
fn called(seen: &Seen, places: std::ops::Range<usize>) -> BTreeSet<&str> {
    seen.calls[places].iter().map(|call| call.task.as_str()).collect()
}

#[tokio::test]
async fn a_discovery_that_fails_half_way_calls_whom_it_found_and_the_next_run_the_others() {
    let mut world = direct(&[TASKS], &Script::accepting(), Place::File);
    world.concurrency = 256;
    let (first, second, seen) = played(world.clone(), |mut direct| async move {
        // Nobody is looked up again who accepts at once: only discovery asks, and its last question fails each time.
        for call in DESCRIBED_IN + 1..=DESCRIBED_IN + 40 {
            direct.run.sim.faults().order("DescribeTasks", When::Nth(call), Fault::Fail);
        }
        let first = direct.once(0, None).await;
        direct.run.sim.faults().clear();
        let second = direct.once(0, None).await;
        (first, second, direct.look().await)
    })
    .await;

    let Ended::Incomplete(report) = first else { panic!("{first:?}") };
    let counts = report.counts();
    assert_eq!((counts.delivered, counts.failed, report.entries().len()), (HANDED_OVER, 1, HANDED_OVER + 1));
    let missing = report.entries().iter().find(|entry| entry.member.task.is_empty()).unwrap();
    assert_eq!((missing.outcome, missing.cause), (Some(Outcome::Failed), Some(Cause::Discovery)));
    let recorded = seen.runs[0].after.as_ref().unwrap();
    assert!(recorded.broadcast.as_ref().unwrap().failure.is_some());
    assert_eq!(recorded.report.counts(), counts);

    let Ended::Done(report) = second else { panic!("{second:?}") };
    assert_eq!(report.counts().delivered, TASKS as usize);
    let [before, after] = [0, 1].map(|run| called(&seen, seen.runs[run].calls.clone()));
    assert_eq!((before.len(), after.len()), (HANDED_OVER, TASKS as usize - HANDED_OVER));
    assert!(before.is_disjoint(&after));
    let recorded = seen.recorded[0].as_ref().unwrap();
    assert!(recorded.is_complete && recorded.broadcast.as_ref().unwrap().failure.is_none());
    assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
}
