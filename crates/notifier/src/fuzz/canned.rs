//! AWS as a text has it: what each operation answers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

/// The most answers of one text; after them, every answer is empty. A list that does not end must end all the same.
const ANSWERS_MAX: usize = 200;

/// An answer in which nothing is listed or described.
const EMPTY: &str =
    r#"{"taskArns":[],"tasks":[],"serviceArns":[],"services":[],"containerInstances":[],"failures":[]}"#;

/// Answers requests without a network: the SDK writes the requests and reads the answers.
#[derive(Clone, Debug)]
pub(super) struct Answers(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    answers: HashMap<String, VecDeque<(u16, String)>>,
    left: usize,
}

impl Answers {
    /// Lines of `Operation [status] body`. Of several lines for one operation each is one answer, and the last is
    /// repeated; an operation without any answers empty lists. A status that is none is a broken connection.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut answers = HashMap::<String, VecDeque<_>>::new();
        for line in text.lines() {
            let (operation, answer) = line.split_once(' ').unwrap_or((line, ""));
            let (status, body) = match answer.split_once(' ') {
                Some((status, body)) if status.len() == 3 => match status.parse() {
                    Ok(status) => (status, body),
                    Err(_) => (200, answer),
                },
                _ => (200, answer),
            };
            answers.entry(operation.to_owned()).or_default().push_back((status, body.to_owned()));
        }
        Self(Arc::new(Mutex::new(State { answers, left: ANSWERS_MAX })))
    }

    fn next(&self, operation: &str) -> (u16, String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = || (200, EMPTY.to_owned());
        let Some(left) = state.left.checked_sub(1) else { return empty() };
        state.left = left;
        let Some(answers) = state.answers.get_mut(operation) else { return empty() };
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }.unwrap_or_else(empty)
    }
}

impl HttpConnector for Answers {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // The one operation of EC2 speaks another protocol than the rest.
        let target = request.headers().get("x-amz-target").unwrap_or("DescribeInstances");
        let (status, body) = self.next(target.rsplit('.').next().unwrap_or_default());
        let answer =
            StatusCode::try_from(status).map(|status| HttpResponse::new(status, SdkBody::from(body)));
        HttpConnectorFuture::ready(answer.map_err(|error| ConnectorError::other(error.into(), None)))
    }
}

impl HttpClient for Answers {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
