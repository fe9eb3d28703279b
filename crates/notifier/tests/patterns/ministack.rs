//! MiniStack's `TestEventPattern`, over a few connections that stay open.

use serde_json::{Value, json};
use testkit::boto::ministack;
use testkit::emulator::Emulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connections at the same time. MiniStack is one process.
const CONNECTIONS: usize = 4;

/// Requests of one connection. MiniStack's server closes it after 1,000.
const REQUESTS_MAX: usize = 500;

/// What is decided about a pattern and an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Matches,
    Differs,
    Invalid,
}

/// A running MiniStack.
pub(crate) struct Judge(Emulator);

impl Judge {
    pub(crate) async fn start() -> Self {
        Self(ministack(false).await)
    }

    /// The answer for each pattern and event.
    pub(crate) async fn ask(&self, pairs: &[(String, String)]) -> Vec<Answer> {
        let address = self.0.url.trim_start_matches("http://").to_owned();
        let share = pairs.len().div_ceil(CONNECTIONS).max(1);
        let lanes = pairs.chunks(share).map(|pairs| lane(address.clone(), pairs.to_vec()));
        let lanes: Vec<_> = lanes.map(tokio::spawn).collect();
        let mut answers = Vec::new();
        for lane in lanes {
            answers.extend(lane.await.unwrap());
        }
        answers
    }
}

async fn lane(address: String, pairs: Vec<(String, String)>) -> Vec<Answer> {
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let mut answers = Vec::with_capacity(pairs.len());
    for (pattern, event) in pairs {
        if answers.len() % REQUESTS_MAX == REQUESTS_MAX - 1 {
            stream = TcpStream::connect(&address).await.unwrap();
        }
        let body = json!({ "EventPattern": pattern, "Event": event }).to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {address}\r\nX-Amz-Target: AWSEvents.TestEventPattern\r\n\
             Content-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/events/aws4_request, SignedHeaders=host, \
             Signature=x\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let (status, answer) = response(&mut stream).await;
        let invalid =
            answer["__type"].as_str().is_some_and(|kind| kind.ends_with("InvalidEventPatternException"));
        answers.push(match (status, answer["Result"].as_bool()) {
            (200, Some(true)) => Answer::Matches,
            (200, Some(false)) => Answer::Differs,
            (400, None) if invalid => Answer::Invalid,
            other => panic!("{pattern} and {event}: {other:?} {answer}"),
        });
    }
    answers
}

/// Reads one response: its status and its body.
async fn response(stream: &mut TcpStream) -> (u16, Value) {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
            let length: usize = length.trim().parse().unwrap();
            let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
            if bytes.len() >= end + 4 + length {
                return (status, serde_json::from_slice(&bytes[end + 4..]).unwrap());
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "MiniStack closed the connection");
    }
}
