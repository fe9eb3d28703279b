//! Whether a service can be reached at all, and what to say when it cannot.
//!
//! Somebody who waits at a terminal wants to know at once that an endpoint refuses connections, has no address or stays
//! silent. A daemon wants to ride out an outage. So, where somebody waits, a request is tried twice at most until its host
//! has answered for the first time; after that, and everywhere else, it is tried as often as `wiring` says.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
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

use crate::base::text::printable;

/// Tries of a host that has never answered, the first included, while somebody waits.
const TRIES_UNANSWERED_MAX: u32 = 2;
/// The most bytes of an answer in HTML that are read.
const HTML_BYTES_MAX: usize = 1024 * 1024;
/// The most characters of a cause that are kept.
const CAUSE_CHARS_MAX: usize = 300;

/// A try that got no answer of AWS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// No connection: refused, no address, no TLS.
    #[error("cannot connect to {place}: {cause}")]
    Unreachable {
        /// Scheme, host and port.
        place: String,
        /// What the machine says.
        cause: String,
        /// Whether another try makes sense.
        again: bool,
    },
    /// Silence.
    #[error("no {what} from {place} within {limit:?}")]
    Silent {
        /// Scheme, host and port.
        place: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
        /// Whether another try makes sense.
        again: bool,
    },
    /// A page for people, as of a proxy or a portal.
    #[error("{place} answered with an HTML page (status {status}), as a proxy does, and not as AWS does")]
    Page {
        /// Scheme, host and port.
        place: String,
        /// The page's status.
        status: u16,
        /// Whether another try makes sense.
        again: bool,
    },
}

impl NoAnswer {
    /// The one among the causes of an error.
    pub(crate) fn among<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
    }

    /// Whether another try makes sense: not while somebody waits for a host that never answered.
    pub(crate) fn again(&self) -> bool {
        match self {
            Self::Unreachable { again, .. } | Self::Silent { again, .. } | Self::Page { again, .. } => *again,
        }
    }
}

/// An HTTP client that knows which hosts have answered.
#[derive(Debug)]
pub(super) struct Reach {
    inner: SharedHttpClient,
    hosts: Hosts,
}

impl Reach {
    /// `attended`: whether somebody waits for the answers.
    pub(super) fn new(inner: SharedHttpClient, attended: bool) -> Self {
        Self { inner, hosts: Hosts { attended, all: Arc::default() } }
    }
}

impl HttpClient for Reach {
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

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

/// Hosts, and how often each was tried before its first answer. Their number is that of the endpoints.
#[derive(Clone, Debug)]
struct Hosts {
    attended: bool,
    all: Arc<Mutex<BTreeMap<String, Host>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Host {
    answered: bool,
    unanswered: u32,
}

impl Hosts {
    fn answered(&self, place: &str) {
        self.of(place, |host| host.answered = true);
    }

    /// Notes a try without an answer; whether there may be another.
    fn unanswered(&self, place: &str) -> bool {
        let host = self.of(place, |host| host.unanswered = host.unanswered.saturating_add(1));
        !self.attended || host.answered || host.unanswered < TRIES_UNANSWERED_MAX
    }

    fn of(&self, place: &str, change: impl FnOnce(&mut Host)) -> Host {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let host = all.entry(place.to_owned()).or_default();
        change(host);
        *host
    }
}

struct Connector {
    inner: SharedHttpConnector,
    hosts: Hosts,
    connect_limit: Duration,
    read_limit: Duration,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let place = place(request.uri());
        let hosts = self.hosts.clone();
        let (connect_limit, read_limit) = (self.connect_limit, self.read_limit);
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let answer = match answer.await {
                Ok(response) => look_at_body(response).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(response) if is_page(&response) => {
                    let again = hosts.unanswered(&place);
                    let page = NoAnswer::Page { place, status: response.status().as_u16(), again };
                    Err(ConnectorError::other(page.into(), Some(ErrorKind::TransientError)))
                }
                Ok(response) => {
                    hosts.answered(&place);
                    Ok(response)
                }
                Err(error) => {
                    let again = hosts.unanswered(&place);
                    if error.is_timeout() {
                        let connecting = root(&error).contains("connect");
                        let (what, limit) =
                            if connecting { ("connection", connect_limit) } else { ("answer", read_limit) };
                        return Err(ConnectorError::timeout(
                            NoAnswer::Silent { place, what, limit, again }.into(),
                        ));
                    }
                    let kind = error.as_other();
                    let (is_io, is_user) = (error.is_io(), error.is_user());
                    let cause = printable(&root(&error), CAUSE_CHARS_MAX);
                    let source: BoxError = NoAnswer::Unreachable { place, cause, again }.into();
                    Err(match (is_io, is_user) {
                        (true, _) => ConnectorError::io(source),
                        (_, true) => ConnectorError::user(source),
                        _ => ConnectorError::other(source, kind),
                    })
                }
            }
        })
    }
}

/// Scheme, host and port of a request.
fn place(uri: &str) -> String {
    let start = uri.find("://").map_or(0, |at| at + 3);
    let length = uri.get(start..).and_then(|rest| rest.find(['/', '?'])).unwrap_or(uri.len() - start);
    printable(uri.get(..start + length).unwrap_or(uri), CAUSE_CHARS_MAX)
}

fn is_html(response: &HttpResponse) -> bool {
    let kind = response.headers().get("content-type");
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
}

/// Reads the body of an answer that says it is HTML, so that it can be looked at. Others stay as they are.
async fn look_at_body(mut response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    if is_html(&response) {
        let body = std::mem::replace(response.body_mut(), SdkBody::taken());
        let body = Limited::new(body, HTML_BYTES_MAX).collect().await.map_err(ConnectorError::io)?;
        *response.body_mut() = SdkBody::from(body.to_bytes());
    }
    Ok(response)
}

/// Whether an answer is a page for people. Some that speak for AWS call their XML HTML.
fn is_page(response: &HttpResponse) -> bool {
    let text = response.body().bytes().unwrap_or_default().trim_ascii_start();
    let begins =
        |tag: &str| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()));
    is_html(response) && (begins("<!doctype html") || begins("<html"))
}

/// The words of the last cause, which says most.
fn root(error: &(dyn Error + 'static)) -> String {
    let last = std::iter::successors(Some(error), |&error| error.source()).last();
    last.map(ToString::to_string).unwrap_or_default()
}

/// Forbids another try where it makes no sense.
#[derive(Debug)]
pub(super) struct GiveUp;

impl ClassifyRetry for GiveUp {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            Some(Err(error)) => error.as_connector_error(),
            _ => None,
        };
        match error.and_then(|error| NoAnswer::among(error)) {
            Some(no_answer) if !no_answer.again() => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "GiveUp"
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
    fn the_place_is_what_stands_before_the_path() {
        assert_eq!(place("http://127.0.0.1:1/"), "http://127.0.0.1:1");
        assert_eq!(place("https://[::1]:8?x"), "https://[::1]:8");
        assert_eq!(place("nonsense"), "nonsense");
    }
}
