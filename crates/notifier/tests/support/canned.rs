//! A server that answers every request with what a function makes of it, and keeps the requests.

use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running server; it stops when dropped.
pub(crate) struct Canned {
    /// Where it answers: `http://127.0.0.1:PORT`.
    pub url: String,
    requests: Arc<Mutex<Vec<Asked>>>,
    server: JoinHandle<()>,
}

/// A request that it got.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Method and target, for example `POST /`.
    pub line: String,
    /// Its headers.
    pub headers: hyper::HeaderMap,
    /// Its body.
    pub body: String,
}

impl Canned {
    /// Answers with the status and body that `answer` makes of a request.
    pub(crate) async fn start(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Self {
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
                        let asked = Asked::read(request).await?;
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

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Asked {
    async fn read(request: Request<Incoming>) -> Result<Self, hyper::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let line = format!("{} {}", parts.method, parts.uri);
        Ok(Self { line, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
