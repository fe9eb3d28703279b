//! An HTTP server that responds with what a function returns, and records the requests.

use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running server. It stops when dropped.
#[derive(Debug)]
pub struct StubServer {
    /// Its endpoint, `http://127.0.0.1:PORT`.
    pub url: String,
    requests: Arc<Mutex<Vec<StubRequest>>>,
    server: JoinHandle<()>,
}

/// A request to the server.
#[derive(Clone, Debug)]
pub struct StubRequest {
    /// Method and target, for example `POST /`.
    pub line: String,
    /// The headers.
    pub headers: hyper::HeaderMap,
    /// The body, as text.
    pub body: String,
}

impl StubServer {
    /// Starts a server that responds with the status and body that `answer` returns for a request.
    pub async fn start(answer: impl Fn(&StubRequest) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (requests, answer) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(answer));
        let kept = Arc::clone(&requests);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                let service = service_fn(move |request| {
                    let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                    async move {
                        let asked = StubRequest::read(request).await?;
                        let (status, body) = answer(&asked);
                        kept.lock().unwrap().push(asked);
                        let mut response = Response::new(Full::new(Bytes::from(body)));
                        *response.status_mut() = status.try_into().unwrap();
                        Ok::<_, hyper::Error>(response)
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, requests, server }
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> Vec<StubRequest> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for StubServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl StubRequest {
    async fn read(request: Request<Incoming>) -> Result<Self, hyper::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let line = format!("{} {}", parts.method, parts.uri);
        Ok(Self { line, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
