//! Accepts connections, and bounds their number, their heads and their time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tower_service::Service as _;
use tracing::{debug, warn};

/// Maximum number of connections. A further one closes another: first one without an authorised request.
const CONNECTIONS_MAX: usize = 64;
/// Time limit for the head of a request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// Time limit of a connection. It has one request.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(60);
/// Time limit of a connection with a stream or a download. A browser connects to a stream again by itself.
const LONG_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// Wait after a connection could not be accepted, for example because of the limit of open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How much a connection matters. Connections of less weight are closed first.
#[derive(Clone, Debug, Default)]
pub(super) struct Weight(Arc<AtomicU8>);

impl Weight {
    const AUTHORISED: u8 = 1;
    const LONG: u8 = 2;

    /// Its request is authorised.
    pub(super) fn authorise(&self) {
        self.0.fetch_max(Self::AUTHORISED, Ordering::Relaxed);
    }

    /// Its answer is a stream or a download.
    pub(super) fn prolong(&self) {
        self.0.fetch_max(Self::LONG, Ordering::Relaxed);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Serves until `shutdown`, and then closes every connection.
pub(super) async fn serve(listener: TcpListener, app: Router, shutdown: impl Future<Output = ()>) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut connections = Connections::default();
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => connections.add(stream, app.clone()),
            Err(error) => {
                warn!(%error, "A connection could not be accepted");
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
    open: VecDeque<(AbortHandle, Weight)>,
}

impl Connections {
    /// Serves one more. If there are too many, it closes the oldest of the least weight; streams and downloads stay, so then
    /// the new connection is closed.
    fn add(&mut self, stream: TcpStream, app: Router) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|(connection, _)| !connection.is_finished());
        if self.open.len() >= CONNECTIONS_MAX {
            let weights = self.open.iter().enumerate().map(|(at, (_, weight))| (weight.get(), at));
            match weights.min().filter(|(weight, _)| *weight < Weight::LONG) {
                Some((_, at)) => drop(self.open.remove(at).map(|(oldest, _)| oldest.abort())),
                None => return,
            }
        }
        let weight = Weight::default();
        self.open.push_back((self.tasks.spawn(connection(stream, app, weight.clone())), weight));
    }
}

async fn connection(stream: TcpStream, app: Router, weight: Weight) {
    let shared = weight.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(shared.clone());
        // A router is always ready, and never fails.
        app.clone().call(request)
    });
    let mut served = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut ended = timeout(CONNECTION_TIME_MAX, &mut served).await;
    if ended.is_err() && weight.get() == Weight::LONG {
        ended = timeout(LONG_TIME_MAX, served).await;
    }
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "A request broke off"),
        Err(_elapsed) => debug!("A request took too long"),
    }
}
