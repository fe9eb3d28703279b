//! Errors of calls to a server that is unreachable, silent, or not AWS: over real connections.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::config::timeout::TimeoutConfig;
use notifier::aws::{Aws, AwsError, AwsErrorKind as Kind, AwsService};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// The error of one try at this URL, within this time.
async fn error_of(url: &str, limit: Duration) -> AwsError {
    let ecs = Aws::at(url, "eu-west-1").ecs;
    let timeouts = TimeoutConfig::builder().connect_timeout(limit).read_timeout(limit).build();
    let config = ecs.config().to_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts);
    let ecs = aws_sdk_ecs::Client::from_conf(config.build());
    let error = ecs.list_clusters().send().await.unwrap_err();
    AwsError::of(AwsService::Ecs, "ListClusters", &error)
}

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// A server that answers every request with these bytes and hangs up, or with nothing and waits.
async fn server(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            // Reads the whole request first: closing before that would reset the connection.
            let mut request = [0; 16 * 1024];
            let _ = stream.read(&mut request).await;
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                None => silent.push(stream),
            }
        }
    });
    url
}

#[tokio::test]
async fn nobody_at_the_address() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = error_of(&format!("http://{gone}"), LONG).await;
    assert_eq!(error.kind, Kind::Unreachable, "{error}");
    assert!(error.to_string().starts_with(&format!("cannot connect to http://{gone}: ")), "{error}");
    assert!(error.is_transient(), "nobody waits");
}

#[tokio::test]
async fn a_host_without_an_address() {
    let error = error_of("http://nowhere.invalid:4566", LONG).await;
    assert_eq!(error.kind, Kind::Unreachable, "{error}");
    assert!(error.to_string().starts_with("cannot connect to http://nowhere.invalid:4566: "), "{error}");
}

#[tokio::test]
async fn silence() {
    let url = server(None).await;
    let error = error_of(&url, Duration::from_millis(200)).await;
    assert_eq!(error.kind, Kind::TimedOut, "{error}");
    assert_eq!(error.to_string(), format!("no answer from {url} within 200ms"));
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_or_in_it() {
    let error = error_of(&server(Some("")).await, LONG).await;
    assert_eq!(error.kind, Kind::Unreachable, "{error}");
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: 100\r\n\r\n{";
    let error = error_of(&server(Some(half)).await, LONG).await;
    assert_eq!((error.kind, error.status), (Kind::Unavailable, Some(200)), "{error}");
    assert_eq!(error.to_string(), "the connection was closed during the answer");
}

#[tokio::test]
async fn a_page_of_a_proxy() {
    let page = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\ncontent-length: 22\r\n\r\n<html>log in</html>   ";
    let url = server(Some(page)).await;
    let error = error_of(&url, LONG).await;
    assert_eq!(error.kind, Kind::NotAws, "{error}");
    assert!(
        error.to_string().starts_with(&format!("{url} answered with an HTML page (status 403)")),
        "{error}"
    );
}

#[tokio::test]
async fn an_error_of_aws() {
    let answer = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: 50\r\n\r\n\
                  {\"__type\":\"AccessDeniedException\",\"message\":\"no!\"}";
    let error = error_of(&server(Some(answer)).await, LONG).await;
    assert_eq!(error.kind, Kind::AccessDenied, "{error}");
    assert_eq!(error.to_string(), "AccessDeniedException: no! (status 400)");
}
