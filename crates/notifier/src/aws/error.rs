//! What AWS says when it does not answer, whatever the protocol.

use std::error::Error;
use std::fmt;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use serde::Deserialize;

use super::reach::NoAnswer;
use crate::base::text::{self, printable};

/// The longest message of AWS that is kept, in characters: it ends up in reports.
pub(crate) const MESSAGE_CHARS_MAX: usize = 500;

/// An error answer. Which codes are worth another try is decided by the SDK's own classifiers.
#[derive(Debug)]
pub(super) struct Fault {
    status: u16,
    said: ErrorMetadata,
}

impl Fault {
    /// An answer with this status, and AWS's code and message. Without a code, it may be a proxy's page.
    pub(super) fn new(status: u16, said: Option<(String, String)>) -> Self {
        let mut metadata = ErrorMetadata::builder();
        if let Some((code, message)) = said {
            metadata = metadata
                .code(printable(&code, MESSAGE_CHARS_MAX))
                .message(printable(&message, MESSAGE_CHARS_MAX));
        }
        Self { status, said: metadata.build() }
    }

    /// AWS's code and message when it understood the request and said no; `None` when the same request may succeed
    /// later: then the tries are used up, and nobody was refused anything.
    pub(super) fn refusal(&self) -> Option<(&str, &str)> {
        let code = self.said.code().filter(|code| self.status < 500 && !is_passing(code))?;
        Some((code, self.said.message().unwrap_or("no message")))
    }
}

/// Why a request has no answer that could be read, in words for whoever runs this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unanswered(String);

impl Unanswered {
    /// The SDK's own words name its parts, and may repeat a whole request or answer.
    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + 'static,
    {
        if let Some(no_answer) = NoAnswer::among(error) {
            return Self(no_answer.to_string());
        }
        let lower = text::chain(error).to_lowercase();
        let last =
            std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source()).last();
        let last = last.map_or_else(String::new, |last| printable(&last.to_string(), MESSAGE_CHARS_MAX));
        Self(match error {
            SdkError::TimeoutError(_) => "no answer in the time for all tries".to_owned(),
            SdkError::ResponseError(answer) => unreadable(answer.raw()),
            SdkError::ServiceError(answer) if answer.raw().status().is_success() => unreadable(answer.raw()),
            SdkError::ServiceError(answer) => said(Some(answer.raw())),
            _ if lower.contains("region") => "no AWS region is set".to_owned(),
            _ if lower.contains("credential") => no_credentials(error),
            _ => format!("the request cannot be made: {last}"),
        })
    }
}

/// Why a call failed, as a cause to show: AWS's code and words, or why there are none. The SDK's errors repeat what they read
/// as it is, in the form of its types.
pub(crate) fn cause<E>(error: &SdkError<E, HttpResponse>) -> Box<dyn Error + Send + Sync>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error.code() {
        Some(code) => {
            let status = error.raw_response().map_or(0, |response| response.status().as_u16());
            let message = error.message().unwrap_or("no message").to_owned();
            Fault::new(status, Some((code.to_owned(), message))).into()
        }
        None => Unanswered::of(error).into(),
    }
}

fn unreadable(answer: &HttpResponse) -> String {
    format!("the answer (status {}) cannot be read as AWS's", answer.status().as_u16())
}

/// What each source of credentials says, in one line.
fn no_credentials(error: &(dyn Error + 'static)) -> String {
    let last = std::iter::successors(Some(error), |&error| error.source()).last();
    let said = last.map(ToString::to_string).unwrap_or_default();
    let said = said.replace("the credential provider was not enabled: ", "");
    let said = said.replace("the credential provider was not enabled", "none");
    let sources: Vec<_> = said.lines().map(str::trim).filter(|line| !line.ends_with("Attempted:")).collect();
    format!("no AWS credentials: {}", printable(&sources.join("; "), MESSAGE_CHARS_MAX))
}

/// The code and status of an error answer.
pub(super) fn said(response: Option<&HttpResponse>) -> String {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "__type")]
        kind: String,
    }
    let Some(response) = response else { return "no answer".to_owned() };
    let status = response.status().as_u16();
    let body = response.body().bytes().unwrap_or_default();
    match serde_json::from_slice::<Document>(body) {
        Ok(Document { kind }) => {
            let code = kind.rsplit('#').next().unwrap_or_default();
            format!("{} (status {status})", printable(code, MESSAGE_CHARS_MAX))
        }
        Err(_) => format!("status {status} without an error code"),
    }
}

fn is_passing(code: &str) -> bool {
    THROTTLING_ERRORS.contains(&code) || TRANSIENT_ERRORS.contains(&code)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, said } = self;
        match (said.code(), said.message()) {
            (Some(code), Some(message)) => write!(f, "{code}: {message} (status {status})"),
            (Some(code), None) => write!(f, "{code} (status {status})"),
            (None, _) => write!(f, "status {status} without an error code"),
        }
    }
}

impl std::error::Error for Fault {}

impl ProvideErrorMetadata for Fault {
    fn meta(&self) -> &ErrorMetadata {
        &self.said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_end_is_cut() {
        let fault = Fault::new(400, Some(("Code".to_owned(), "ü".repeat(100_000))));
        assert_eq!(fault.said.message().map(|message| message.chars().count()), Some(MESSAGE_CHARS_MAX));
    }
}
