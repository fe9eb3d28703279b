//! The HTTP client of the AWS clients: identifies connection failures, and fails fast for interactive commands.
//!
//! An interactive command reports an unreachable endpoint soon. A daemon retries during an outage. So, for an interactive
//! command, a request has at most two attempts until its host has answered for the first time; after that, and for the
//! daemon, it has the attempts of `client_config`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ErrorKind;
use http_body_util::{BodyExt as _, Limited};

use super::error::{AwsErrorKind, ConnectionError};
use crate::base::causes::{find, root_cause};
use crate::base::text::printable;

/// Attempts for a host that has never answered, for interactive commands.
const TRIES_UNANSWERED_MAX: u32 = 2;
/// The most bytes of an answer in HTML that are read.
const HTML_BYTES_MAX: usize = 1024 * 1024;
/// The most characters of a cause that are kept.
const CAUSE_CHARS_MAX: usize = 300;

/// An HTTP client that remembers which hosts have answered.
#[derive(Debug)]
pub(super) struct FailFastClient {
    inner: SharedHttpClient,
    hosts: Hosts,
}

impl FailFastClient {
    /// `attended`: whether an interactive command waits for the answers.
    pub(super) fn new(inner: SharedHttpClient, attended: bool) -> Self {
        Self { inner, hosts: Hosts { attended, all: Arc::default() } }
    }
}

impl HttpClient for FailFastClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            inner: self.inner.http_connector(settings, components),
            hosts: self.hosts.clone(),
            connect_limit: settings.connect_timeout().unwrap_or_default(),
            read_limit: settings.read_timeout().unwrap_or_default(),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

/// The hosts, as many as endpoints, each with the attempts that are left before its first answer; `None` after that.
#[derive(Clone, Debug)]
struct Hosts {
    attended: bool,
    all: Arc<Mutex<BTreeMap<String, Option<u32>>>>,
}

impl Hosts {
    fn answered(&self, origin: &str) {
        self.all().insert(origin.to_owned(), None);
    }

    /// Counts an attempt without an answer. Returns whether there may be another.
    fn unanswered(&self, origin: &str) -> bool {
        match self.all().entry(origin.to_owned()).or_insert(Some(TRIES_UNANSWERED_MAX)) {
            Some(left) => {
                *left = left.saturating_sub(1);
                !self.attended || *left > 0
            }
            None => true,
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Option<u32>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    hosts: Hosts,
    connect_limit: Duration,
    read_limit: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let origin = origin(request.uri());
        let hosts = self.hosts.clone();
        let limits = (self.connect_limit, self.read_limit);
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let answer = match answer.await {
                Ok(response) => read_html(response).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(response) if is_html_page(&response) => {
                    let may_retry = hosts.unanswered(&origin);
                    let status = response.status().as_u16();
                    let text =
                        format!("{origin} answered with an HTML page (status {status}): a proxy, not AWS");
                    let page = ConnectionError { kind: AwsErrorKind::NotAws, text, may_retry };
                    Err(ConnectorError::other(page.into(), Some(ErrorKind::TransientError)))
                }
                Ok(response) => {
                    hosts.answered(&origin);
                    Ok(response)
                }
                Err(error) => {
                    let may_retry = hosts.unanswered(&origin);
                    Err(named(&error, &origin, limits, may_retry))
                }
            }
        })
    }
}

/// The same failure, with the host in its text and without the SDK's wrappers.
fn named(
    error: &ConnectorError,
    origin: &str,
    (connect_limit, read_limit): (Duration, Duration),
    may_retry: bool,
) -> ConnectorError {
    let cause = printable(&root_cause(error), CAUSE_CHARS_MAX);
    if error.is_timeout() {
        // Only the text of a private type of the SDK says which time-out it was. Only the message depends on it.
        let connecting = cause.contains("connect");
        let (what, limit) = if connecting { ("connection", connect_limit) } else { ("answer", read_limit) };
        let text = format!("no {what} from {origin} within {limit:?}");
        let error = ConnectionError { kind: AwsErrorKind::TimedOut, text, may_retry };
        return ConnectorError::timeout(error.into());
    }
    let text = format!("cannot connect to {origin}: {cause}");
    let source: BoxError = ConnectionError { kind: AwsErrorKind::Unreachable, text, may_retry }.into();
    match (error.is_io(), error.is_user()) {
        (true, _) => ConnectorError::io(source),
        (_, true) => ConnectorError::user(source),
        _ => ConnectorError::other(source, error.as_other()),
    }
}

/// Scheme, host and port of a request.
fn origin(uri: &str) -> String {
    let start = uri.find("://").map_or(0, |at| at + 3);
    let length = uri.get(start..).and_then(|rest| rest.find(['/', '?'])).unwrap_or(uri.len() - start);
    printable(uri.get(..start + length).unwrap_or(uri), CAUSE_CHARS_MAX)
}

fn is_html(response: &HttpResponse) -> bool {
    let kind = response.headers().get("content-type");
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
}

/// Reads the body of an answer with an HTML content type, to inspect it. Other answers are not changed.
async fn read_html(mut response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    if is_html(&response) {
        let body = std::mem::replace(response.body_mut(), SdkBody::taken());
        let body = Limited::new(body, HTML_BYTES_MAX).collect().await.map_err(ConnectorError::io)?;
        *response.body_mut() = SdkBody::from(body.to_bytes());
    }
    Ok(response)
}

/// Whether an answer is an HTML page. Some emulators of AWS send XML with an HTML content type.
fn is_html_page(response: &HttpResponse) -> bool {
    let text = response.body().bytes().unwrap_or_default().trim_ascii_start();
    let begins =
        |tag: &str| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()));
    is_html(response) && (begins("<!doctype html") || begins("<html"))
}

/// Prevents retries that are not useful.
#[derive(Debug)]
pub(super) struct FailFast;

impl ClassifyRetry for FailFast {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            Some(Err(error)) => error.as_connector_error(),
            _ => None,
        };
        match error.and_then(|error| find::<ConnectionError>(error)) {
            Some(error) if !error.may_retry => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "FailFast"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_somebody_waits_a_host_that_never_answered_is_tried_twice() {
        let hosts = Hosts { attended: true, all: Arc::default() };
        assert!(hosts.unanswered("a"));
        assert!(!hosts.unanswered("a"));
        assert!(hosts.unanswered("b"), "each host counts by itself");
        hosts.answered("a");
        assert!(hosts.unanswered("a"), "after an answer it is an outage");
    }

    #[test]
    fn unattended_every_outage_is_ridden_out() {
        let hosts = Hosts { attended: false, all: Arc::default() };
        assert!((0..100).all(|_| hosts.unanswered("a")));
    }

    #[test]
    fn the_origin_is_what_stands_before_the_path() {
        assert_eq!(origin("http://127.0.0.1:1/"), "http://127.0.0.1:1");
        assert_eq!(origin("https://[::1]:8?x"), "https://[::1]:8");
        assert_eq!(origin("nonsense"), "nonsense");
    }
}
