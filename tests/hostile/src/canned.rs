//! AWS clients whose responses are read from a text, without a network: the SDK writes the requests and reads the responses.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use notifier::aws::Aws;
use notifier::aws::budget::Budget;

/// Maximum number of responses of one text. Later responses are empty, so that an endless list ends.
const RESPONSES_MAX: usize = 200;

/// A response that lists and describes nothing.
const EMPTY: &str =
    r#"{"taskArns":[],"tasks":[],"serviceArns":[],"services":[],"containerInstances":[],"failures":[]}"#;

/// Returns clients that read their responses from this text and make one attempt per request.
///
/// Each line is `Operation [status] body`. Several lines of one operation are its responses in order, and the last one
/// repeats. An operation without a line returns empty lists. An invalid status is a broken connection.
pub(crate) fn aws(responses: &[u8]) -> Aws {
    let credentials = Credentials::new("hostile", "hostile", None, None, "hostile");
    let retries = RetryConfig::standard().with_max_attempts(1);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Responses::parse(responses))
        .retry_config(retries.with_initial_backoff(Duration::ZERO).with_max_backoff(Duration::ZERO))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .region(Region::new("us-east-1"))
        .endpoint_url("http://aws.invalid");
    Aws::from_sdk_config(config.build(), Budget::unlimited())
}

/// The responses of each operation.
#[derive(Clone, Debug)]
struct Responses(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    responses: HashMap<String, VecDeque<(u16, String)>>,
    left: usize,
}

impl Responses {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut responses = HashMap::<String, VecDeque<_>>::new();
        for line in text.lines() {
            let (operation, response) = line.split_once(' ').unwrap_or((line, ""));
            let (status, body) = match response.split_once(' ') {
                Some((status, body)) if status.len() == 3 => match status.parse() {
                    Ok(status) => (status, body),
                    Err(_) => (200, response),
                },
                _ => (200, response),
            };
            responses.entry(operation.to_owned()).or_default().push_back((status, body.to_owned()));
        }
        Self(Arc::new(Mutex::new(State { responses, left: RESPONSES_MAX })))
    }

    fn next(&self, operation: &str) -> (u16, String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = || (200, EMPTY.to_owned());
        let Some(left) = state.left.checked_sub(1) else { return empty() };
        state.left = left;
        let Some(responses) = state.responses.get_mut(operation) else { return empty() };
        if responses.len() > 1 { responses.pop_front() } else { responses.front().cloned() }
            .unwrap_or_else(empty)
    }
}

impl HttpConnector for Responses {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // EC2 has no such header. `DescribeInstances` is its only operation here.
        let target = request.headers().get("x-amz-target").unwrap_or("DescribeInstances");
        let (status, body) = self.next(target.rsplit('.').next().unwrap_or_default());
        let response =
            StatusCode::try_from(status).map(|status| HttpResponse::new(status, SdkBody::from(body)));
        HttpConnectorFuture::ready(response.map_err(|error| ConnectorError::other(error.into(), None)))
    }
}

impl HttpClient for Responses {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
