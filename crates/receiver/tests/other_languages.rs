//! The example receivers in Python and JavaScript, running, judged by real requests of ours: their answers must be those of
//! the layer. What they verify with are the reference libraries of Standard Webhooks, which nobody here wrote.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ecs_task_notifier_wire::headers::{WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use http::Method;
use support::{EventRequest, OTHER_SECRET, SECRET, Sent, TASK, sign, unix_now};
use testkit::ports;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};

/// Starting an interpreter on a busy machine.
const START_TRIES: u32 = 600;
/// How long a line of the log may take on a busy machine.
const LOG_MAX: Duration = Duration::from_secs(90);

fn repository(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    assert!(path.exists(), "{} is missing: run `make test-tools` first", path.display());
    path
}

/// A stand-in for the task metadata endpoint.
async fn metadata() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/v4", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let body = format!(r#"{{"TaskARN":"{TASK}"}}"#);
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    uri
}

/// A receiver that runs until this is dropped.
struct Running {
    port: u16,
    stdout: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

async fn start(mut command: Command) -> Running {
    let port = ports::free();
    let mut process = command
        .env("NOTIFIER_VERIFYING_KEYS", format!("{OTHER_SECRET} {SECRET}"))
        .env("ECS_CONTAINER_METADATA_URI_V4", metadata().await)
        .env("PORT", port.to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("VERSION", "v42")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let stdout = BufReader::new(process.stdout.take().unwrap()).lines();
    for _ in 0..START_TRIES {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Running { port, stdout, _process: process };
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{command:?} does not listen");
}

impl Sent {
    /// The head of the request.
    fn head(&self) -> String {
        let mut head =
            format!("{} /v1.0/notify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n", self.method);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "content-length: {}\r\n\r\n", self.body.len()).unwrap();
        head
    }
}

impl Running {
    async fn send(&self, sent: &Sent) -> u16 {
        let head = sent.head();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let body = sent.body.clone();
        // Beside the reading: a receiver need not read what it does not want before it answers.
        let writing = tokio::spawn(async move {
            let _ = writer.write_all(head.as_bytes()).await;
            let _ = writer.write_all(&body).await;
            writer
        });
        let mut start = [0; 12];
        reader.read_exact(&mut start).await.unwrap();
        writing.abort();
        String::from_utf8_lossy(&start).split(' ').nth(1).unwrap().parse().unwrap()
    }

    async fn judge(&self) {
        let now = unix_now();
        let ours = |broadcast: &str| EventRequest { at: now, ..EventRequest::of(broadcast) };
        let good = ours("1").sign();
        assert_eq!(self.send(&good).await, 202);
        assert_eq!(self.send(&good).await, 200, "a replay");
        assert_eq!(
            self.send(&EventRequest { at: now - 2, ..ours("1") }.sign()).await,
            200,
            "a later attempt"
        );
        let rotated = EventRequest { secret: format!("{OTHER_SECRET} {SECRET}"), ..ours("2") };
        assert_eq!(self.send(&rotated.sign()).await, 202, "two signatures");

        let unknown = "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB".to_owned();
        assert_eq!(self.send(&EventRequest { secret: unknown, ..ours("3") }.sign()).await, 401, "a forgery");
        assert_eq!(self.send(&EventRequest { at: now - 400, ..ours("3") }.sign()).await, 401, "an old one");
        assert_eq!(
            self.send(&EventRequest { at: now + 400, ..ours("3") }.sign()).await,
            401,
            "one of tomorrow"
        );
        for (header, value) in
            [(WEBHOOK_SIGNATURE, "nonsense"), (WEBHOOK_SIGNATURE, "v1,%"), (WEBHOOK_TIMESTAMP, "x")]
        {
            assert_eq!(self.send(&ours("3").sign().with(header, value)).await, 401, "{header}: {value}");
        }
        assert_eq!(self.send(&ours("3").sign().without(WEBHOOK_SIGNATURE)).await, 401);
        let elsewhere = EventRequest { task: format!("{TASK}b"), ..ours("3") };
        assert_eq!(self.send(&elsewhere.sign()).await, 421, "another task's");
        assert_eq!(self.send(&ours("3").sign().with("content-type", "text/plain")).await, 415);
        assert_eq!(self.send(&Sent { method: Method::GET, ..ours("3").sign() }).await, 405);
        let huge = sign(SECRET, "dlv_huge", now, Method::POST, vec![b' '; 1024 * 1024 + 1]);
        assert_eq!(self.send(&huge).await, 413);
        assert_eq!(self.send(&ours("3").sign()).await, 202, "and still ours");
        let expired = format!(
            r#"{{"specversion":"1.0","id":"q-0","source":"s","type":"t","question":true,"expirytime":"2026-01-01T00:00:00Z","ecstask":"{TASK}"}}"#
        );
        assert_eq!(
            self.send(&sign(SECRET, "dlv_expired", now, Method::POST, expired)).await,
            400,
            "an expired question"
        );
        for _attempt in 0..2 {
            let question = format!(
                r#"{{"specversion":"1.0","id":"q-1","source":"s","type":"t","question":true,"ecstask":"{TASK}"}}"#
            );
            let answer = self.ask(&sign(SECRET, "dlv_question", now, Method::POST, question)).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.0 200 "), "{answer}");
            assert!(answer.contains("\"version\"") && answer.contains("v42"), "{answer}");
        }
    }

    /// The whole answer to a question.
    async fn ask(&self, sent: &Sent) -> String {
        let (mut stream, head) = (TcpStream::connect(("127.0.0.1", self.port)).await.unwrap(), sent.head());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&sent.body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

/// The id of the trace in a header `traceparent`.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

impl Running {
    /// The line that the receiver logs about an event with this header `traceparent`.
    async fn logged(&mut self, broadcast: &str, traceparent: Option<&str>) -> String {
        let event = EventRequest { at: unix_now(), ..EventRequest::of(broadcast) }.sign();
        let event = match traceparent {
            Some(value) => event.with("traceparent", value),
            None => event,
        };
        assert_eq!(self.send(&event).await, 202);
        loop {
            let line = tokio::time::timeout(LOG_MAX, self.stdout.next_line()).await.unwrap();
            let line = line.unwrap().unwrap();
            if line.starts_with("trace_id=") {
                return line;
            }
        }
    }

    /// The log of an example names the trace of each request, and nothing that is no trace.
    async fn continues_the_trace(&mut self) {
        let line = self.logged("t-1", Some(&format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
        assert!(line.starts_with(&format!("trace_id={TRACE} com.")), "{line}");
        for (broadcast, wrong) in [("t-2", Some("00-forged line-00f067aa0ba902b7-01")), ("t-3", None)] {
            let line = self.logged(broadcast, wrong).await;
            assert!(line.starts_with("trace_id=- com."), "{line}");
        }
    }
}

/// An example, before it has seen any event.
async fn example(command: Command) {
    let mut running = start(command).await;
    running.continues_the_trace().await;
    running.judge().await;
}

#[tokio::test]
async fn the_python_example_answers_as_the_layer_does() {
    let mut python = Command::new(repository(".venv/bin/python"));
    python.arg(repository("examples/receivers/python/receiver.py"));
    example(python).await;
}

#[tokio::test]
async fn the_javascript_example_answers_as_the_layer_does() {
    repository("examples/receivers/node/node_modules");
    let mut node = Command::new("node");
    node.arg(repository("examples/receivers/node/receiver.mjs"));
    example(node).await;
}

#[tokio::test]
async fn the_receiver_of_the_guide_answers_as_the_layer_does() {
    let mut python = Command::new("python3");
    python.arg(repository("examples/receivers/python/plain.py"));
    example(python).await;
}

/// For a receiver that cannot be built here: started by hand-written means, judged by the same requests.
#[tokio::test]
#[ignore = "needs the command of a receiver in NOTIFIER_TEST_RECEIVER"]
async fn a_receiver_of_ones_own_answers_as_the_layer_does() {
    #[expect(clippy::disallowed_methods, reason = "how a test that is run by hand is told what to test")]
    let command =
        std::env::var("NOTIFIER_TEST_RECEIVER").expect("NOTIFIER_TEST_RECEIVER is the command to start");
    let mut words = command.split_whitespace();
    let mut receiver = Command::new(words.next().expect("a command"));
    receiver.args(words);
    start(receiver).await.judge().await;
}
