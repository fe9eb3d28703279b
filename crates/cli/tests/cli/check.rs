//! `check`: good receivers pass, and each fault of a bad one is found and named.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use receiver::{Identity, Notification, Receiver, VerifyingKeys};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use wire::Envelope;
use wire::signature::SignatureHeaders;

use crate::support::{Running, notifier, redacted};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TASK: &str = "arn:aws:ecs:eu-west-1:111122223333:task/prod/0f3a";
/// Time limit for a bad receiver.
const PATIENCE: &str = "--timeout-ms 2000 --patience-ms 4000";

/// A service on loopback, until it is dropped.
struct Server {
    url: String,
    _runtime: Runtime,
}

fn serve(app: Router) -> Server {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/v1.0/notify", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, app).await });
    Server { url, _runtime: runtime }
}

/// The verdicts of a run that are not `good`, and the run's exit code.
fn faults(url: &str, flags: &str) -> (i32, Vec<String>) {
    let run = notifier(&format!("check {url} --secret env:KEY --format json --quiet {flags}"));
    let run = run.env("KEY", SECRET).run();
    let lines = run.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let not_good = lines.filter(|line| line["case"].is_string() && line["verdict"] != "good");
    (run.code, not_good.map(|line| line.get("case").unwrap().as_str().unwrap().to_owned()).collect())
}

#[test]
fn the_layer_is_a_good_receiver_and_runs_its_handler_once_for_each_event() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let events = Arc::clone(&events);
        async move |event: Notification| events.lock().unwrap().push(event.event().id().to_string())
    };
    let receiver = Receiver::builder(VerifyingKeys::parse(SECRET).unwrap(), Identity::task(TASK))
        .body_timeout(Duration::from_millis(500))
        .build();
    let server = serve(Router::new().route("/v1.0/notify", axum::routing::any(handler).layer(receiver)));
    let run =
        notifier(&format!("check {} --secret env:KEY --task {TASK}", server.url)).env("KEY", SECRET).run();
    let text = run.to_string().replace(&server.url, "URL");
    let _bound = redacted();
    insta::assert_snapshot!(text, @r#"
    exit 0
    --- stdout
    good  valid         202 Accepted in [time]: accepted
    good  replay        200 OK in [time]: already handled
    good  retry         200 OK in [time]: already handled
    good  rotation      202 Accepted in [time]: accepted
    good  forged        401 Unauthorized in [time]: no signature matches
    good  changed-body  401 Unauthorized in [time]: no signature matches
    good  changed-id    401 Unauthorized in [time]: no signature matches
    good  old           401 Unauthorized in [time]: the request was signed 600 s ago, which is longer than allowed
    good  future        401 Unauthorized in [time]: the request was signed 600 s in the future, which is further than allowed
    good  unsigned      400 Bad Request in [time]: header `webhook-id` is missing
    good  no-id         400 Bad Request in [time]: header `webhook-id` is missing
    good  no-timestamp  400 Bad Request in [time]: header `webhook-timestamp` is missing
    good  no-signature  400 Bad Request in [time]: header `webhook-signature` is missing
    good  wrong-task    421 Misdirected Request in [time]: the event is addressed to another task
    good  wrong-type    415 Unsupported Media Type in [time]: the body must be application/cloudevents+json
    good  malformed     400 Bad Request in [time]: not a CloudEvent: EOF while parsing a value at line 1 column 6
    good  wrong-method  405 Method Not Allowed in [time]: only POST is allowed
    good  bare-get      405 Method Not Allowed in [time]: only POST is allowed
    good  oversized     413 Payload Too Large in [time]: the body is larger than 1048576 bytes
    good  slow          408 Request Timeout in [time]: the body did not arrive within 500ms
    20 cases: 20 good, 0 bad
    --- stderr
    hint: the handler ran once for each accepted event, and not for repeats: its log shows the type com.ecs-task-notifier.check and ids with check-[uuid]
    "#);
    let events = events.lock().unwrap().clone();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events[0].ends_with("-valid") && events[1].ends_with("-rotation"), "{events:?}");
}

#[test]
fn a_private_key_checks_a_receiver_that_knows_the_public_one() {
    let pair = wire::signature::key_pair(&[7; 32]);
    let receiver = Receiver::builder(pair.public.parse().unwrap(), Identity::task(TASK))
        .body_timeout(Duration::from_millis(500))
        .build();
    let handler = async |_: Notification| ();
    let server = serve(Router::new().route("/v1.0/notify", axum::routing::any(handler).layer(receiver)));
    let check = format!("check {} --secret env:KEY --task {TASK}", server.url);
    let run = notifier(&check).env("KEY", &pair.private).run();
    assert_eq!(run.code, 0, "{run}");
    let run = notifier(&check).env("KEY", &pair.public).run();
    assert_eq!(run.code, 2, "{run}");
    assert!(run.stderr.contains("not a public key") && !run.stderr.contains(&pair.public), "{run}");
}

