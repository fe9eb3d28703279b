//! The smallest HTTP client that the live tests need: one connection for each request.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use simulator::Simulator;
use tokio::net::TcpStream;

/// How long a test waits before it takes silence for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Answered {
        status: u16,
        headers: HeaderMap,
        body: Bytes,
    },
    /// Nothing listens.
    Refused,
    /// The connection broke before an answer.
    Broken,
    /// No answer came.
    Silent,
}

impl Ended {
    /// The status, or 0 where there was none.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Answered { status, .. } => *status,
            Self::Refused | Self::Broken | Self::Silent => 0,
        }
    }
}

pub(crate) async fn post(address: SocketAddr, path: &str, body: impl Into<Bytes>) -> Ended {
    let request =
        Request::post(path).header("host", address.to_string()).body(Full::new(body.into())).unwrap();
    send(address, request).await
}

pub(crate) async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Ended {
    let Ok(stream) = TcpStream::connect(address).await else { return Ended::Refused };
    let exchange = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Ended::Answered { status: parts.status.as_u16(), headers: parts.headers, body })
    };
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(_)) => Ended::Broken,
        Err(_) => Ended::Silent,
    }
}

/// A port that nobody has on any address, below those that the system gives to clients. Test processes that run at
/// the same time get different ones.
pub(crate) fn free_port() -> u16 {
    let first = u16::try_from(std::process::id() % 800).unwrap();
    let ports = (20_000 + first * 10..).take(10);
    let is_free = |port: &u16| std::net::TcpListener::bind(("0.0.0.0", *port)).is_ok();
    ports.into_iter().find(is_free).unwrap()
}

/// Calls an ECS operation and returns its answer.
pub(crate) async fn ecs(sim: &Simulator, operation: &str, parameters: &Value) -> Value {
    let address = sim.url().trim_start_matches("http://").parse().unwrap();
    let request = Request::post("/")
        .header("host", "ecs.us-east-1.amazonaws.com")
        .header("x-amz-target", format!("AmazonEC2ContainerServiceV20141113.{operation}"))
        .body(Full::new(Bytes::from(parameters.to_string())))
        .unwrap();
    match send(address, request).await {
        Ended::Answered { body, .. } => serde_json::from_slice(&body).unwrap(),
        other => panic!("{operation}: {other:?}"),
    }
}
