//! Fleets in waves: `send` and `publish` with a pace, `continue`.

use simulator::fleet::AlarmState;

use crate::pipeline::{Pipeline, fleet, json, service};
use crate::support::{notifier, until};

const REFUSES: &str = "answers = [{ status = 403 }]";

#[test]
fn wrong_values_name_the_flag_and_the_right_form() {
    for (flags, says) in [
        ("--waves 10%,5%", "each larger than the one before, such as 1,10%,100%"),
        ("--waves 0", "each larger than the one before"),
        ("--waves 1 --pause 2d", "`manual`, or a time from 0s to 1d"),
        ("--waves 1 --max-errors 101%", "a number or a percentage from 0% to 100%"),
        ("--max-parallel 0", "--max-parallel"),
        ("--jitter 2h", "a time from 0s to 1h"),
        ("--pace fast", "canary or linear"),
        ("--stop-on-alarm=", "from 1 to 10 names of alarms"),
        ("--pause 5m", "--pause needs several waves"),
        ("--waves 1 --cover 10m", "cannot be combined with --cover or --retain"),
    ] {
        let run = notifier(&format!("send --cluster prod {flags}")).run();
        assert!(run.code == 2 && run.stderr.contains(says), "{flags}: {run}");
    }
    for (flags, says) in [
        ("--max-parallel 5", "--max-parallel needs one process"),
        ("--jitter 5s", "--jitter needs one process"),
        ("--waves 5%,5%", "each larger"),
    ] {
        let run = notifier(&format!("publish --cluster prod --queue observer {flags}"))
            .env("NOTIFIER_OBSERVER_QUEUE_URL", "http://127.0.0.1:1/1/observer")
            .run();
        assert!(run.code == 2 && run.stderr.contains(says), "{flags}: {run}");
    }
}

#[test]
fn a_stopped_broadcast_says_where_and_why_and_what_each_container_came_to() {
    let pipeline = Pipeline::new(&fleet(&[service("web", 10, REFUSES)]));
    let send = || pipeline.notifier("send --cluster prod --id b-1 --waves 1,50% --allow-skips");
    let text = send().run();
    assert_eq!(text.code, 1, "{text}");
    for says in [
        "wave 1: 1 container: 1 rejected\n",
        "wave 2: 4 containers: 4 skipped\n",
        "wave 3: 5 containers: 5 skipped\n",
        "stopped at wave 1: 1 error, and at most 0 allowed\n",
        "9 skipped   stopped  not called: find out why the containers before it failed",
    ] {
        assert!(text.stdout.contains(says), "{says}: {text}");
    }
    assert!(
        text.stderr.contains("error: stopped at wave 1: 10 of 10 containers were not notified\n"),
        "{text}"
    );
    let report = pipeline.notifier("report b-1 --format json").run();
    assert_eq!(report.code, 1, "{report}");
    let mut lines = json(&report.stdout);
    let summary = lines.pop().unwrap()["summary"].clone();
    assert_eq!(summary["stopped"]["wave"], 1, "{summary}");
    let totals: Vec<_> =
        summary["waves"].as_array().unwrap().iter().map(|wave| wave["total"].as_u64()).collect();
    assert_eq!(totals, [Some(1), Some(4), Some(5)]);
    let skipped = lines.iter().filter(|line| line["outcome"] == "skipped" && line["cause"] == "stopped");
    assert_eq!(skipped.filter(|line| line["wave"].as_u64() > Some(1)).count(), 9, "{report}");
    let csv = pipeline.notifier("report b-1 --format csv").run();
    assert!(csv.stdout.lines().all(|line| line.matches(',').count() >= 14), "{csv}");
    let history = pipeline.notifier("history").run();
    assert!(history.stdout.contains("stopped at wave 1"), "{history}");

    let again = send().run();
    assert!(again.code == 1 && again.stderr.contains("the broadcast was stopped at wave 1"), "{again}");
    let continued = pipeline.notifier("continue b-1").run();
    assert!(continued.code == 2 && continued.stderr.contains("was stopped at wave 1"), "{continued}");
    assert_eq!(pipeline.received().len(), 1);
}

#[test]
fn zones_are_called_one_after_another_and_are_a_column() {
    let pipeline = Pipeline::new(&fleet(&[service("web", 6, "")]));
    let send = pipeline.notifier("send -c prod --id b-1 --by-zone --format json --progress none").run();
    assert_eq!((send.code, pipeline.received().len()), (0, 6), "{send}");
    let mut lines = json(&send.stdout);
    let summary = lines.pop().unwrap()["summary"].clone();
    let totals: Vec<_> =
        summary["waves"].as_array().unwrap().iter().map(|wave| wave["total"].clone()).collect();
    assert_eq!(totals, [2, 2, 2], "{summary}");
    let zone_of = |task: &str| {
        let line = lines.iter().find(|line| line["task"] == task).unwrap();
        line["zone"].as_str().unwrap().to_owned()
    };
    let mut order: Vec<_> = pipeline.received().iter().map(|call| zone_of(&call.task)).collect();
    order.dedup();
    assert_eq!(order.len(), 3, "{order:?}");
    order.sort();
    assert_eq!(order, ["us-east-1a", "us-east-1b", "us-east-1c"]);
    let csv = pipeline.notifier("report b-1 --format csv").run();
    assert!(csv.stdout.lines().next().unwrap().ends_with(",zone"), "{csv}");
    assert_eq!(csv.stdout.matches(",us-east-1a\n").count(), 2, "{csv}");
}

