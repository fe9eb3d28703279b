//! HTTP/1.1 on a listener: the API server and every simulated container use it.
//!
//! Unlike a framework, it can break the protocol on purpose: reset a connection.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The largest request body that is read: SQS's limit for a batch (1 MiB), as JSON escapes it, with room to spare.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// Wait before the next accept if the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What happens to a request.
pub(crate) enum Reply {
    Answer(Response<ReplyBody>),
    /// The connection is reset.
    Reset,
}

/// A body in memory, or one made up while it is sent.
pub(crate) type ReplyBody = Either<Full<Bytes>, Filler>;

/// A body of spaces of a given length, which may claim to be longer.
pub(crate) struct Filler {
    left: u64,
    claimed: u64,
    /// What came before a broken claim was sent.
    is_flushed: bool,
}

impl Filler {
    pub(crate) fn new(bytes: u64, claimed: u64) -> Self {
        Self { left: bytes, claimed: claimed.max(bytes), is_flushed: false }
    }
}

impl Body for Filler {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const CHUNK: &[u8] = &[b' '; 16 << 10];
        if self.left == 0 {
            if self.claimed == 0 || self.is_flushed {
                return Poll::Ready(None);
            }
            // The server sends what it has when there is no more at the moment.
            self.is_flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut chunk = Bytes::from_static(CHUNK);
        chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= chunk.len() as u64;
        self.claimed -= chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.claimed == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.claimed)
    }
}

/// A body in memory.
pub(crate) fn full(body: impl Into<Bytes>) -> ReplyBody {
    Either::Left(Full::new(body.into()))
}

/// Serves until `stop`. Then connections get `grace` to finish their current request, and are dropped. The listener
/// comes last, so that it closes before `answer` is dropped even if nobody waits for the end.
pub(crate) async fn serve<A, F>(stop: CancellationToken, grace: Duration, answer: A, listener: TcpListener)
where
    A: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, stop.clone(), grace, answer.clone()));
            }
            // Out of file descriptors, or the peer went again: neither ends the server.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Who answers at one address of a listener for many.
pub(crate) struct Route<A> {
    /// Keeps the answering task from having ended until the connection is its own.
    pub(crate) arrival: TaskTrackerToken,
    pub(crate) connections: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) answer: A,
}

/// Serves many addresses until `stop`. `route` says who answers at one; where it says nobody, the connection is reset.
pub(crate) async fn serve_routes<R, A, F>(stop: CancellationToken, route: R, listener: TcpListener)
where
    R: Fn(SocketAddr) -> Option<Route<A>>,
    A: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        match stream.local_addr().ok().and_then(&route) {
            Some(Route { arrival, connections, stop, answer }) => {
                connections.spawn(connection(stream, stop, Duration::ZERO, answer));
                drop(arrival);
            }
            None => {
                let _ = stream.set_zero_linger();
            }
        }
    }
}

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is reset on purpose")]
struct OnPurpose;

type Answering = Pin<Box<dyn Future<Output = Result<Response<ReplyBody>, OnPurpose>> + Send>>;

async fn connection<A, F>(stream: TcpStream, stop: CancellationToken, grace: Duration, answer: A)
where
    A: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    // Answers are small and awaited: without this, each may wait for the client's delayed acknowledgement.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    // Boxed because hyper hands a connection back only from services that may be moved.
    let answer = Box::new(answer);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| -> Answering {
        let answer = answer.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
                Ok(body) => match answer(Request::from_parts(parts, body.to_bytes())).await {
                    Reply::Answer(response) => Ok(response),
                    Reply::Reset => Err(OnPurpose),
                },
                Err(error) if error.is::<LengthLimitError>() => Ok(too_large()),
                Err(_) => Err(OnPurpose),
            }
        })
    });
    let mut connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let mut served =
        stop.run_until_cancelled(poll_fn(|context| connection.poll_without_shutdown(context))).await;
    if served.is_none() && !grace.is_zero() {
        Pin::new(&mut connection).graceful_shutdown();
        let rest = poll_fn(|context| connection.poll_without_shutdown(context));
        served = tokio::time::timeout(grace, rest).await.ok();
    }
    let stream = connection.into_parts().io.into_inner();
    if !matches!(served, Some(Ok(()))) {
        // With this option, closing resets the connection. If it cannot be set, the connection is closed normally.
        let _ = stream.set_zero_linger();
    }
}

fn too_large() -> Response<ReplyBody> {
    let mut response = Response::new(full("the request is too large"));
    *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
    response
}
