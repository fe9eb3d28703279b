//! One request to the collector, all of it bounded. No redirects, no proxies.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::OptionFuture;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;

use crate::base::url::Url;
use crate::deliver;
use crate::secrets::{Kept, SecretError, SecretRef, Vault};

/// Time limit of one request, with its connection and answer.
const POST_TIME_MAX: Duration = Duration::from_secs(10);
/// The most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const PROTOBUF: &str = "application/x-protobuf";

/// Where spans are posted.
pub(super) struct Collector {
    url: Url,
    headers: Option<Kept<HeaderMap>>,
    /// `None` for plain HTTP.
    tls: Option<Kept<Arc<ClientConfig>>>,
}

/// Why the collector did not take the spans.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("not within {POST_TIME_MAX:?}")]
    TimedOut,
    #[error("the connection broke, or the answer is not HTTP")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be made")]
    Request(#[from] http::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
}

impl PostError {
    /// Whether the same request may succeed later. Source: OTLP Specification, "Retryable Response Codes".
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Request(_) => false,
            Self::Status(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Connect(_) | Self::TimedOut | Self::Http(_) => true,
        }
    }
}

impl Collector {
    pub(super) async fn open(
        url: Url,
        headers: Option<&SecretRef>,
        refresh: Duration,
        vault: &Vault,
    ) -> Result<Self, SecretError> {
        let headers = headers
            .map(|reference| Kept::open(vault.clone(), vec![reference.clone()], refresh, deliver::headers));
        let tls = url.tls.then(|| Kept::open(vault.clone(), Vec::new(), refresh, deliver::tls_config));
        let headers = OptionFuture::from(headers).await.transpose()?;
        let tls = OptionFuture::from(tls).await.transpose()?;
        Ok(Self { url, headers, tls })
    }

    /// Posts the body of one request.
    pub(super) async fn post(&self, body: Bytes) -> Result<(), PostError> {
        timeout(POST_TIME_MAX, self.exchange(body)).await.map_err(|_elapsed| PostError::TimedOut)?
    }

    async fn exchange(&self, body: Bytes) -> Result<(), PostError> {
        let Url { host, port, authority, path_and_query, .. } = &self.url;
        let mut request = Request::post(path_and_query.as_str())
            .header(HOST, authority)
            .header(CONTENT_TYPE, PROTOBUF)
            .header(USER_AGENT, concat!("ecs-task-notifier/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))?;
        if let Some(headers) = &self.headers {
            let headers = headers.current().await.value;
            request.headers_mut().extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(PostError::Connect)?;
        let stream = match &self.tls {
            None => Either::Left(stream),
            Some(tls) => {
                let config = Arc::clone(&*tls.current().await.value);
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|error| PostError::Connect(io::Error::other(error)))?;
                let secured = TlsConnector::from(config).connect(name, stream).await;
                Either::Right(secured.map_err(PostError::Connect)?)
            }
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        // It is read so that the collector sees a whole exchange; its text changes nothing.
        let _ = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        if status.is_success() { Ok(()) } else { Err(PostError::Status(status)) }
    }
}