#[test]
fn a_manual_pause_needs_a_ledger_and_ends_with_continue() {
    let pipeline = Pipeline::new(&fleet(&[service("web", 3, "")]));
    let without = pipeline.notifier("send -c prod --waves 1 --pause manual --ledger none").run();
    assert!(without.code == 2 && without.stderr.contains("`--pause manual` needs a ledger"), "{without}");
    let unknown = pipeline.notifier("continue b-0").run();
    assert!(unknown.code != 0, "{unknown}");
    let mut send = pipeline.notifier("send -c prod --id b-1 --waves 1 --pause manual --quiet").start();
    let outcomes = || pipeline.notifier("report b-1 --format json").run().stdout;
    until("the first wave has ended", || outcomes().contains(r#""outcome":"delivered""#));
    assert_eq!(pipeline.received().len(), 1);
    let continued = pipeline.notifier("continue b-1").run();
    assert!(continued.code == 0 && continued.stderr.contains("continues after wave 1"), "{continued}");
    let code = send.child.wait().unwrap().code();
    assert_eq!((code, pipeline.received().len()), (Some(0), 3));
    let late = pipeline.notifier("continue b-1").run();
    assert!(late.code == 2 && late.stderr.contains("has ended, so there is no pause to end"), "{late}");
}

#[test]
fn an_alarm_stops_the_broadcast_before_the_next_wave() {
    let pipeline = Pipeline::new(&fleet(&[service("web", 10, "")]));
    let send = |id: &str| {
        let alarms = "--stop-on-alarm errors --stop-on-alarm latency";
        pipeline.notifier(&format!("send -c prod --id {id} --waves 1,50% {alarms}")).run()
    };
    let missing = send("b-0");
    assert_eq!(missing.code, 1, "{missing}");
    let reason = "the alarms could not be read: there is no alarm `errors` in this account and region";
    assert!(missing.stdout.contains(&format!("stopped before wave 1: {reason}\n")), "{missing}");
    assert!(missing.stderr.contains("error: stopped before wave 1: 10 of 10 containers were not notified\n"));
    assert!(missing.stderr.contains(reason) && missing.stderr.contains("another id"), "{missing}");
    assert!(pipeline.received().is_empty());

    pipeline.set_alarm("errors", AlarmState::Ok);
    pipeline.set_alarm("latency", AlarmState::Alarm);
    let raised = send("b-1");
    assert!(raised.code == 1 && raised.stdout.contains("alarm `latency` is in the state ALARM"), "{raised}");
    assert!(pipeline.received().is_empty());
    let report = pipeline.notifier("report b-1 --format json").run();
    let summary = json(&report.stdout).pop().unwrap()["summary"].clone();
    assert_eq!((&summary["stopped"]["wave"], &summary["skipped"]), (&0.into(), &10.into()), "{report}");
    let history = pipeline.notifier("history").run();
    assert!(history.stdout.contains("stopped before wave 1"), "{history}");
    let continued = pipeline.notifier("continue b-1").run();
    assert!(continued.code == 2 && continued.stderr.contains("was stopped before wave 1"), "{continued}");

    let flags = "send -c prod --stop-on-alarm errors";
    let elsewhere = pipeline.notifier(flags).env("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:1").run();
    assert_eq!(elsewhere.code, 1, "{elsewhere}");
    let reason = "the alarms could not be read: CloudWatch did not answer DescribeAlarms: cannot connect to";
    assert!(elsewhere.stdout.contains(reason) && pipeline.received().is_empty(), "{elsewhere}");

    pipeline.set_alarm("latency", AlarmState::InsufficientData);
    let quiet = send("b-2");
    assert_eq!((quiet.code, pipeline.received().len()), (0, 10), "{quiet}");
}

#[test]
fn an_alarm_stops_a_published_broadcast() {
    let pipeline = Pipeline::new(&fleet(&[service("web", 3, "")]));
    let daemon = pipeline.serve("");
    pipeline.set_alarm("errors", AlarmState::Alarm);
    let published = pipeline
        .notifier("publish -c prod --id b-1 --pace canary --stop-on-alarm errors --wait=90 --format json")
        .run();
    assert_eq!(published.code, 1, "{published}");
    assert!(published.stderr.contains("stopped before wave 1: no container was called"), "{published}");
    assert!(published.stderr.contains("alarm `errors` is in the state ALARM"), "{published}");
    assert!(pipeline.received().is_empty());
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_pace_through_the_queues_without_a_ledger_is_refused_with_the_reason() {
    let pipeline = Pipeline::new(&fleet(&[service("web", 2, "")]));
    let daemon = pipeline.notifier("serve --listen none --log-level error --ledger none").start();
    assert_eq!(pipeline.notifier("publish -c prod --id b-1 --waves 1").run().code, 0);
    let letters =
        || pipeline.notifier("redrive --stage services --dry-run --format json --ledger none").run().stdout;
    until("the message is a dead letter", || letters().contains("needs a ledger"));
    assert!(letters().contains(r#""code":"pace""#));
    assert_eq!(daemon.stop().code, 0);
    assert!(pipeline.received().is_empty());
}
