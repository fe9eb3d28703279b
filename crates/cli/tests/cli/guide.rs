//! Checks that docs/receivers.md is enough to write a receiver, and that the commands and files in CONTRIBUTING.md exist.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::Duration;

use wire::signature::{SignatureHeaders, SigningKeys, TOLERANCE, VerifyingKeys};

use crate::support::notifier;

const GUIDE: &str = include_str!("../../../../docs/receivers.md");
const EXAMPLE: &str = include_str!("../../../../examples/receivers/python/plain.py");
const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TASK: &str = "arn:aws:ecs:eu-west-1:111122223333:task/prod/0f3a";
/// Time limit to start Python on a busy machine.
const START_TRIES: u32 = 600;

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    GUIDE.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A fake task metadata endpoint.
fn metadata() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/v4", listener.local_addr().unwrap());
    thread::spawn(move || {
        let body = format!(r#"{{"TaskARN":"{TASK}"}}"#);
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    uri
}

fn start(program: &Path, port: u16) -> Running {
    let mut python = Command::new("python3");
    python.arg("-B").arg(program).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    python.env("NOTIFIER_VERIFYING_KEYS", KEY).env("PORT", port.to_string());
    let running = Running(python.env("ECS_CONTAINER_METADATA_URI_V4", metadata()).spawn().unwrap());
    for _ in 0..START_TRIES {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return running;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("{} does not listen", program.display());
}

#[test]
fn a_receiver_copied_from_the_page_passes_every_case_of_check() {
    let [code] = blocks("python")[..] else { panic!("the page has one program") };
    assert_eq!(code, EXAMPLE, "the page and examples/receivers/python/plain.py differ");
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("receiver.py");
    std::fs::write(&program, code).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _running = start(&program, port);
    let check = format!("check http://127.0.0.1:{port}/v1.0/notify --secret env:KEY --task {TASK}");
    let run = notifier(&check).env("KEY", KEY).run();
    assert_eq!(run.code, 0, "{run}");
    assert!(run.stdout.contains("20 cases: 20 good, 0 bad"), "{run}");
}

#[test]
fn the_test_vectors_of_the_page_are_signed_and_accepted() {
    let vectors = blocks("vector");
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let field = |name: &str| {
            let line = vector.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {vector}")).trim_start()
        };
        let (secret, id, at) = (field("secret"), field("id"), field("timestamp"));
        let (body, signature) = (field("body"), field("signature"));
        let seconds: i64 = at.parse().unwrap();
        assert_eq!(SigningKeys::parse(secret).unwrap().sign(id, seconds, body.as_bytes()), signature);
        let signed = SignatureHeaders::parse(id, at, signature, seconds, TOLERANCE).unwrap();
        VerifyingKeys::parse(secret).unwrap().verify(&signed, body.as_bytes()).unwrap();
    }
    let ours: serde_json::Value = serde_json::from_str(
        blocks("vector")[1].split_once("body").unwrap().1.lines().next().unwrap().trim(),
    )
    .unwrap();
    assert!(ours["ecstask"].is_string(), "the second vector is a notification: {ours}");
}

#[test]
fn what_the_page_for_contributors_names_exists() {
    let page = include_str!("../../../../CONTRIBUTING.md");
    let makefile = include_str!("../../../../Makefile");
    let name =
        |text: &'static str| text.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap();
    let targets: Vec<_> =
        page.split("`make ").skip(1).chain(page.split("$ make ").skip(1)).map(name).collect();
    assert!(targets.len() > 10, "{targets:?}");
    for target in targets {
        assert!(makefile.contains(&format!("\n{target}:")), "the Makefile has no `{target}`");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let spans = page.split('`').skip(1).step_by(2);
    let paths: Vec<_> = spans.filter(|span| span.contains('/') && !span.contains([' ', '*'])).collect();
    assert!(paths.len() > 8, "{paths:?}");
    for path in paths {
        assert!(root.join(path).exists(), "there is no {path}");
    }
}
