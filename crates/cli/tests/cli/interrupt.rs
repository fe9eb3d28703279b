//! Ctrl-C and SIGTERM during a broadcast, or during the wait for one.

use serde_json::Value;

use crate::pipeline::{Pipeline, fleet, json, service};
use crate::support::{FLEET, Run, Running, Sim, answering, redacted, signal, until};

/// Two tasks that answer at once, and two that never answer the first call.
fn setup() -> Pipeline {
    let silent = "answers = [{ hang = true }, { status = 200 }]";
    Pipeline::new(&fleet(&[service("quick", 2, ""), service("silent", 2, silent)]))
}

/// Starts `send`, and waits until the quick tasks have an outcome and the others are being called.
fn halfway(pipeline: &Pipeline, arguments: &str) -> Running {
    let send = format!("send -c prod --id b-1 --timeout-ms 600000 --progress json {arguments}");
    let mut running = pipeline.notifier(&send).start();
    for _ in 0..2 {
        running.stderr_until(r#""kind":"settled""#);
    }
    until("all are called", || pipeline.received().len() == 4);
    running
}

/// The outcome of each container in a JSON report, and the number of pending ones.
fn outcomes(run: &Run) -> (Vec<[Value; 5]>, Value) {
    let mut lines = json(&run.stdout);
    let summary = lines.pop().unwrap()["summary"]["pending"].clone();
    let names = ["service", "outcome", "attempts", "cause", "reason"];
    (lines.into_iter().map(|line| names.map(|name| line[name].clone())).collect(), summary)
}

/// The last line of stderr, which is an error as JSON.
fn error(run: &Run) -> [String; 3] {
    let last = json(run.stderr.lines().last().unwrap()).pop().unwrap();
    ["kind", "text", "hint"].map(|name| last[name].as_str().unwrap().to_owned())
}

#[test]
fn an_interrupted_send_reports_the_outcomes_so_far() {
    for (signal, format) in [("INT", "json"), ("TERM", "csv")] {
        let pipeline = setup();
        let run = halfway(&pipeline, &format!("--ledger none --format {format}")).stop_by(signal);
        assert_eq!(run.code, 1, "{run}");
        let [kind, text, hint] = error(&run);
        assert_eq!([kind, text], ["error", "interrupted: 2 of 4 containers have no outcome"], "{run}");
        assert!(hint.starts_with("the same command with --id b-1"), "{hint}");
        let reason = "interrupted before the answer: the event may have been accepted";
        if format == "csv" {
            assert_eq!(run.stdout.matches(",delivered,,1,200,").count(), 2, "{run}");
            assert_eq!(run.stdout.matches(&format!(",,{reason},1,,,interrupted,")).count(), 2, "{run}");
            continue;
        }
        let (lines, pending) = outcomes(&run);
        let delivered = ["quick".into(), "delivered".into(), 1.into(), Value::Null, Value::Null];
        let silent = ["silent".into(), Value::Null, 1.into(), "interrupted".into(), reason.into()];
        assert_eq!(lines, [delivered.clone(), delivered, silent.clone(), silent]);
        assert_eq!(pending, 2);
    }
}

#[test]
fn with_a_ledger_the_report_agrees_and_the_rest_can_be_sent_later() {
    let pipeline = setup();
    let run = halfway(&pipeline, "--format json").stop_by("INT");
    assert_eq!((run.code, outcomes(&run).1), (1, 2.into()), "{run}");
    let [_, text, hint] = error(&run);
    assert_eq!(text, "interrupted: 2 of 4 containers have no outcome");
    assert_eq!(
        hint,
        "`ecs-task-notifier send --failed-of b-1` calls only the containers that were not notified"
    );

    let report = pipeline.notifier("report b-1 --format json").run();
    assert_eq!((report.code, &report.stdout), (1, &run.stdout), "{report}");
    // The sender has ended, so there is nothing to wait for.
    let report = pipeline.notifier("report b-1 --wait=86400").run();
    let _bound = redacted();
    insta::assert_snapshot!(report, @r#"
    exit 1
    --- stdout
    silent  0 of 2 notified
      pending  127.B.16.3:8080  741b8bb3/app  interrupted before the answer: the event may have been accepted
      pending  127.B.16.4:8080  9a57c4bf/app  interrupted before the answer: the event may have been accepted
    quick   2 of 2 notified  p50 [time]  p99 [time]  max [time]
    4 containers: 2 delivered, 2 pending
    what to do:
      2 pending  interrupted  not called: `send --failed-of` sends the event to the containers without an outcome
    --- stderr
    4 containers: 2 delivered, 2 pending
    error: interrupted: 2 of 4 containers have no outcome
    hint: `ecs-task-notifier send --failed-of b-1` calls only the containers that were not notified
    "#);

    let again = pipeline.notifier("send --failed-of b-1 --format json").run();
    assert_eq!(again.code, 0, "{again}");
    assert_eq!(pipeline.received().len(), 6, "the quick ones are not called again");
    assert_eq!(pipeline.notifier("report b-1").run().code, 0);
}

#[test]
fn containers_that_were_not_called_yet_are_not_called_any_more() {
    let pipeline = Pipeline::new(&fleet(&[service("silent", 8, "answers = [{ hang = true }]")]));
    let send = "send -c prod --id b-1 --timeout-ms 600000 --concurrency 2";
    let running = pipeline.notifier(send).start();
    until("two are called", || pipeline.received().len() == 2);
    let run = running.stop_by("INT");
    let _bound = redacted();
    insta::assert_snapshot!(run, @r#"
    exit 1
    --- stdout
    silent  0 of 8 notified
      pending  -  6 containers  interrupted before the call (--verbose names each)
      pending  127.B.16.1:8080  741b8bb3/app  interrupted before the answer: the event may have been accepted
      pending  127.B.16.2:8080  9a57c4bf/app  interrupted before the answer: the event may have been accepted
    8 containers: 8 pending
    what to do:
      8 pending  interrupted  not called: `send --failed-of` sends the event to the containers without an outcome
    --- stderr
    broadcast b-1 to cluster prod (account 111122223333, region us-east-1)
    error: interrupted: 8 of 8 containers have no outcome
    hint: `ecs-task-notifier send --failed-of b-1` calls only the containers that were not notified
    "#);
    assert_eq!(pipeline.received().len(), 2);
}

#[test]
fn an_interrupt_during_discovery_ends_at_once_without_a_call() {
    let sim = Sim::start(FLEET);
    // One request to AWS, and the next after minutes.
    let mut running = sim.notifier("send -c prod --id b-1 --aws-budget-percent 0.01").start();
    running.stderr_until("broadcast b-1 to cluster prod");
    let run = running.stop_by("INT");
    insta::assert_snapshot!(run, @r#"
    exit 1
    --- stdout
    --- stderr
    error: interrupted: no task was called
    hint: discovery had not ended; run the same command again
    "#);
}

#[test]
fn an_interrupted_wait_says_that_the_broadcast_continues() {
    let pipeline = setup();
    let _daemon = pipeline.serve("--timeout-ms 600000");
    let mut unheard = pipeline.notifier("report b-9 --wait=86400").start();
    unheard.stderr_until("the broadcast has not begun");
    let unheard = unheard.stop_by("INT");
    assert_eq!((unheard.code, unheard.stdout.as_str()), (1, ""), "{unheard}");
    assert!(unheard.stderr.contains("error: interrupted: the broadcast has not begun"), "{unheard}");
    for command in ["publish -c prod --id b-1 --wait=86400", "report b-1 --wait=86400"] {
        let mut waiting = pipeline.notifier(command).start();
        waiting.stderr_until("4 containers: 2 delivered, 2 pending");
        let run = waiting.stop_by("TERM");
        assert_eq!(run.code, 1, "{run}");
        assert!(run.stdout.contains("4 containers: 2 delivered, 2 pending"), "{run}");
        let end: Vec<_> = run.stderr.lines().collect();
        assert_eq!(
            end,
            [
                "error: interrupted: 2 of 4 containers have no outcome",
                "hint: the broadcast continues; `ecs-task-notifier report b-1 --wait` waits for its end",
            ]
        );
    }
}

#[test]
fn a_blocked_reader_of_the_report_does_not_prevent_the_end_of_the_run() {
    // More than a pipe can buffer.
    let unhealthy = "health_check = true\nhealth = 'UNHEALTHY'";
    let sim = Sim::start(&answering(unhealthy).replace("tasks = 2", "tasks = 500"));
    let mut running = sim.notifier("send -c prod --id b-1 --format json").start();
    let first = running.line();
    assert!(first.contains("UNHEALTHY"), "the report has begun: {first}");
    until("it ends", || {
        if running.child.try_wait().unwrap().is_some() {
            return true;
        }
        signal(running.child.id(), "INT");
        false
    });
    assert_eq!(running.child.wait().unwrap().code(), Some(1));
}
