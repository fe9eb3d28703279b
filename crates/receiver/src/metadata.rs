//! Reads the ARN of the own task from the task metadata endpoint, version 4.
//!
//! Source: Amazon ECS developer guide, "Task metadata endpoint version 4"; agents from 1.39.0, Fargate from 1.4.0.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::identity::{Identity, TaskMetadataError};

/// The environment variable with the URI of the task metadata endpoint. ECS sets it.
pub const METADATA_URI: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// The time limit of one attempt. The endpoint is on the same host.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS_MAX: u32 = 4;
/// The wait between attempts. While a task starts, the endpoint may answer 404 or throttle for a moment.
const ATTEMPT_WAIT: Duration = Duration::from_millis(500);
/// Far more than the response for ten containers with all their labels.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;

/// Why the own task is unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The environment variable is not set: the process does not run on ECS.
    #[error("{METADATA_URI} is not set: not on ECS, or the ECS agent is older than 1.39.0")]
    NotOnEcs,
    /// The URI of the endpoint is not an `http` URI.
    #[error("{METADATA_URI} is not an http URI: {0}")]
    Uri(String),
    /// The connection failed.
    #[error("cannot connect to the task metadata endpoint")]
    Unreachable(#[from] io::Error),
    /// The endpoint did not respond in time.
    #[error("no response from the task metadata endpoint within {ATTEMPT_TIMEOUT:?}")]
    TimedOut,
    /// The connection was interrupted, or the response is not HTTP.
    #[error("the connection to the task metadata endpoint was interrupted")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The status of the response is not 200.
    #[error("the task metadata endpoint responded with {0}")]
    Status(StatusCode),
    /// The body of the response is incomplete or too large.
    #[error("cannot read the response of the task metadata endpoint")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The response contains no task ARN.
    #[error(transparent)]
    Response(#[from] TaskMetadataError),
}

impl Identity {
    /// Reads the task of this container from the task metadata endpoint. Call it once, at start.
    ///
    /// It retries for about ten seconds at most.
    ///
    /// # Errors
    ///
    /// Fails if the environment variable [`METADATA_URI`] is not set, or if the last attempt failed.
    pub async fn on_ecs() -> Result<Self, IdentityError> {
        #[expect(clippy::disallowed_methods, reason = "ECS passes the URI in no other way")]
        let uri = std::env::var(METADATA_URI).map_err(|_| IdentityError::NotOnEcs)?;
        Self::from_metadata(&uri).await
    }

    /// Reads the task from the metadata endpoint at this URI. [`on_ecs`](Self::on_ecs) takes the URI from the environment.
    ///
    /// # Errors
    ///
    /// Fails if the URI is invalid or the last attempt failed.
    pub async fn from_metadata(uri: &str) -> Result<Self, IdentityError> {
        let mut attempts = 1;
        loop {
            match timeout(ATTEMPT_TIMEOUT, read(uri)).await.unwrap_or(Err(IdentityError::TimedOut)) {
                Ok(identity) => return Ok(identity),
                Err(error @ IdentityError::Uri(_)) => return Err(error),
                Err(error) if attempts == ATTEMPTS_MAX => return Err(error),
                Err(_) => attempts += 1,
            }
            sleep(ATTEMPT_WAIT).await;
        }
    }
}

async fn read(uri: &str) -> Result<Identity, IdentityError> {
    let wrong = || IdentityError::Uri(uri.to_owned());
    let uri: Uri = format!("{}/task", uri.trim_end_matches('/')).parse().map_err(|_| wrong())?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(wrong()) };
    // The host of a URI has brackets around an IPv6 address, which the resolver does not accept.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let request = Request::get(uri.path())
        .header(HOST, authority.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(|_| wrong())?;

    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(interrupted)?;
    // The task ends with the connection: when `sender` and the body of the response are dropped.
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(interrupted)?;
    if response.status() != StatusCode::OK {
        return Err(IdentityError::Status(response.status()));
    }
    let body = Limited::new(response.into_body(), RESPONSE_BYTES_MAX)
        .collect()
        .await
        .map_err(IdentityError::Body)?;
    connection.abort();
    Ok(Identity::from_task_metadata(&body.to_bytes())?)
}

fn interrupted(error: hyper::Error) -> IdentityError {
    IdentityError::Interrupted(error.into())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const TASK: &str =
        r#"{"Cluster":"prod","TaskARN":"arn:aws:ecs:eu-west-1:1:task/prod/a","Containers":[]}"#;

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    /// Answers one connection after the other with these bytes, and returns the last request.
    async fn endpoint(answers: Vec<String>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/v4/abc", listener.local_addr().unwrap());
        let requests = tokio::spawn(async move {
            let mut request = String::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 1024];
                let read = stream.read(&mut buffer).await.unwrap();
                request = String::from_utf8_lossy(&buffer[..read]).into_owned();
                // The client may close the connection early.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            request
        });
        (uri, requests)
    }

    #[tokio::test]
    async fn the_task_comes_from_the_endpoint() {
        let (uri, requests) = endpoint(vec![ok(TASK)]).await;
        let found = Identity::from_metadata(&uri).await.unwrap();
        assert_eq!(found, Identity::task("arn:aws:ecs:eu-west-1:1:task/prod/a"));
        assert!(requests.await.unwrap().starts_with("GET /v4/abc/task HTTP/1.1\r\n"));
    }

    #[tokio::test]
    async fn an_endpoint_that_is_not_ready_is_retried() {
        let chunked = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{TASK}\r\n0\r\n\r\n",
            TASK.len()
        );
        let not_yet = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned();
        let (uri, _) = endpoint(vec![not_yet, String::new(), ok("{}"), chunked]).await;
        assert!(Identity::from_metadata(&uri).await.is_ok());
    }

    #[tokio::test]
    async fn each_failure_has_its_error() {
        for uri in ["", "169.254.170.2", "https://169.254.170.2/v4", "http:///v4"] {
            let error = Identity::from_metadata(uri).await.unwrap_err();
            assert!(matches!(error, IdentityError::Uri(_)), "{uri}: {error}");
        }
        let huge = ok(&format!(r#"{{"x":"{}"}}"#, "y".repeat(RESPONSE_BYTES_MAX)));
        let (uri, _) = endpoint(vec![huge; ATTEMPTS_MAX as usize]).await;
        assert!(matches!(Identity::from_metadata(&uri).await.unwrap_err(), IdentityError::Body(_)));
        let (uri, _) = endpoint(vec![ok("{}"); ATTEMPTS_MAX as usize]).await;
        assert!(matches!(Identity::from_metadata(&uri).await.unwrap_err(), IdentityError::Response(_)));
    }
}
