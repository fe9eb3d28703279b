//! One request to the receiver under test: no redirects, no proxies, and a limit for every wait and read.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, USER_AGENT};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use notifier::deliver::shown;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::receiver::Receiver;
use super::sender::Probe;
use super::verdict::Reaction;

/// The most bytes of an answer's status line and headers together.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of an answer's body that are read.
const TEXT_BYTES_MAX: usize = 4 * 1024;
const AGENT: &str = concat!("ecs-task-notifier-check/", env!("CARGO_PKG_VERSION"));

impl Receiver {
    /// Connects to the first address that accepts.
    pub(super) async fn connect(&self, limit: Duration) -> io::Result<TcpStream> {
        let connecting = timeout(limit, TcpStream::connect(self.addresses.as_slice()));
        let stream = connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Sends a request, and waits for the answer until `limit`. Also returns the time that it took.
    pub(super) async fn send(&self, probe: Probe, limit: Duration) -> (Reaction, Duration) {
        let started = Instant::now();
        let reaction = match self.connect(limit).await {
            Err(error) => Reaction::Unreachable(error.to_string()),
            Ok(stream) => {
                let answered = timeout_at(started + limit, self.exchange(stream, probe));
                answered.await.unwrap_or(Reaction::Nothing(limit))
            }
        };
        (reaction, started.elapsed())
    }

    async fn exchange(&self, stream: TcpStream, probe: Probe) -> Reaction {
        let Some(request) = self.request(probe) else { return Reaction::NotHttp };
        let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
        let Ok((mut sender, connection)) = handshake.await else { return Reaction::HungUp };
        let exchange = async {
            match sender.send_request(request).await {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    Reaction::Answered { status: head.status, text: shown(&read(body).await) }
                }
                Err(error) if error.is_parse() => Reaction::NotHttp,
                Err(_) => Reaction::HungUp,
            }
        };
        let (mut exchange, mut connection) = (pin!(exchange), pin!(connection));
        tokio::select! {
            biased;
            reaction = &mut exchange => return reaction,
            _ = &mut connection => {}
        }
        // The connection has ended, and the exchange has its result.
        exchange.await
    }

    /// `None` cannot happen: every part has been checked.
    fn request(&self, probe: Probe) -> Option<Request<Paced>> {
        let Probe { method, headers, body, halts } = probe;
        let mut request = Request::builder().method(method).uri(self.path.clone());
        request = request.header(HOST, &self.authority).header(USER_AGENT, AGENT).header(CONNECTION, "close");
        if !body.is_empty() {
            request = request.header(CONTENT_LENGTH, body.len());
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(Paced::new(body, halts)).ok()
    }
}

/// The start of a body, also of one that breaks off.
async fn read(mut body: Incoming) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < TEXT_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        text.extend(frame.into_data().unwrap_or_default().iter().take(TEXT_BYTES_MAX - text.len()));
    }
    text
}

/// A body that is sent at once, or whose second half is never sent.
struct Paced {
    now: Bytes,
    never: bool,
}

impl Paced {
    fn new(mut body: Bytes, halts: bool) -> Self {
        if halts {
            body.truncate(body.len() / 2);
        }
        Self { now: body, never: halts }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let now = std::mem::take(&mut self.now);
        match (now.is_empty(), self.never) {
            (false, _) => Poll::Ready(Some(Ok(Frame::data(now)))),
            // Nothing wakes this body; the wait for the answer has a time limit.
            (true, true) => Poll::Pending,
            (true, false) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.now.is_empty() && !self.never
    }
}
