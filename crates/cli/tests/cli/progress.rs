//! `--progress json`: stderr as JSON lines.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::pipeline::{Pipeline, fleet, json, service};
use crate::support::{FLEET, Run, Sim, notifier};

/// The container of an event.
fn whom(event: &Value) -> (String, String) {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    (text("task"), text("container"))
}

/// Checks the order of a broadcast's events: stage 1 has the number of parts, stage 2 each part with its expected
/// containers; each of these ends exactly once.
fn legal(events: &[Value]) {
    let (mut parts, mut expected, mut ended) = (None, BTreeSet::new(), BTreeSet::new());
    let mut announced = 0;
    for event in events {
        assert!(event["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{event}");
        let kind = event["kind"].as_str().unwrap();
        assert_eq!(announced > 0, kind == "expected", "`tasks` says how many `expected` follow: {event}");
        match kind {
            "services" => assert_eq!(parts.replace(event["parts"].as_u64().unwrap()), None),
            "tasks" => {
                parts = Some(parts.unwrap().checked_sub(1).expect("more parts than were announced"));
                announced = event["endpoints"].as_u64().unwrap();
            }
            "expected" => {
                announced -= 1;
                assert!(expected.insert(whom(event)), "{event}");
                assert!(event["address"].is_string() && event["outcome"].is_null());
            }
            "retrying" => {
                assert!(expected.contains(&whom(event)) && !ended.contains(&whom(event)), "{event}");
                assert!(event["attempts"].as_u64().unwrap() > 0 && event["wait_ms"].is_number());
            }
            "settled" => {
                assert!(expected.contains(&whom(event)) && ended.insert(whom(event)), "{event}");
                assert!(event["outcome"].is_string());
            }
            "skipped" => assert!(event["reason"].is_string() && event["cause"].is_string()),
            other => panic!("there is no event `{other}`"),
        }
    }
    assert_eq!((parts, announced), (Some(0), 0));
    assert_eq!(ended, expected, "whoever is expected ends");
}

/// The events, and the other lines.
fn parted(run: &Run) -> (Vec<Value>, Vec<Value>) {
    json(&run.stderr).into_iter().partition(|line| line["broadcast"].is_string())
}

#[test]
fn send_reports_each_event_at_once_and_stdout_has_the_report() {
    let fleet = format!("{FLEET}\n{}", service("flaky", 1, "answers = [{ status = 503 }, { status = 200 }]"));
    let sim = Sim::start(&fleet);
    let run = sim.notifier("send -c prod --id e-1 --format json --retry-wait-ms 1 --progress json").run();
    assert_eq!(run.code, 1, "{run}");
    let (events, said) = parted(&run);
    legal(&events);
    assert_eq!(events.iter().filter(|event| event["kind"] == "retrying").count(), 1);
    // Each line of the report was an event before, with equal columns.
    let mut report = json(&run.stdout);
    report.pop();
    for line in report {
        let same = |event: &&Value| whom(event) == whom(&line) && !event["outcome"].is_null();
        let event = events.iter().find(same).unwrap_or_else(|| panic!("{line}"));
        assert!(
            line.as_object().unwrap().iter().all(|(name, value)| event[name] == *value),
            "{event} {line}"
        );
    }
    let said: Vec<_> =
        said.iter().map(|line| (line["kind"].as_str().unwrap(), line["text"].as_str().unwrap())).collect();
    assert_eq!(
        said,
        [
            ("note", "broadcast e-1 to cluster prod (account 111122223333, region us-east-1)"),
            ("error", "2 of 6 containers were not notified")
        ]
    );
}

#[test]
fn quiet_leaves_the_events_and_none_leaves_nothing() {
    let sim = Sim::start(FLEET);
    let quiet = sim.notifier("send -c prod --allow-skips --progress json --quiet").run();
    let (events, said) = parted(&quiet);
    legal(&events);
    assert!(said.is_empty(), "{quiet}");
    let none = sim.notifier("send -c prod --allow-skips --progress none --quiet").run();
    assert_eq!((none.code, none.stderr.as_str()), (0, ""));
    let wrong = sim.notifier("send -c prod --progress loud").run();
    assert_eq!(wrong.code, 2, "{wrong}");
}

#[test]
fn the_demo_reports_the_events_of_a_whole_pipeline() {
    let run = notifier("demo --services 1 --tasks 2 --progress json --quiet").run();
    assert_eq!(run.code, 0, "{run}");
    legal(&parted(&run).0);
}

#[test]
fn a_wait_on_a_ledger_reports_counts() {
    let pipeline =
        Pipeline::new(&fleet(&[service("work", 3, ""), service("audit", 1, "answers = [{ status = 403 }]")]));
    let _daemon = pipeline.serve("");
    let published = pipeline.notifier("publish -c prod --id b-1 --wait=90 --progress json").run();
    let waited = pipeline.notifier("report b-1 --wait=90 --progress json").run();
    for run in [published, waited] {
        assert_eq!(run.code, 1, "{run}");
        let (counts, said) = parted(&run);
        let last = counts.last().unwrap();
        assert_eq!((&last["kind"], &last["complete"]), (&"counts".into(), &true.into()), "{run}");
        assert_eq!(
            (&last["total"], &last["delivered"], &last["rejected"]),
            (&4.into(), &3.into(), &1.into())
        );
        assert!(counts.iter().rev().skip(1).all(|count| count["complete"] == false), "{run}");
        assert_eq!(said.last().unwrap()["text"], "1 of 4 containers was not notified");
        assert!(run.stdout.contains("what to do:"), "{run}");
    }
}
