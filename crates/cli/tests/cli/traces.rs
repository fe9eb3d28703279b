//! The spans that a run exports, decoded by OpenTelemetry's own types in a collector.

use std::io::{BufRead as _, BufReader};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use testkit::python;

use crate::pipeline::{Pipeline, fleet, service};
use crate::support::{Running, Sim, answering, notifier, until};

const EVENT: &str =
    r#"{"id": "b-1", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ABOVE: &str = "00f067aa0ba902b7";

/// A collector of the reference library. It ends with the test.
struct Collector {
    url: String,
    requests: Arc<Mutex<Vec<Value>>>,
    _process: Running,
}

impl Collector {
    /// Answers the first requests with these statuses.
    fn start(statuses: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/testkit/python/collector.py");
        let mut command = Command::new(python::interpreter());
        command.arg(script).args(statuses).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Running::spawn(command);
        let url = format!("http://127.0.0.1:{}", process.line());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (all, stdout) = (Arc::clone(&requests), process.child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in BufReader::<ChildStdout>::new(stdout).lines() {
                all.lock().unwrap().push(serde_json::from_str(&line.unwrap()).unwrap());
            }
        });
        Self { url, requests, _process: process }
    }

    fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }

    /// The spans of every request that was accepted.
    fn spans(&self) -> Vec<Value> {
        let requests = self.requests().into_iter().filter(|request| request["status"] == 200);
        requests.flat_map(|request| request["spans"].as_array().unwrap().clone()).collect()
    }
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

/// The only one.
fn one<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let all = named(spans, name);
    assert_eq!(all.len(), 1, "{name}: {spans:#?}");
    all[0]
}

#[test]
fn a_published_broadcast_is_one_trace_from_its_event_to_each_request() {
    let services = [
        service("accepts", 1, ""),
        service("refuses", 1, "answers = [{ status = 403 }]"),
        service("recovers", 1, "answers = [{ status = 503 }, { status = 200 }]"),
    ];
    let (pipeline, collector) = (Pipeline::new(&fleet(&services)), Collector::start(&[]));
    let daemon = pipeline.serve(&format!("--otlp-endpoint {} --otlp-sample-one-in 1", collector.url));
    let run = pipeline.notifier("publish -c prod --wait=90 --format json --event -").stdin(EVENT).run();
    assert_eq!(run.code, 1, "{run}");
    daemon.stop();
    // One of stage 1 with its send, two of each service in stage 2, one of each task in stage 3, and four requests.
    until("every span has come", || collector.spans().len() == 2 + 6 + 3 + 4);
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span["trace"] == TRACE), "{spans:#?}");

    let observer = one(&spans, "process observer");
    assert_eq!((&observer["kind"], &observer["parent"]), (&json!("SPAN_KIND_CONSUMER"), &json!(ABOVE)));
    assert_eq!(observer["links"], json!([{"trace": TRACE, "id": ABOVE, "flags": 0x301}]));
    assert_eq!((&observer["status"], &observer["flags"]), (&json!("STATUS_CODE_UNSET"), &json!(0x301)));
    let attributes = &observer["attributes"];
    assert!(attributes["messaging.message.id"].is_string(), "{attributes}");
    let sent = one(&spans, "send services");
    assert_eq!((&sent["kind"], &sent["parent"]), (&json!("SPAN_KIND_CLIENT"), &observer["id"]));
    assert_eq!(
        sent["attributes"],
        json!({
            "messaging.system": "aws_sqs",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": "services",
            "messaging.batch.message_count": 3,
            "aws.sqs.queue.url": pipeline.queue_url("services"),
        })
    );
    let parts = named(&spans, "process services");
    assert!(parts.len() == 3 && parts.iter().all(|span| span["parent"] == observer["id"]), "{spans:#?}");

    let attempts = named(&spans, "POST");
    assert_eq!(attempts.len(), 4, "{spans:#?}");
    let works = named(&spans, "process tasks");
    assert_eq!(works.len(), 3, "{spans:#?}");
    for received in pipeline.received() {
        let header = received.header("traceparent").unwrap();
        let attempt =
            attempts.iter().find(|span| header == format!("00-{TRACE}-{}-01", span["id"].as_str().unwrap()));
        let attempt = attempt.unwrap_or_else(|| panic!("{header} is the id of a span in {spans:#?}"));
        let work =
            works.iter().find(|work| work["id"] == attempt["parent"]).expect("the work on its message");
        assert!(parts.iter().any(|part| part["id"] == work["parent"]), "{work}");
        assert_eq!((&attempt["kind"], &attempt["flags"]), (&json!("SPAN_KIND_CLIENT"), &json!(0x101)));
        let (start, took) = (attempt["start"].as_u64(), attempt["nanoseconds"].as_i64());
        assert!(start >= work["start"].as_u64() && took > Some(0) && took <= work["nanoseconds"].as_i64());
        is_request(attempt, work, &received);
    }
}

/// The attributes of an attempt are those of its request, and those of its failure.
fn is_request(attempt: &Value, work: &Value, received: &simulator::Received) {
    let (status, attributes) = (received.status.unwrap(), &attempt["attributes"]);
    assert_eq!(attributes["http.request.method"], "POST");
    assert_eq!(attributes["server.address"], received.address.ip().to_string());
    assert_eq!(attributes["server.port"], received.address.port());
    assert_eq!(attributes["url.full"], format!("http://{}/notify", received.address));
    assert_eq!(attributes["http.response.status_code"], status);
    assert_eq!(attributes["ecs_task_notifier.task"], received.task);
    assert_eq!(attributes["ecs_task_notifier.broadcast"], "b-1");
    let is_failed = status >= 400;
    let expected = if is_failed { "STATUS_CODE_ERROR" } else { "STATUS_CODE_UNSET" };
    assert_eq!(attempt["status"], expected, "{attempt}");
    assert_eq!(attributes.get("error.type"), is_failed.then(|| json!(status.to_string())).as_ref());
    let is_repeated = received.service.as_deref() == Some("recovers") && status == 200;
    assert_eq!(attributes.get("http.request.resend_count"), is_repeated.then(|| json!(1)).as_ref());
    assert_eq!(work["status"] == "STATUS_CODE_ERROR", status == 403, "{work}");
}

