//! `/metrics` of a running daemon, judged by Prometheus's own parser and linter.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::python;

use crate::pipeline::{Pipeline, fleet, json, service};
use crate::support::{http, until};

/// The body of `/metrics`.
fn metrics(address: &str) -> String {
    if TcpStream::connect(address).is_err() {
        return String::new();
    }
    let answer =
        http(address, &format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    body.to_owned()
}

/// The text as Prometheus's Python parser reads it.
fn parsed(text: &str) -> Value {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    serde_json::from_str(&runtime.block_on(python::answer("metrics.py", &[], text))).unwrap()
}

/// The value of the sample with this name whose labels have all of these values.
fn value(families: &Value, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let samples =
        families.as_object().unwrap().values().flat_map(|family| family["samples"].as_array().unwrap());
    let is_it = |sample: &&Value| {
        sample[0] == name && labels.iter().all(|(label, value)| sample[1][*label] == *value)
    };
    samples.into_iter().find(is_it).map(|sample| sample[2].as_f64().unwrap())
}

/// What `promtool check metrics` says; `None` where it is not installed.
fn promtool(text: &str) -> Option<String> {
    let program = python::interpreter().with_file_name("promtool");
    if !Path::new(&program).exists() {
        return None;
    }
    let mut process = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some(format!("{} {}", output.status.success(), String::from_utf8(said).unwrap()))
}

#[test]
fn the_metrics_of_a_daemon_count_a_broadcast_and_pass_prometheuss_own_checks() {
    let services = [
        service("accepts", 3, ""),
        service("refuses", 1, "answers = [{ status = 403 }]"),
        service("recovers", 1, "answers = [{ status = 503 }, { status = 200 }]"),
    ];
    let pipeline = Pipeline::new(&fleet(&services));
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let serve =
        format!("serve --listen {listen} --log-format json --log-level debug --metrics-services true");
    let daemon = pipeline.notifier(&serve).start();
    until("it answers", || !metrics(&listen).is_empty());
    let published = pipeline.notifier("publish -c prod --id b-1").run();
    assert_eq!(published.code, 0, "{published}");

    let delivered =
        |service: &str, outcome: &str| [("service", service.to_owned()), ("outcome", outcome.to_owned())];
    let count = |families: &Value, service: &str, outcome: &str| {
        let labels = delivered(service, outcome);
        let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        value(families, "ecs_task_notifier_deliveries_total", &labels)
    };
    let mut text = String::new();
    until("the broadcast and the queues are counted", || {
        text = metrics(&listen);
        text.contains("ecs_task_notifier_broadcast_duration_seconds_count 1")
            && text.contains("state=\"dead_letter\"")
    });
    let families = parsed(&text);
    assert_eq!(count(&families, "accepts", "delivered"), Some(3.0));
    assert_eq!(count(&families, "accepts", "failed"), Some(0.0));
    assert_eq!(count(&families, "refuses", "rejected"), Some(1.0));
    assert_eq!(count(&families, "recovers", "delivered"), Some(1.0));
    let of = |name: &str, labels: &[(&str, &str)]| value(&families, name, labels);
    assert_eq!(of("ecs_task_notifier_attempts_total", &[("result", "accepted")]), Some(4.0));
    assert_eq!(of("ecs_task_notifier_attempts_total", &[("result", "answered")]), Some(2.0));
    assert_eq!(of("ecs_task_notifier_attempt_duration_seconds_count", &[]), Some(6.0));
    assert_eq!(of("ecs_task_notifier_delivery_age_seconds_count", &[]), Some(5.0));
    let calls = of("ecs_task_notifier_aws_calls_total", &[("operation", "ListTasks"), ("result", "ok")]);
    assert!(calls > Some(0.0), "{calls:?}");
    assert!(of("ecs_task_notifier_ledger_writes_total", &[("result", "ok")]) > Some(5.0));
    assert_eq!(of("ecs_task_notifier_ledger_writes_total", &[("result", "failed")]), Some(0.0));
    for listener in ["log", "collector"] {
        let missed = of("ecs_task_notifier_events_missed_total", &[("listener", listener)]);
        assert_eq!(missed, Some(0.0), "{listener}");
    }
    let dead =
        |queue: &str| of("ecs_task_notifier_queue_messages", &[("queue", queue), ("state", "dead_letter")]);
    // The rejected delivery, if SQS was asked after it.
    assert_eq!((dead("observer"), dead("services")), (Some(0.0), Some(0.0)));
    assert!(dead("tasks") <= Some(1.0) && dead("tasks").is_some(), "{text}");
    for queue in ["observer", "services", "tasks"] {
        assert!(of("ecs_task_notifier_queue_messages", &[("queue", queue), ("state", "visible")]).is_some());
    }
    assert_eq!(of("ecs_task_notifier_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));
    match promtool(&text) {
        Some(said) => assert_eq!(said, "true ", "{text}"),
        None => eprintln!("SKIPPED: no promtool: `make test-tools` installs it on Debian"),
    }

    documents_name(&families);

    let run = daemon.stop();
    let lines = json(&run.stderr);
    let last = lines.iter().find(|line| line["message"] == "Deliveries by outcome").expect("the last totals");
    assert_eq!((&last["delivered"], &last["rejected"]), (&4.into(), &1.into()), "{last}");
    has_one_trace(&lines);
}

/// The guide names every metric, and the dashboard shows every one and no other.
fn documents_name(families: &Value) {
    const GUIDE: &str = include_str!("../../../../docs/operate.md");
    const DASHBOARD: &str = include_str!("../../../../examples/grafana/dashboard.json");
    // The parser takes the ending off a counter's name.
    let whole = |(name, family): (&String, &Value)| {
        if family["type"] == "counter" { format!("{name}_total") } else { name.clone() }
    };
    let names: BTreeSet<String> = families.as_object().unwrap().iter().map(whole).collect();
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let expressions = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let words = expressions.flat_map(|target| {
        target["expr"].as_str().unwrap().split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
    });
    let shown = words.filter(|word| word.starts_with("ecs_task_notifier_"));
    let shown: BTreeSet<String> = shown.map(|word| word.trim_end_matches("_bucket").to_owned()).collect();
    assert_eq!(shown, names);
    for name in names {
        let short = name.replace("ecs_task_notifier_aws_budget", "…");
        assert!([name.clone(), short].iter().any(|name| GUIDE.contains(&format!("`{name}`"))), "{name}");
    }
}

/// Every line about the broadcast or one of its messages has the id of the same trace.
fn has_one_trace(lines: &[Value]) {
    let about = |line: &&Value| !line["broadcast"].is_null() || !line["message.id"].is_null();
    let traces: BTreeSet<_> = lines.iter().filter(about).map(|line| line["trace_id"].to_string()).collect();
    assert!(lines.iter().filter(about).count() > 8, "{lines:#?}");
    assert!(traces.len() == 1 && !traces.contains("null"), "{traces:?} in {lines:#?}");
}
