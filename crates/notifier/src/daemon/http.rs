//! `/healthz` and `/readyz`: whether the daemon is alive, and whether its queues answer. `/metrics`: what it has done.
//!
//! For a load balancer, an orchestrator or a person on the same network. It has no secrets and accepts no commands.

use std::collections::VecDeque;
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
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::health::Health;
use crate::telemetry::{Metrics, MetricsSources};

/// Maximum number of connections. A further one closes the oldest, so that idle clients do not block health checks.
const CONNECTIONS_MAX: usize = 32;
/// Time limit for the head of a request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(1);
/// Time limit of a connection. It has one request.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(5);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Wait after a connection could not be accepted, for example because of the limit of open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the pages of a daemon show. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// Its health.
    pub health: Health,
    /// Its metrics, and the parts of the process that count for themselves; `None` for no metrics.
    pub metrics: Option<Arc<(Metrics, MetricsSources)>>,
}

impl From<Health> for Pages {
    fn from(health: Health) -> Self {
        Self { health, metrics: None }
    }
}

/// Serves health checks on `listener` until `shutdown`.
///
/// `GET /healthz` answers 200 while every worker is alive, `GET /readyz` while every queue answers and no shutdown was
/// requested; else 503. Both bodies are the whole [`HealthReport`](super::HealthReport). `GET /metrics` has the metrics in the
/// text format of Prometheus.
///
/// `shutdown` should be cancelled after the daemon has stopped, so that a load balancer sees that it is stopping.
pub async fn serve(listener: TcpListener, pages: Pages, shutdown: CancellationToken) {
    let mut connections = Connections::default();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => connections.add(connection(stream, pages.clone())),
            Err(error) => {
                warn!(%error, "A connection to the health endpoint could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
        // The request of a new connection is read before further connections can close it.
        yield_now().await;
    }
}

/// The open connections. All of them are closed when this is dropped.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    /// The oldest first.
    ages: VecDeque<AbortHandle>,
}

impl Connections {
    /// Serves one more, and closes the oldest if there are too many. Complete requests are answered at once, so the oldest
    /// connection is idle.
    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.ages.retain(|connection| !connection.is_finished());
        if self.ages.len() >= CONNECTIONS_MAX
            && let Some(oldest) = self.ages.pop_front()
        {
            oldest.abort();
        }
        self.ages.push_back(self.tasks.spawn(connection));
    }
}

async fn connection(stream: TcpStream, pages: Pages) {
    let service = service_fn(move |request| {
        let answer = answer(&request, &pages);
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

fn answer<B>(request: &Request<B>, Pages { health, metrics }: &Pages) -> Response<Full<Bytes>> {
    let report = health.report();
    let well = match request.uri().path() {
        "/healthz" => report.live,
        "/readyz" => report.ready,
        "/metrics" if metrics.is_some() => true,
        _ => return plain(StatusCode::NOT_FOUND, "try /healthz or /readyz, or /metrics\n"),
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    if let ("/metrics", Some((metrics, sources))) = (request.uri().path(), metrics.as_deref()) {
        return response(StatusCode::OK, Metrics::CONTENT_TYPE, metrics.text(sources));
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