/// A fault of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    AnySignature,
    OtherBytes,
    SignatureIfPresent,
    NoAge,
    NoFuture,
    FirstSignature,
    AnyTask,
    GoneForOthers,
    AnyType,
    AnyMethod,
    Crash,
    NoLimit,
    WaitForEver,
    RefuseRepeats,
    Redirect,
    Silence,
    OwnTask,
}

/// A receiver with one fault and no other.
async fn faulty(State((fault, seen)): State<(Fault, Arc<Mutex<Vec<String>>>)>, request: Request) -> Response {
    let limit = if fault == Fault::NoLimit { usize::MAX } else { 1024 * 1024 };
    let (head, body) = request.into_parts();
    match fault {
        Fault::Redirect => return Redirect::temporary("http://127.0.0.1:1/").into_response(),
        Fault::Silence => std::future::pending::<()>().await,
        Fault::AnyMethod => {}
        _ if head.method != Method::POST => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        _ => {}
    }
    let header =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if fault != Fault::AnyType
        && !header("content-type").starts_with("application/cloudevents+json")
        && head.method != Method::GET
    {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let reading = axum::body::to_bytes(body, limit);
    let patience = Duration::from_secs(if fault == Fault::WaitForEver { 3600 } else { 1 });
    let body = match tokio::time::timeout(patience, reading).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    if head.method == Method::GET {
        return StatusCode::OK.into_response();
    }
    if let Err(status) = authentic(fault, header, &body) {
        return status.into_response();
    }
    let envelope: Envelope = match serde_json::from_slice(&body) {
        Ok(envelope) => envelope,
        Err(_) if fault == Fault::Crash => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    match envelope.audience.task.as_str() {
        _ if fault == Fault::AnyTask => {}
        TASK if fault != Fault::OwnTask => {}
        _ if fault == Fault::GoneForOthers => return StatusCode::GONE.into_response(),
        _ => return StatusCode::MISDIRECTED_REQUEST.into_response(),
    }
    let mut seen = seen.lock().unwrap();
    let repeat = seen.iter().any(|id| id == header("webhook-id"));
    seen.push(header("webhook-id").to_owned());
    if repeat && fault == Fault::RefuseRepeats { StatusCode::CONFLICT } else { StatusCode::ACCEPTED }
        .into_response()
}

fn authentic<'a>(fault: Fault, header: impl Fn(&str) -> &'a str, body: &[u8]) -> Result<(), StatusCode> {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let tolerance =
        Duration::from_secs(if fault == Fault::NoAge || fault == Fault::NoFuture { 100_000 } else { 300 });
    let (id, timestamp, signatures) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    if fault == Fault::SignatureIfPresent && signatures.is_empty() {
        return Ok(());
    }
    let signed = SignatureHeaders::parse(id, timestamp, signatures, now, tolerance)
        .map_err(|_| StatusCode::UNAUTHORIZED)?;
    let away = now - signed.timestamp();
    if (fault == Fault::NoAge && away < -300) || (fault == Fault::NoFuture && away > 300) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let first = signatures.split(' ').next().unwrap_or_default();
    let signed = match fault {
        Fault::FirstSignature => SignatureHeaders::parse(id, timestamp, first, now, tolerance).unwrap(),
        _ => signed,
    };
    let keys = VerifyingKeys::parse(SECRET).unwrap();
    let fine = match fault {
        Fault::AnySignature => true,
        // Verifies a re-serialised body instead of the raw bytes.
        Fault::OtherBytes => keys.verify(&signed, body).is_ok() || keys.verify(&signed, b"{}").is_ok(),
        _ => keys.verify(&signed, body).is_ok(),
    };
    if fine { Ok(()) } else { Err(StatusCode::UNAUTHORIZED) }
}

#[test]
fn each_fault_of_a_bad_receiver_is_found_and_named() {
    let everything: Vec<&str> = Vec::new();
    for (fault, expected) in [
        (Fault::AnySignature, vec!["forged", "changed-body", "changed-id", "no-signature"]),
        (Fault::OtherBytes, vec!["changed-body"]),
        (Fault::SignatureIfPresent, vec!["unsigned", "no-signature"]),
        (Fault::NoAge, vec!["old"]),
        (Fault::NoFuture, vec!["future"]),
        (Fault::FirstSignature, vec!["rotation"]),
        (Fault::AnyTask, vec!["wrong-task"]),
        (Fault::GoneForOthers, vec!["wrong-task"]),
        (Fault::AnyType, vec!["wrong-type"]),
        (Fault::AnyMethod, vec!["wrong-method", "bare-get"]),
        (Fault::Crash, vec!["malformed"]),
        (Fault::NoLimit, vec!["oversized"]),
        (Fault::WaitForEver, vec!["slow"]),
        (Fault::RefuseRepeats, vec!["replay", "retry"]),
        (Fault::OwnTask, vec!["valid", "replay", "retry", "rotation"]),
        (Fault::Redirect, everything.clone()),
    ] {
        let app = Router::new().fallback(faulty).with_state((fault, Arc::default()));
        let server = serve(app);
        let (code, found) = faults(&server.url, &format!("--task {TASK} {PATIENCE}"));
        assert_eq!(code, 1, "{fault:?}");
        if fault == Fault::Redirect {
            assert!(found.len() >= 19, "{found:?}");
        } else {
            assert_eq!(found, expected, "{fault:?}");
        }
    }
}

#[test]
fn a_receiver_that_never_answers_costs_its_limit_of_time() {
    let server = serve(Router::new().fallback(faulty).with_state((Fault::Silence, Arc::default())));
    let (code, found) = faults(&server.url, "--case valid --case forged --timeout-ms 200");
    assert_eq!((code, found), (1, vec!["valid".to_owned(), "forged".to_owned()]));
}

#[test]
fn wrong_answers_are_shown_with_the_expected_ones() {
    let server = serve(Router::new().fallback(faulty).with_state((Fault::AnySignature, Arc::default())));
    let check = format!("check {} --secret env:KEY --case valid --case forged --case wrong-task", server.url);
    let run = notifier(&check).env("KEY", SECRET).run();
    let _bound = redacted();
    insta::assert_snapshot!(run, @r#"
    exit 1
    --- stdout
    bad  valid       421 Misdirected Request in [time]
          sent: a signed event for this task
          a good receiver accepts it: 2xx; every event of a broadcast looks like this
    bad  forged      421 Misdirected Request in [time]
          sent: an event signed with an unknown key
          a good receiver refuses it: 401; otherwise anyone who reaches the port could send events
    -    wrong-task  not sent
    3 cases: 0 good, 2 bad, 1 not checked
    --- stderr
    warning: the case wrong-task was not sent: it needs the receiver's task, --task
    error: 2 cases were answered wrongly
    hint: the receiver only accepts events for its own task: pass its ARN with --task
    "#);
}

#[test]
fn wrong_use_and_no_connection_have_different_exit_codes() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (arguments, code, says) in [
        (format!("http://{nobody}/n --secret env:KEY"), 3, "error: cannot connect to 127.0.0.1:"),
        ("http://127.0.0.1:1/n --secret env:NONE".to_owned(), 2, "error: the key cannot be read"),
        (format!("http://127.0.0.1:1/n --secret {SECRET}"), 2, "error: --secret is not a reference"),
        ("127.0.0.1:1/n --secret env:KEY".to_owned(), 2, "error: the URL"),
        ("http://127.0.0.1:1/n --secret env:KEY --case none".to_owned(), 2, "error: invalid value 'none'"),
    ] {
        let run = notifier(&format!("check {arguments}")).env("KEY", SECRET).run();
        assert_eq!(run.code, code, "{run}");
        assert!(run.stderr.starts_with(says) && !format!("{run}").contains("MfKQ"), "{run}");
    }
}

fn repository(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    assert!(path.exists(), "{} is missing: run `make test-tools` first", path.display());
    path
}

/// An example receiver in another language, in a separate process; outside ECS, so that it accepts events for any task.
fn example(mut command: Command) -> (Running, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    command.env("NOTIFIER_VERIFYING_KEYS", SECRET).env("PORT", port.to_string());
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let running = Running::spawn(command);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    for _ in 0..600 {
        if std::net::TcpStream::connect(address).is_ok() {
            return (running, format!("http://{address}/v1.0/notify"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the example does not listen at {address}");
}

#[test]
fn the_python_example_is_a_good_receiver() {
    let mut python = Command::new(repository(".venv/bin/python"));
    python.arg(repository("examples/receivers/python/receiver.py"));
    let (_running, url) = example(python);
    assert_eq!(faults(&url, "--patience-ms 20000"), (0, vec!["wrong-task".to_owned()]));
}

#[test]
fn the_javascript_example_is_a_good_receiver() {
    repository("examples/receivers/node/node_modules");
    let mut node = Command::new("node");
    node.arg(repository("examples/receivers/node/receiver.mjs"));
    let (_running, url) = example(node);
    assert_eq!(faults(&url, "--patience-ms 20000"), (0, vec!["wrong-task".to_owned()]));
}