#[test]
fn failures_are_exported_with_the_span_above_them_and_no_other_span() {
    let services = [
        service("accepts", 5, ""),
        service("refuses", 1, "answers = [{ status = 403, body = \"no\" }]"),
        service("silent", 1, "answers = [{ hang = true }]"),
    ];
    let sim = Sim::start(&fleet(&services));
    // The first request is refused for now, and repeated.
    let collector = Collector::start(&["503"]);
    let send = format!(
        "send -c prod --event - --attempts 1 --timeout-ms 3000 --otlp-endpoint {} --otlp-headers env:KEY \
         --otlp-sample-one-in 1000000",
        collector.url
    );
    let run = sim.notifier(&send).stdin(EVENT).env("KEY", "authorization: Bearer key-1").run();
    assert_eq!(run.code, 1, "{run}");
    until("both requests have come", || collector.requests().len() == 2);
    let requests = collector.requests();
    assert_eq!(requests[0]["spans"], requests[1]["spans"], "the same request again");
    let request = &requests[1];
    assert_eq!(
        (&request["path"], &request["headers"]["authorization"]),
        (&json!("/v1/traces"), &json!("Bearer key-1"))
    );
    assert_eq!(request["headers"]["content-type"], "application/x-protobuf");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(request["resource"], json!({"service.name": "ecs-task-notifier", "service.version": version}));
    assert_eq!(request["scope"], json!(["ecs-task-notifier", version]));

    let spans = collector.spans();
    let broadcast = one(&spans, "broadcast");
    assert_eq!((&broadcast["parent"], &broadcast["kind"]), (&json!(ABOVE), &json!("SPAN_KIND_INTERNAL")));
    assert_eq!(broadcast["why"], "5 of 7 containers were notified");
    let attempts = named(&spans, "POST");
    assert_eq!((spans.len(), attempts.len()), (3, 2), "{spans:#?}");
    assert!(attempts.iter().all(|span| span["parent"] == broadcast["id"] && span["trace"] == TRACE));
    let kinds: Vec<_> = attempts.iter().map(|span| &span["attributes"]["error.type"]).collect();
    assert!(kinds.contains(&&json!("403")) && kinds.contains(&&json!("timed-out")), "{kinds:?}");
    let silent = attempts.iter().find(|span| span["attributes"]["error.type"] == "timed-out").unwrap();
    assert!(silent["why"].as_str().unwrap().contains("3s"), "{silent}");
}

#[test]
fn a_trace_that_nobody_decided_about_is_sampled_as_this_process_samples() {
    let sim = Pipeline::new(&fleet(&[service("accepts", 2, "")]));
    let collector = Collector::start(&[]);
    let flags = |more: &str| {
        let before = sim.received().len();
        let run = sim.notifier(&format!("send -c prod {more}")).run();
        assert_eq!(run.code, 0, "{run}");
        let received = sim.received().into_iter().skip(before);
        let ends =
            received.map(|one| one.header("traceparent").unwrap().rsplit('-').next().unwrap().to_owned());
        ends.collect::<Vec<_>>()
    };
    assert_eq!(flags(""), ["00", "00"], "no collector: the default of the specification");
    assert_eq!(flags(&format!("--otlp-endpoint {} --otlp-sample-one-in 1", collector.url)), ["01", "01"]);
}

#[test]
fn an_unreachable_collector_delays_no_delivery_and_changes_no_result() {
    let sim = Sim::start(&answering(""));
    // Port 9 of loopback, where nothing listens.
    let run = sim.notifier("send -c prod --otlp-endpoint http://127.0.0.1:9 --otlp-sample-one-in 1").run();
    assert_eq!(run.code, 0, "{run}");
    assert!(run.stdout.contains("2 of 2 notified"), "{run}");
    assert!(run.stderr.contains("The collector"), "{run}");
}

#[test]
fn the_settings_of_a_collector_are_checked_before_anything_is_called() {
    for (flags, says) in [
        ("--otlp-endpoint 127.0.0.1:4318", "is not the URL of an OTLP collector"),
        ("--otlp-endpoint grpc://127.0.0.1:4317", "is not the URL of an OTLP collector"),
        ("--otlp-endpoint https://key@collector.example.com", "must not have a user name or password"),
        ("--otlp-endpoint https://collector.example.com/?key=1", "must not have a query or a fragment"),
        (
            "--otlp-endpoint http://collector.example.com --otlp-headers env:KEY",
            "would be sent in clear text",
        ),
        (
            "--otlp-endpoint http://127.0.0.1:9 --otlp-headers env:NONE",
            "the headers for the collector cannot be read",
        ),
        ("--otlp-sample-one-in 0", "is not a whole number from 1 to 1000000"),
    ] {
        let run =
            notifier(&format!("send -c prod {flags}")).at("http://127.0.0.1:9").env("KEY", "a: b").run();
        assert_eq!(run.code, 2, "{flags}: {run}");
        assert!(run.stderr.contains(says) && !run.stderr.contains("key@"), "{flags}: {run}");
    }
}
