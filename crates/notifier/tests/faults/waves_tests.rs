//! Waves where one thing goes wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_sqs::config::Credentials;
use notifier::deliver::Auth;
use notifier::model::{Cause, Outcome};
use notifier::pipeline::{self, StageName};
use serde_json::{Value, json};
use simulator::faults::{Fault, When};
use tokio::time::sleep;
use wire::{BroadcastId, DeliveryId};

use crate::direct::{Direct, Ended};
use crate::invariants;
use crate::kill::receive;
use crate::paced::{Paced, Pause};
use crate::run::{self, Ground, Run, Seen};
use crate::script::Script;
use crate::world::{Form, Moment, Place, Upset, World};

/// A pause that somebody has to end, and does not in the time of a test.
const NEVER: Duration = Duration::from_hours(9);
/// Longer than a wave without faults takes.
const QUIET: Duration = Duration::from_secs(90);

/// One service whose tasks all answer like this, with a canary of one task.
fn canary(tasks: u32, pause: Pause, script: &Script) -> World {
    let mut world = World::small_of(&[tasks], script);
    world.broadcasts[0].pace = Some(Paced::canary(pause));
    world
}

/// Plays a world by hand, in a thread of its own.
async fn played<T, F>(world: &World, how: impl FnOnce(Run) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let world = world.clone();
    let play = move || run::play(&world, Ground::default(), how);
    tokio::task::spawn_blocking(play).await.unwrap().expect("a world that ends")
}

fn delivery(task: &str) -> DeliveryId {
    DeliveryId::derive(&BroadcastId::try_from("b-0-0".to_owned()).unwrap(), task, "app")
}

fn between_the_first_two_calls(seen: &Seen) -> Duration {
    seen.calls[1].at.checked_sub(seen.calls[0].at).unwrap()
}

/// The message for a container as an untrusted sender would forge it: with the event of the broadcast in the ledger.
fn forged(run: &Run, task: &str, event: &Value) -> String {
    let tasks = run.sim.tasks();
    let endpoint = tasks.iter().find(|found| found.arn == task).unwrap().endpoints[0].address;
    json!({
        "notify_task_arn": task, "notify_me_host_address": endpoint.ip().to_string(),
        "notify_me_host_port": endpoint.port().to_string(), "notify_me_api_uri": "/v1.0/notify",
        "cluster": "prod", "service": "s0", "container": "app", "wave": 1,
        "broadcast": { "id": "b-0-0", "event": event },
    })
    .to_string()
}

/// Somebody sends the messages of a canary and of another task while the canary's pause lasts.
async fn with_a_stranger(mut run: Run) -> (Vec<String>, Seen) {
    run.begin().await;
    let daemon = run.daemon();
    while run.sim.received_count() < 1 {
        sleep(Duration::from_millis(200)).await;
    }
    sleep(QUIET).await;
    let recorded = run.recorded_of(0).await.unwrap();
    let event = serde_json::to_value(&recorded.broadcast.as_ref().unwrap().event).unwrap();
    let entries = recorded.report.entries();
    let person = Credentials::new("person", "secret", None, None, "test");
    let stranger = run.aws()().sqs.config().to_builder().credentials_provider(person).build();
    let stranger = aws_sdk_sqs::Client::from_conf(stranger);
    for wave in [1, 2] {
        let entry = entries.iter().find(|entry| entry.wave == Some(wave)).unwrap();
        let body = forged(&run, &entry.member.task, &event);
        stranger.send_message().queue_url(run.url("tasks")).message_body(body).send().await.unwrap();
    }
    sleep(QUIET).await;
    let early = run.sim.received().iter().map(|call| call.header("webhook-id").unwrap().to_owned()).collect();
    let counts = run.recorded_of(0).await.unwrap().report.counts();
    assert_eq!((counts.delivered, counts.pending), (1, 3), "nothing of the later wave is recorded");
    run.continues_at = Duration::ZERO;
    run.go_on().await;
    (early, run.finish(daemon).await)
}

