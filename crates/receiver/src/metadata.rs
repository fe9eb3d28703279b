//! Asks ECS which task this is: one request to the task metadata endpoint, version 4.
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

use crate::identity::{Identity, NoTask};

/// The variable by which ECS tells a container where its metadata is.
pub const METADATA_URI: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// The longest that one try may take. The endpoint is on the same host.
const TRY_TIMEOUT: Duration = Duration::from_secs(2);
const TRIES: u32 = 4;
/// Between tries: the endpoint answers 404 or throttles for a moment while a task starts.
const TRY_WAIT: Duration = Duration::from_millis(500);
/// Ten containers with all their labels stay far below.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Why it is not known which task this is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is no metadata endpoint: this is not a container on ECS.
    #[error("{METADATA_URI} is not set: not on ECS, or on an agent before 1.39.0")]
    NotOnEcs,
    /// The variable is not an `http` URI.
    #[error("{METADATA_URI} is not an http URI: {0}")]
    Uri(String),
    /// No connection.
    #[error("cannot connect to the task metadata endpoint")]
    Unreachable(#[from] io::Error),
    /// No answer in time.
    #[error("no answer from the task metadata endpoint within {TRY_TIMEOUT:?}")]
    TimedOut,
    /// The connection broke, or the answer is not HTTP.
    #[error("the task metadata endpoint broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another status than 200.
    #[error("the task metadata endpoint answered {0}")]
    Status(StatusCode),
    /// The answer's body broke off or is too large.
    #[error("the answer of the task metadata endpoint cannot be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer has no `TaskARN`.
    #[error(transparent)]
    Answer(#[from] NoTask),
}

impl Identity {
    /// The task that ECS says this container is part of. Call it once, when the process starts.
    ///
    /// Tries for about ten seconds at most.
    ///
    /// # Errors
    ///
    /// When the environment names no metadata endpoint, or the last try failed.
    pub async fn on_ecs() -> Result<Self, IdentityError> {
        #[expect(clippy::disallowed_methods, reason = "ECS tells a container this way, and no other")]
        let uri = std::env::var(METADATA_URI).map_err(|_| IdentityError::NotOnEcs)?;
        Self::from_metadata(&uri).await
    }

    /// The task that the metadata endpoint at this URI names. [`on_ecs`](Self::on_ecs) reads the URI from the environment.
    ///
    /// # Errors
    ///
    /// When the last try failed.
    pub async fn from_metadata(uri: &str) -> Result<Self, IdentityError> {
        let mut tries = 1;
        loop {
            match timeout(TRY_TIMEOUT, read(uri)).await.unwrap_or(Err(IdentityError::TimedOut)) {
                Ok(identity) => return Ok(identity),
                Err(error @ IdentityError::Uri(_)) => return Err(error),
                Err(error) if tries == TRIES => return Err(error),
                Err(_) => tries += 1,
            }
            sleep(TRY_WAIT).await;
        }
    }
}

async fn read(uri: &str) -> Result<Identity, IdentityError> {
    let wrong = || IdentityError::Uri(uri.to_owned());
    let uri: Uri = format!("{}/task", uri.trim_end_matches('/')).parse().map_err(|_| wrong())?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(wrong()) };
    // A URI keeps the brackets of an IPv6 address, which no resolver takes.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let request = Request::get(uri.path())
        .header(HOST, authority.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(|_| wrong())?;

    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with the connection, which ends when `sender` and the answer's body are dropped.
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(broken)?;
    if answer.status() != StatusCode::OK {
        return Err(IdentityError::Status(answer.status()));
    }
    let body =
        Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(IdentityError::Body)?;
    connection.abort();
    Ok(Identity::from_task_metadata(&body.to_bytes())?)
}

fn broken(error: hyper::Error) -> IdentityError {
    IdentityError::Broken(error.into())
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

    /// Answers one connection after the other with these bytes; ends with what was asked for last.
    async fn endpoint(answers: Vec<String>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/v4/abc", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let mut asked = String::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 1024];
                let read = stream.read(&mut buffer).await.unwrap();
                asked = String::from_utf8_lossy(&buffer[..read]).into_owned();
                // A reader that has had enough may hang up first.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            asked
        });
        (uri, asked)
    }

    #[tokio::test]
    async fn the_task_is_what_the_endpoint_says() {
        let (uri, asked) = endpoint(vec![ok(TASK)]).await;
        let found = Identity::from_metadata(&uri).await.unwrap();
        assert_eq!(found, Identity::task("arn:aws:ecs:eu-west-1:1:task/prod/a"));
        assert!(asked.await.unwrap().starts_with("GET /v4/abc/task HTTP/1.1\r\n"));
    }

    #[tokio::test]
    async fn an_endpoint_that_is_not_ready_is_asked_again() {
        let chunked = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{TASK}\r\n0\r\n\r\n",
            TASK.len()
        );
        let not_yet = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned();
        let (uri, _) = endpoint(vec![not_yet, String::new(), ok("{}"), chunked]).await;
        assert!(Identity::from_metadata(&uri).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_wrong_is_said() {
        for uri in ["", "169.254.170.2", "https://169.254.170.2/v4", "http:///v4"] {
            let error = Identity::from_metadata(uri).await.unwrap_err();
            assert!(matches!(error, IdentityError::Uri(_)), "{uri}: {error}");
        }
        let huge = ok(&format!(r#"{{"x":"{}"}}"#, "y".repeat(ANSWER_BYTES_MAX)));
        let (uri, _) = endpoint(vec![huge; TRIES as usize]).await;
        assert!(matches!(Identity::from_metadata(&uri).await.unwrap_err(), IdentityError::Body(_)));
        let (uri, _) = endpoint(vec![ok("{}"); TRIES as usize]).await;
        assert!(matches!(Identity::from_metadata(&uri).await.unwrap_err(), IdentityError::Answer(_)));
    }
}
