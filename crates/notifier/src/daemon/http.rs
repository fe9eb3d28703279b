//! `/healthz` and `/readyz`: whether the daemon lives, and whether its queues answer.
//!
//! Meant for a load balancer, an orchestrator or a person on the same network. It tells no secrets and takes no orders.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::health::Health;

/// Connections at the same time; more wait for one to end.
const CONNECTIONS_MAX: usize = 32;
/// How long a client may take to send the head of its request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a connection may last. It carries one request.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Wait after a connection could not be accepted, for example because the process has no file left to open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Answers on `listener` until `shutdown`.
///
/// `GET /healthz` answers 200 while every worker lives, `GET /readyz` while every queue answers and no shutdown was
/// asked for; else 503. Both bodies are the whole [`HealthReport`](super::HealthReport).
///
/// Give it a token of its own, cancelled after the daemon has stopped: so a load balancer sees that the daemon is
/// stopping.
pub async fn serve(listener: TcpListener, health: Health, shutdown: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        let (health, shutdown) = (health.clone(), shutdown.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = connection(stream, health) => {}
            }
            drop(permit);
        });
    }
}

/// The next connection, when there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            warn!(%error, "A connection to the health endpoint could not be accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(stream: TcpStream, health: Health) {
    let service = service_fn(move |request| {
        let answer = answer(&request, &health);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIME_MAX, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "A request to the health endpoint broke off"),
        Err(_elapsed) => debug!("A request to the health endpoint took too long"),
    }
}

fn answer<B>(request: &Request<B>, health: &Health) -> Response<Full<Bytes>> {
    let report = health.report();
    let well = match request.uri().path() {
        "/healthz" => report.live,
        "/readyz" => report.ready,
        _ => return plain(StatusCode::NOT_FOUND, "try /healthz or /readyz\n"),
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    let mut body = serde_json::to_vec(&report).unwrap_or_default();
    body.push(b'\n');
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    response(status, "application/json", body.into())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