#[tokio::test]
async fn an_untrusted_message_for_a_task_does_not_call_it_before_its_wave() {
    for ledger in [Place::File, Place::Table] {
        let mut world = canary(4, Pause::Manual, &Script::accepting());
        (world.ledger, world.continues_every) = (ledger, NEVER);
        let (early, seen) = played(&world, with_a_stranger).await;
        let recorded = seen.recorded[0].as_ref().unwrap();
        let of_wave = |wave: u16| {
            let entries = recorded.report.entries().iter().filter(move |entry| entry.wave == Some(wave));
            entries.map(|entry| delivery(&entry.member.task).to_string()).collect::<Vec<_>>()
        };
        let [canary, own] = early.as_slice() else { panic!("{early:?}") };
        assert_eq!(
            *canary,
            of_wave(1)[0],
            "the message for the canary belongs to the broadcast, which has notified it"
        );
        assert!(!of_wave(2).contains(own), "the other one is a broadcast of its own");
        assert_eq!(recorded.report.counts().delivered, 4);
        for id in of_wave(2) {
            assert_eq!(seen.calls.iter().filter(|call| call.header("webhook-id") == Some(&id)).count(), 1);
        }
    }
}

/// Neither the pause nor the manual one is skipped by a process that was killed in it.
#[tokio::test]
async fn a_send_that_was_killed_in_a_pause_begins_with_the_pause() {
    for pause in [Pause::For(Duration::from_mins(5)), Pause::Manual] {
        let mut world = canary(3, pause, &Script::accepting());
        (world.form, world.continues_every) = (Form::Direct, NEVER);
        let (first, seen) = played(&world, move |run| async move {
            let mut direct = Direct::new(run);
            direct.upsets = vec![(Moment::Passed(Duration::from_mins(2)), Upset::Kill)];
            let first = direct.once(0, None).await;
            let called = direct.run.sim.received_count();
            direct.run.continues_at = direct.run.drive.passed() + Duration::from_mins(3);
            let second = direct.once(0, None).await;
            assert!(matches!(second, Ended::Done(_)), "{second:?}");
            ((first, called), direct.look().await)
        })
        .await;
        assert!(matches!(first, (Ended::Killed, 1)), "{first:?}");
        assert_eq!(seen.calls.len(), 3);
        // Of the first run, two minutes; then the whole pause, or until somebody continues.
        let waited = between_the_first_two_calls(&seen);
        assert!(waited > Duration::from_mins(4), "{waited:?}");
        assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_broadcast_in_waves_that_has_not_ended_is_not_sent_to_the_rest_at_once() {
    let mut world = canary(3, Pause::For(Duration::from_mins(5)), &Script::accepting());
    world.form = Form::Direct;
    let (second, seen) = played(&world, move |run| async move {
        let mut direct = Direct::new(run);
        direct.upsets = vec![(Moment::Passed(Duration::from_mins(2)), Upset::Kill)];
        direct.once(0, None).await;
        let known = direct.run.recorded_of(0).await;
        let second = direct.once(0, known).await;
        (second, direct.look().await)
    })
    .await;
    let Ended::Failed(why) = second else { panic!("{second:?}") };
    assert!(why.contains("InWaves"), "{why}");
    assert_eq!(seen.calls.len(), 1);
}

/// A wave that is spread over an hour ends soon when the broadcast is cancelled in it.
#[test]
fn a_cancelled_wave_does_not_wait_for_its_jitter() {
    let mut world = canary(40, Pause::For(Duration::ZERO), &Script::accepting());
    world.form = Form::Direct;
    let pace = world.broadcasts[0].pace.as_mut().unwrap();
    pace.jitter = Some(Duration::from_hours(1));
    world.upsets = vec![(Moment::Calls(3), Upset::Cancel(0))];
    let seen = run::run(&world, &Auth::default());
    assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
    let cancelled = seen.cancelled[&0].checked_sub(run::EPOCH).unwrap();
    assert!(seen.passed < cancelled + Duration::from_mins(1), "{:?} and {cancelled:?}", seen.passed);
    let skipped = seen.recorded[0].as_ref().unwrap().report.counts().skipped;
    assert!((30..40).contains(&skipped), "{skipped}");
}

/// A pause of hours outlives its daemon.
#[test]
fn a_pause_of_hours_survives_a_restart() {
    let pause = Duration::from_hours(2);
    let mut world = canary(3, Pause::For(pause), &Script::accepting());
    world.upsets = vec![
        (Moment::Passed(Duration::from_mins(30)), Upset::Kill),
        (Moment::Passed(Duration::from_mins(80)), Upset::Restart),
    ];
    let seen = run::run(&world, &Auth::default());
    assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
    let waited = between_the_first_two_calls(&seen);
    // The message is looked at after its delay, which is at most 15 minutes, and a daemon that was killed hides it.
    assert!((pause..pause + Duration::from_mins(16)).contains(&waited), "{waited:?}");
    // On a busy machine, a message may come back before its outcome is recorded.
    let called: BTreeSet<_> = seen.calls.iter().map(|call| call.header("webhook-id")).collect();
    assert_eq!((called.len(), seen.daemons), (3, 3));
}

/// Stage 1 records both services and is killed before it has queued the second one, whose turn comes after the stop.
async fn with_half_a_request(mut run: Run) -> Seen {
    let lane = run.drive.lane();
    run.begin().await;
    let (message, receipt) = receive(&run, "observer").await.unwrap();
    let (ctx, aws) = (run.ctx(usize::MAX), run.aws());
    let worked = lane.handle.spawn(async move {
        pipeline::run(&ctx(&aws()), StageName::Services, &message, None).await.unwrap()
    });
    let bodies = worked.await.unwrap().next;
    assert_eq!(bodies.len(), 2);
    let of_first = bodies.iter().find(|body| body.contains("\"service\":\"s0\"")).unwrap();
    run.send("services", of_first).await;
    let done = json!({ "QueueUrl": run.url("observer"), "ReceiptHandle": receipt });
    run.sim.sqs("DeleteMessage", done).await.unwrap();
    run.kill(lane);
    let daemon = run.daemon();
    while run.recorded_of(0).await.unwrap().stopped.is_none() {
        sleep(Duration::from_millis(500)).await;
    }
    sleep(QUIET).await;
    assert!(!run.recorded_of(0).await.unwrap().is_complete);
    run.begin().await;
    run.finish(daemon).await
}

#[tokio::test]
async fn a_stop_ends_what_nobody_has_looked_at() {
    let mut world = World::small_of(&[3, 3], &Script::refusing());
    world.broadcasts[0].pace = Some(Paced::canary(Pause::For(Duration::from_secs(5))));
    let seen = played(&world, with_half_a_request).await;
    assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
    let recorded = seen.recorded[0].as_ref().unwrap();
    assert!(recorded.is_complete && recorded.stopped.as_ref().is_some_and(|stopped| stopped.wave == 1));
    let entries = recorded.report.entries();
    let causes = entries.iter().map(|entry| (entry.outcome, entry.cause));
    let withheld = causes.filter(|why| *why == (Some(Outcome::Skipped), Some(Cause::Stopped))).count();
    assert_eq!((entries.len(), withheld, seen.calls.len()), (3, 2, 1));
}

/// Without the outcomes of a wave, nobody may wait for its end.
#[test]
fn a_send_in_waves_ends_whichever_write_of_the_ledger_fails() {
    for nth in 1..=8 {
        for operation in ["LedgerPut", "LedgerPutNew"] {
            let mut world = canary(3, Pause::For(Duration::from_mins(1)), &Script::accepting());
            world.form = Form::Direct;
            world.faults = vec![(operation, When::Nth(nth), Fault::Fail)];
            let seen = run::run(&world, &Auth::default());
            assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new(), "{operation} {nth}");
            assert_eq!(seen.runs.last().and_then(|run| run.ended.report()).unwrap().counts().delivered, 3);
        }
    }
}
