//! Requests of attackers to a receiver: headers and bodies.

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use receiver::{Identity, Notification, Receiver, ReceiverService, on_event};
use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;
use tower_service::Service;
use wire::signature::{SignatureHeaders, TOLERANCE, VerifyingKeys};

use crate::parsers::wrong;

/// The published vector of Standard Webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = r#"{"test": 2432232314}"#;
const NOW: i64 = 1_614_265_330;

#[expect(clippy::expect_used, reason = "the published vector")]
static KEYS: LazyLock<VerifyingKeys> = LazyLock::new(|| VerifyingKeys::parse(SECRET).expect("a key"));

/// The three headers, one a line: id, timestamp, signatures. The body is that of the published vector.
pub(crate) fn signature(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (id, timestamp, signatures) = (line(), line(), line());
    let verdict = SignatureHeaders::parse(id, timestamp, signatures, NOW, TOLERANCE)
        .and_then(|signed| KEYS.verify(&signed, BODY.as_bytes()));
    match verdict {
        Ok(()) => {
            // The only signed triple.
            assert_eq!((id, timestamp), ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"));
            "accepted".to_owned()
        }
        Err(error) => wrong(&error),
    }
}

type Handler = fn(Notification) -> std::future::Ready<Result<(), &'static str>>;

/// A whole request, as text: method, headers one a line, an empty line, the body.
pub(crate) fn request(bytes: &[u8]) -> String {
    let split = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(bytes.len());
    let (head, body) = bytes.split_at(split);
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let mut request = Request::builder().method(lines.next().unwrap_or_default()).uri("/notify");
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        request = request.header(name, value);
    }
    let body = Bytes::copy_from_slice(body.get(2..).unwrap_or_default());
    let Ok(request) = request.body(Full::new(body)) else { return "not HTTP".to_owned() };
    let (status, handled) = send(request);
    // No input has a valid signature of an envelope, so the receiver must refuse each.
    assert!(!handled && (status.is_client_error() || status.is_server_error()), "{status}");
    status.to_string()
}

#[expect(clippy::expect_used, reason = "a runtime of this machine")]
fn send(request: Request<Full<Bytes>>) -> (StatusCode, bool) {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));
    let handle: Handler = |_| panic!("an unsigned request reached the handler");
    let receiver = Receiver::builder(KEYS.clone(), Identity::task("arn:aws:ecs:eu-west-1:1:task/prod/a"))
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs()))
        .build();
    let mut service: ReceiverService<_> = receiver.layer(on_event(handle));
    let answer: Response<_> = RUNTIME.block_on(service.call(request)).expect("an answer");
    (answer.status(), answer.status().is_success())
}
