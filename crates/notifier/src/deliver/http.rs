//! One attempt: one connection, one request, one answer, all of it bounded.
//!
//! A connection is never kept: every task has its own address, so a pool would hold a socket per task and use none of
//! them again. That is why this drives hyper's connection itself: a client with a pool costs more than twice the CPU and
//! runs out of files (`docs/performance.md`). No redirects, no proxies, no names to resolve.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Fuse, FusedFuture};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_util::either::Either;

use super::DeliveryOptions;
use super::answer::AnswerReader;
use super::error::AttemptError;
use super::response::{self, Then};
use super::tls::Secured;
use crate::model::Outcome;

/// The most bytes of an answer's status line and headers together. hyper bounds their number too, at 100.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Sends the request to this address, over TLS if so `secured`, and reads the answer. Succeeds with a status that means
/// "delivered".
///
/// With a `cut_off`, the attempt ends there at the latest. The status alone decides: a body that never ends, breaks or
/// comes too late takes nothing back from it. For a question, the body is the answer: it has to be whole.
pub(super) async fn exchange(
    address: SocketAddr,
    secured: Option<Secured>,
    request: Request<Full<Bytes>>,
    options: &DeliveryOptions,
    cut_off: Option<Instant>,
    now: SystemTime,
    answer: Option<&mut AnswerReader>,
) -> Result<StatusCode, AttemptError> {
    let started = Instant::now();
    let in_time = |limit: Duration, late: AttemptError| {
        let end = started + limit;
        match cut_off {
            Some(cut_off) if cut_off < end => (cut_off, AttemptError::CutOff),
            _ => (end, late),
        }
    };
    let connect_limit = options.connect_timeout.min(options.timeout);
    let (end, late) = in_time(connect_limit, AttemptError::ConnectTimedOut(connect_limit));
    let is_secured = secured.is_some();
    let connecting = async {
        let stream = connect(address).await?;
        Ok::<_, AttemptError>(match secured {
            None => Either::Left(stream),
            // On the heap: attempts without TLS, which are most, stay small.
            Some(secured) => Either::Right(Box::new(Box::pin(secured.handshake(stream)).await?)),
        })
    };
    let stream = timeout_at(end, connecting).await.map_err(|_| late)??;
    let in_time = || in_time(options.timeout, AttemptError::TimedOut(options.timeout));
    let (end, late) = in_time();
    let (mut sender, mut connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(AttemptError::Broken)?;
    let connection = poll_fn(|cx| {
        // TLS sends its closing alert (`close_notify`) at the end; else the socket is dropped, and the kernel closes it.
        if is_secured { connection.poll_unpin(cx) } else { connection.poll_without_shutdown(cx) }
    });
    let mut connection = pin!(connection.fuse());
    let secrets: Vec<_> = request.headers().values().filter(|value| value.is_sensitive()).cloned().collect();
    let response = timeout_at(end, drive(connection.as_mut(), sender.send_request(request)))
        .await
        .map_err(|_| late)?
        .map_err(
            |error| if error.is_parse() { AttemptError::NotHttp(error) } else { AttemptError::Broken(error) },
        )?;

    let (head, body) = response.into_parts();
    let meaning = response::meaning(head.status, &head.headers, now);
    if let (Then::Settle(Outcome::Delivered), Some(answer)) = (meaning, answer) {
        let reading = timeout_at(end, drive(connection, answer.read(body))).await;
        reading.map_err(|_| in_time().1)?.map_err(AttemptError::Broken)?;
        answer.finish(&secrets);
        return Ok(head.status);
    }
    let mut text = Vec::new();
    let reading = drive(connection, read(body, options.answer_bytes_max, &mut text));
    // Whatever was read until then is what there is to show.
    let _ = timeout_at(end, reading).await;
    match meaning {
        Then::Settle(Outcome::Delivered) => Ok(head.status),
        then => {
            let text = response::shown(response::without(&text, &secrets).as_bytes());
            Err(AttemptError::Answered { status: head.status, then, text })
        }
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, AttemptError> {
    let stream = TcpStream::connect(address).await.map_err(|error| {
        if is_local(&error) { AttemptError::Local(error) } else { AttemptError::Unreachable(error) }
    })?;
    // Head and body may be two writes: the second must not wait for the first to be acknowledged.
    stream.set_nodelay(true).map_err(AttemptError::Unreachable)?;
    Ok(stream)
}

/// Whether the error is about this machine: no files (`EMFILE`, `ENFILE`), memory or ports left, or not permitted.
fn is_local(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL | Errno::PERM)
    )
}

/// Does `work`, for which the connection must be kept going meanwhile.
async fn drive<T>(
    mut connection: Pin<&mut Fuse<impl Future<Output = hyper::Result<()>>>>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    if !connection.is_terminated() {
        tokio::select! {
            biased;
            done = &mut work => return done,
            // Its error, if there is one, reaches `work` too.
            _ = &mut connection => {}
        }
    }
    work.await
}

/// Reads a body into `text` until it ends, breaks, or has had this many bytes.
pub(super) async fn read(mut body: Incoming, bytes_max: usize, text: &mut Vec<u8>) -> hyper::Result<()> {
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = bytes_max - text.len();
        text.extend(data.iter().take(room));
        if data.len() >= room {
            break;
        }
    }
    Ok(())
}
