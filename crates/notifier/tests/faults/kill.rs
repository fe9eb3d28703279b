//! A process that is killed wherever it waits: a stage at each of its awaits, a daemon at each of its calls.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use notifier::deliver::Auth;
use notifier::pipeline::{self, StageName};
use notifier::queue::Message;
use serde_json::{Value, json};
use simulator::faults::{Fault, When};
use time::OffsetDateTime;

use crate::invariants;
use crate::paced::{Paced, Pause};
use crate::parts::STAGE;
use crate::run::{self, Ground, Run, Seen};
use crate::script::Script;
use crate::world::{Moment, Place, Upset, World};

/// More awaits than any stage has, and more calls than a daemon makes in a small world.
const PLACES_MAX: usize = 1_000;

/// Polls until a future is to wait for the `n`th time, and drops it there; its output if it ends before.
async fn cut<F: Future>(future: F, n: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut waits = 0;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            waits += 1;
            if waits == n { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// A message off a queue, as a stage receives it, and its receipt.
pub(crate) async fn receive(run: &Run, queue: &str) -> Option<(Message, String)> {
    let asked = json!({ "QueueUrl": run.url(queue), "VisibilityTimeout": 1, "AttributeNames": ["All"] });
    let answer = run.sim.sqs("ReceiveMessage", asked).await.unwrap();
    let message = answer["Messages"].get(0)?;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let sent: i128 = text(&message["Attributes"]["SentTimestamp"]).parse().unwrap();
    let sent = OffsetDateTime::from_unix_timestamp_nanos(sent * 1_000_000).unwrap();
    let (id, body) = (text(&message["MessageId"]), text(&message["Body"]));
    let sender = Some(STAGE.to_owned());
    let received = Message { sender, ..Message::new(id, body, sent) };
    Some((received, text(&message["ReceiptHandle"])))
}

/// Works through a queue as its stage does, without an accident.
pub(crate) async fn work_off(run: &Run, stage: StageName, from: &str, to: &'static str) {
    let lane = run.drive.lane();
    while let Some((message, receipt)) = receive(run, from).await {
        let (ctx, aws) = (run.ctx(usize::MAX), run.aws());
        let worked =
            lane.handle.spawn(async move { pipeline::run(&ctx(&aws()), stage, &message, None).await });
        // A refusal is an error of the stage, which would make it a dead letter.
        let next = worked.await.unwrap().map(|output| output.next);
        for body in next.unwrap_or_default() {
            run.send(to, &body).await;
        }
        let done = json!({ "QueueUrl": run.url(from), "ReceiptHandle": receipt });
        run.sim.sqs("DeleteMessage", done).await.unwrap();
    }
    run.kill(lane);
}

/// Kills a stage at its `n`th await and lets a daemon finish; whether the stage had ended before.
async fn killed(mut run: Run, stage: StageName, n: usize) -> (Seen, bool) {
    run.begin().await;
    let queue = match stage {
        StageName::Services => "observer",
        StageName::Tasks => "services",
        StageName::Notify => "tasks",
        StageName::Registry => "registry",
    };
    if stage >= StageName::Tasks {
        work_off(&run, StageName::Services, "observer", "services").await;
    }
    if stage >= StageName::Notify {
        work_off(&run, StageName::Tasks, "services", "tasks").await;
    }
    let (message, _) = receive(&run, queue).await.unwrap();
    let lane = run.drive.lane();
    let (ctx, aws) = (run.ctx(usize::MAX - 1), run.aws());
    let cut = lane.handle.spawn(async move {
        let ctx = ctx(&aws());
        cut(Box::pin(pipeline::run(&ctx, stage, &message, None)), n).await.is_some()
    });
    let has_ended = cut.await.unwrap();
    run.kill(lane);
    let daemon = run.daemon();
    (run.finish(daemon).await, has_ended)
}

/// Kills a stage at each of its awaits, one world for each; how many there were.
fn at_every_await(stage: StageName, ledger: Place) -> usize {
    let mut world = World::small(&[2, 1]);
    world.ledger = ledger;
    for n in 1..PLACES_MAX {
        let played = run::play(&world, Ground::default(), move |run| killed(run, stage, n));
        let (seen, has_ended) = played.unwrap_or_else(|| panic!("{stage:?} killed at await {n}: no end"));
        let broken = invariants::broken(&world, &seen);
        assert!(broken.is_empty(), "{stage:?} killed at await {n}: {broken:#?}");
        if has_ended {
            return n - 1;
        }
    }
    panic!("{stage:?} has more than {PLACES_MAX} awaits");
}

/// Each of the stages, without a ledger and with each kind of it. A stage waits at least for AWS or the task, and for each of its records.
#[test]
fn a_stage_killed_at_any_await_loses_nothing() {
    for stage in [StageName::Services, StageName::Tasks, StageName::Notify] {
        for ledger in [Place::None, Place::File, Place::Table] {
            let awaits = at_every_await(stage, ledger);
            eprintln!("{stage:?} (ledger: {ledger:?}) was killed at each of {awaits} awaits");
            assert!(awaits >= if ledger == Place::None { 2 } else { 3 });
        }
    }
}

/// Kills a stage at its `n`th await with the gate after the first wave, and lets a daemon finish; whether it had ended before.
async fn killed_at_a_gate(mut run: Run, n: usize) -> (Seen, bool) {
    run.begin().await;
    work_off(&run, StageName::Services, "observer", "services").await;
    let (first, receipt) = receive(&run, "services").await.unwrap();
    let lane = run.drive.lane();
    let (ctx, aws) = (run.ctx(usize::MAX), run.aws());
    let opened = lane
        .handle
        .spawn(async move { pipeline::run(&ctx(&aws()), StageName::Tasks, &first, None).await.unwrap() });
    let opened = opened.await.unwrap();
    for body in &opened.next {
        run.send("tasks", body).await;
    }
    let [gate] = opened.again.as_slice() else { panic!("{opened:?}") };
    run.send("services", &gate.body).await;
    let done = json!({ "QueueUrl": run.url("services"), "ReceiptHandle": receipt });
    run.sim.sqs("DeleteMessage", done).await.unwrap();
    work_off(&run, StageName::Notify, "tasks", "").await;
    if run.recorded_of(0).await.unwrap().report.counts().rejected > 0 {
        for body in &opened.next {
            run.send("tasks-dead", body).await;
        }
    }
    let (message, _) = receive(&run, "services").await.unwrap();
    let (ctx, aws) = (run.ctx(usize::MAX - 1), run.aws());
    let cut = lane.handle.spawn(async move {
        let ctx = ctx(&aws());
        cut(Box::pin(pipeline::run(&ctx, StageName::Tasks, &message, None)), n).await.is_some()
    });
    let has_ended = cut.await.unwrap();
    run.kill(lane);
    let daemon = run.daemon();
    (run.finish(daemon).await, has_ended)
}

/// Its wave begins once, or the broadcast is stopped once: whatever was done before the kill, the next gate comes to the same.
#[test]
fn a_gate_killed_at_any_await_begins_its_wave_or_stops_it() {
    let (accepting, refusing) = (Script::accepting(), Script::refusing());
    let cases = [(Place::File, &accepting), (Place::Table, &accepting), (Place::Table, &refusing)];
    for (ledger, script) in cases {
        let mut world = World { ledger, ..World::small_of(&[3], script) };
        world.broadcasts[0].pace = Some(Paced::canary(Pause::For(Duration::ZERO)));
        let mut awaits = 0;
        for n in 1.. {
            assert!(n < PLACES_MAX, "a gate has more than {PLACES_MAX} awaits");
            let played = run::play(&world, Ground::default(), move |run| killed_at_a_gate(run, n));
            let (seen, has_ended) = played.unwrap_or_else(|| panic!("killed at await {n}: no end"));
            let broken = invariants::broken(&world, &seen);
            assert!(broken.is_empty(), "killed at await {n}: {broken:#?}");
            if has_ended {
                break;
            }
            awaits = n;
        }
        eprintln!("A gate (ledger: {ledger:?}) was killed at each of {awaits} awaits");
        // A file may answer before it is waited for.
        assert!(awaits >= if ledger == Place::File { 2 } else { 5 }, "{awaits}");
    }
}

/// A daemon's calls are those to SQS, ECS, EC2 and the ledger: each is held up before it is made, and the daemon killed.
#[test]
fn a_daemon_killed_at_any_call_loses_nothing() {
    for ledger in [Place::None, Place::File, Place::Table] {
        let mut calls = 0;
        for n in 1.. {
            assert!(n < PLACES_MAX as u64, "a daemon makes more than {PLACES_MAX} calls");
            let mut world = World::small(&[2, 1]);
            world.ledger = ledger;
            world.faults = vec![("*", When::Nth(n), Fault::Delay(Duration::from_hours(1)))];
            world.upsets = vec![(Moment::Struck, Upset::Kill)];
            let seen = run::run(&world, &Auth::default());
            let broken = invariants::broken(&world, &seen);
            assert!(broken.is_empty(), "killed at call {n}: {broken:#?}");
            if seen.struck.is_empty() {
                break;
            }
            calls = n;
        }
        eprintln!("A daemon (ledger: {ledger:?}) was killed at each of {calls} calls");
        assert!(calls > 20);
    }
}

/// A delivery without receives left is recorded before it becomes a dead letter, because no later step records it.
#[test]
fn what_is_given_up_is_recorded_although_the_ledger_fails_at_that_moment() {
    for operation in ["LedgerGet", "LedgerPut"] {
        for n in 1..=8 {
            let mut world = World::small_of(&[1], &Script::absent());
            world.receives_max = 2;
            world.faults = vec![(operation, When::Nth(n), Fault::Fail)];
            let broken = invariants::broken(&world, &run::run(&world, &Auth::default()));
            assert!(broken.is_empty(), "{operation} {n}: {broken:#?}");
        }
    }
}
