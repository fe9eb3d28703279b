//! Waves through MiniStack's queues: its delays, and true time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use notifier::ledger::Recorded;
use notifier::model::{Cause, Outcome};
use notifier::pipeline::{QueueName, STAGES, StageName};
use notifier::queue::Depth;
use notifier::report::Counts;
use testkit::fleets;
use tokio::time::Instant;
use wire::{ObserverMessage, Pace};

use crate::world::{World, id};

const PAUSE: Duration = Duration::from_secs(4);
/// The ledger counts in milliseconds, and a call is received before its outcome is recorded.
const ROUNDING: Duration = Duration::from_millis(50);

/// One service of tasks that answer alike.
async fn world(tasks: usize, answers: &str) -> World {
    let fleet = fleets::fleet(&[fleets::service("web", tasks, "/n", answers)]);
    World::new(fleets::start(&fleet, Vec::new()).await, &QueueName::BROADCAST, &[]).await
}

fn in_waves(waves: &str, pause: &str) -> ObserverMessage {
    let mut pace = Pace::new();
    (pace.waves, pace.pause) = (Some(waves.to_owned()), Some(pause.to_owned()));
    let mut scope = ObserverMessage::new("prod");
    scope.pace = Some(pace);
    scope
}

/// Messages on the queue of a stage.
async fn depth(world: &World, stage: StageName) -> Depth {
    world.notifier.stage(stage).unwrap().source.depth().await.unwrap()
}

/// The tasks of each wave.
fn waves(recorded: &Recorded) -> BTreeMap<u16, BTreeSet<String>> {
    let mut waves = BTreeMap::<u16, BTreeSet<String>>::new();
    for entry in recorded.report.entries() {
        waves.entry(entry.wave.expect("a wave")).or_default().insert(entry.member.task.clone());
    }
    waves
}

/// First and last call of each wave, in order.
fn times(world: &World, waves: &BTreeMap<u16, BTreeSet<String>>) -> Vec<(Duration, Duration)> {
    let received = world.sim.received();
    let of = |tasks: &BTreeSet<String>| {
        let times: Vec<_> =
            received.iter().filter(|call| tasks.contains(&call.task)).map(|call| call.at).collect();
        assert_eq!(times.len(), tasks.len(), "each task is called once");
        (*times.iter().min().unwrap(), *times.iter().max().unwrap())
    };
    waves.values().map(of).collect()
}

#[tokio::test]
async fn each_wave_begins_when_the_one_before_has_ended_and_its_pause_is_over() {
    let world = world(10, "").await;
    world.publish(in_waves("1,50%", &format!("{}s", PAUSE.as_secs()))).await;
    world.invoke_until("the waves do not end", async || world.has_ended().await).await;
    let recorded = world.recorded().await.unwrap();
    assert_eq!(recorded.report.counts(), Counts { delivered: 10, ..Counts::default() });
    let waves = waves(&recorded);
    assert_eq!(waves.values().map(BTreeSet::len).collect::<Vec<_>>(), [1, 4, 5]);
    let times = times(&world, &waves);
    for pair in times.windows(2) {
        assert!(pair[1].0 + ROUNDING >= pair[0].1 + PAUSE, "{times:?}");
    }
}

#[tokio::test]
async fn a_gate_is_held_back_by_its_queue_until_somebody_continues() {
    let world = world(5, "").await;
    world.publish(in_waves("1", "manual")).await;
    let is_held_back = async || {
        world.sim.received().len() == 1 && {
            let depth = depth(&world, StageName::Tasks).await;
            (depth.visible, depth.in_flight, depth.delayed) == (0, 0, 1)
        }
    };
    world.invoke_until("no gate waits on the queue", is_held_back).await;
    let until = Instant::now() + PAUSE;
    world.invoke_until("the first wave waits", async || Instant::now() >= until).await;
    assert_eq!(world.sim.received().len(), 1, "nobody has continued");
    assert!(world.notifier.ctx().ledger.continue_after(&id(), 1).await.unwrap());
    world.invoke_until("it does not continue", async || world.has_ended().await).await;
    let counts = world.recorded().await.unwrap().report.counts();
    assert_eq!(counts, Counts { delivered: 5, ..Counts::default() });
    assert_eq!(world.sim.received().len(), 5);
}

#[tokio::test]
async fn errors_of_a_wave_stop_the_rest_and_leave_no_message() {
    let world = world(40, "answers = [{ status = 403 }]").await;
    world.publish(in_waves("5%", "1s")).await;
    world.invoke_until("it is not stopped", async || world.has_ended().await).await;
    let recorded = world.recorded().await.unwrap();
    let called = world.sim.received().len();
    assert!((1..=2).contains(&called), "{called} of the 2 tasks of the canary");
    let counts = Counts { rejected: called, skipped: 40 - called, ..Counts::default() };
    assert_eq!(recorded.report.counts(), counts);
    let skipped = recorded.report.entries().iter().filter(|entry| entry.outcome == Some(Outcome::Skipped));
    assert!(skipped.into_iter().all(|entry| entry.cause == Some(Cause::Stopped)));
    assert_eq!(recorded.stopped.map(|stopped| stopped.wave), Some(1));
    let is_empty = async || {
        for stage in STAGES.iter().filter(|stage| !stage.is_optional) {
            let depth = depth(&world, stage.name).await;
            if depth.visible + depth.in_flight + depth.delayed > 0 {
                return false;
            }
        }
        true
    };
    world.invoke_until("messages are left", is_empty).await;
    assert_eq!(world.sim.received().len(), called);
}
