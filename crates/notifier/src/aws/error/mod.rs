//! Why a call to AWS failed: one error type for all services, converted from the SDK's errors.
//!
//! The SDK's own errors have internal names and whole answers. They do not leave this module.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_http::endpoint::ResolveEndpointError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;

use crate::base::causes::{find, root_cause};
use crate::base::text::printable;
use crate::base::words;

mod answer;
mod kind;
#[cfg(test)]
mod tests;

pub(super) use answer::{read_json, read_xml};
pub use kind::AwsErrorKind;

/// The most characters of a message from AWS, which may be shown in reports.
pub(super) const MESSAGE_CHARS_MAX: usize = 500;

words! {
    /// A service that is called, by its name in sentences.
    #[expect(missing_docs, reason = "the words are the names")]
    pub enum AwsService {
        Ecs = "ECS",
        Ec2 = "EC2",
        Sqs = "SQS",
        DynamoDb = "DynamoDB",
        Sts = "STS",
        SecretsManager = "Secrets Manager",
        Ssm = "SSM",
        CloudWatch = "CloudWatch",
    }
}

/// Why one call failed, after the client's own retries. Its text is the message of AWS, or why there was no answer. The
/// call is in [`summary`](Self::summary), and in the errors that have this one as their source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    /// The service that was called.
    pub service: AwsService,
    /// The operation that was called.
    pub operation: &'static str,
    /// What kind of failure it was.
    pub kind: AwsErrorKind,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// AWS's code for the error, printable, if it gave one.
    pub code: Option<String>,
    /// AWS's message, or a description if AWS gave no code. Printable.
    message: String,
    /// A retry is not useful for an interactive command.
    gave_up: bool,
}

impl AwsError {
    /// Converts an error of the SDK.
    pub fn of<E>(service: AwsService, operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(RoleFailure(error)) = find(error) {
            return error.clone();
        }
        if let Some(error) = find::<ConnectionError>(error) {
            let gave_up = !error.may_retry;
            return Self { gave_up, ..Self::new(service, operation, error.kind, &error.text) };
        }
        let status = error.raw_response().map(|response| response.status().as_u16());
        match (error, status) {
            (SdkError::ServiceError(_) | SdkError::ResponseError(_), Some(status)) => {
                let is_success = (200..300).contains(&status);
                match error.code().filter(|code| !is_success && !code.is_empty()) {
                    Some(code) => Self::answered(service, operation, status, code, error.message()),
                    None if find::<hyper::Error>(error).is_some() => {
                        let message = "the connection was closed during the answer";
                        let error = Self::new(service, operation, AwsErrorKind::Unavailable, message);
                        Self { status: Some(status), ..error }
                    }
                    None => Self::unreadable(service, operation, status),
                }
            }
            (SdkError::TimeoutError(_), _) => {
                let message = "no answer in the time for all tries";
                Self::new(service, operation, AwsErrorKind::TimedOut, message)
            }
            (SdkError::DispatchFailure(failure), _) => {
                let kind = failure.as_connector_error().map_or(AwsErrorKind::NotSent, connection_kind);
                Self::without_answer(service, operation, kind, error)
            }
            _ => Self::without_answer(service, operation, AwsErrorKind::NotSent, error),
        }
    }

    /// An error answer with this status, code and message.
    pub fn answered(
        service: AwsService,
        operation: &'static str,
        status: u16,
        code: &str,
        message: Option<&str>,
    ) -> Self {
        let kind = AwsErrorKind::of_answer(status, Some(code));
        let error = Self::new(service, operation, kind, message.unwrap_or_default());
        Self { status: Some(status), code: Some(printable(code, MESSAGE_CHARS_MAX)), ..error }
    }

    /// An answer that cannot be read, or an error answer without a code.
    fn unreadable(service: AwsService, operation: &'static str, status: u16) -> Self {
        let message = format!("the answer (status {status}) cannot be read as AWS's");
        let error = Self::new(service, operation, AwsErrorKind::of_answer(status, None), &message);
        Self { status: Some(status), ..error }
    }

    /// A call that exceeded a time limit of this program.
    pub fn timed_out(service: AwsService, operation: &'static str, limit: Duration) -> Self {
        let message = format!("no answer within {limit:.1?}");
        Self::new(service, operation, AwsErrorKind::TimedOut, &message)
    }

    /// The same with this at the start of its message.
    pub(super) fn about(self, what: &str) -> Self {
        let colon = if self.message.is_empty() { "" } else { ": " };
        let message = printable(&format!("{what}{colon}{}", self.message), MESSAGE_CHARS_MAX);
        Self { message, ..self }
    }

    /// An answer without a required part.
    pub(super) fn unusable(service: AwsService, operation: &'static str, message: &str) -> Self {
        Self::new(service, operation, AwsErrorKind::NotAws, message)
    }

    /// A request that lacks a part.
    pub(crate) fn incomplete(service: AwsService, operation: &'static str, error: &BuildError) -> Self {
        Self::new(service, operation, AwsErrorKind::Invalid, &format!("the request is incomplete: {error}"))
    }

    /// A request that was not made, or had no answer. The types of the causes have more information than `kind`.
    fn without_answer(
        service: AwsService,
        operation: &'static str,
        kind: AwsErrorKind,
        error: &(dyn Error + 'static),
    ) -> Self {
        let root = root_cause(error);
        let (kind, message) = if let Some(credentials) = find::<CredentialsError>(error) {
            let kind = match credentials {
                CredentialsError::InvalidConfiguration(_) => AwsErrorKind::BadCredentialsConfig,
                _ => AwsErrorKind::NoCredentials,
            };
            (kind, format!("no AWS credentials: {}", one_line(&root)))
        } else if find::<ResolveEndpointError>(error).is_some() {
            (AwsErrorKind::NoEndpoint, format!("there is no endpoint: {root}"))
        } else {
            (kind, format!("the request cannot be made: {root}"))
        };
        Self::new(service, operation, kind, &message)
    }

    fn new(service: AwsService, operation: &'static str, kind: AwsErrorKind, message: &str) -> Self {
        let message = printable(message, MESSAGE_CHARS_MAX);
        Self { service, operation, kind, status: None, code: None, message, gave_up: false }
    }

    /// Whether another try may succeed in a moment, without anybody's doing. Never for a host that has not answered yet
    /// and that somebody waits for.
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient() && !self.gave_up
    }

    /// Whether AWS understood and refused the request.
    pub fn is_refusal(&self) -> bool {
        self.code.is_some() && !self.kind.is_transient()
    }

    /// Describes the call in a sentence.
    pub fn summary(&self) -> String {
        let Self { service, operation, .. } = self;
        let verb = if self.is_refusal() { "refused" } else { "did not answer" };
        format!("{service} {verb} {operation}")
    }

    /// Finds an `AwsError` among an error and its causes.
    pub fn among<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        find(error)
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, code, message, .. } = self;
        let (Some(code), Some(status)) = (code, status) else { return f.write_str(message) };
        let colon = if message.is_empty() { "" } else { ": " };
        write!(f, "{code}{colon}{message} (status {status})")
    }
}

impl Error for AwsError {}

/// Why one attempt got no answer from AWS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(super) struct ConnectionError {
    pub(super) kind: AwsErrorKind,
    pub(super) text: String,
    /// Whether a retry is useful: not for an interactive command and a host that never answered.
    pub(super) may_retry: bool,
}

/// Why there are no credentials of a role. A call with these credentials fails with the error inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct RoleFailure(pub(super) AwsError);

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The call failed.
    #[error("{}", .0.summary())]
    Call(#[from] AwsError),
    /// The answer is not usable.
    #[error("{0}")]
    Answer(&'static str),
}

/// The kind of a failed connection that `fail_fast` did not identify.
fn connection_kind(error: &ConnectorError) -> AwsErrorKind {
    match (error.is_timeout(), error.is_io(), error.as_other()) {
        (true, ..) => AwsErrorKind::TimedOut,
        (_, true, _) => AwsErrorKind::Unreachable,
        (.., Some(_)) => AwsErrorKind::Unavailable,
        _ => AwsErrorKind::NotSent,
    }
}

/// What each source of credentials says, in one line.
fn one_line(text: &str) -> String {
    let text = text.replace("the credential provider was not enabled: ", "");
    let text = text.replace("the credential provider was not enabled", "none");
    let sources: Vec<_> = text.lines().map(str::trim).filter(|line| !line.ends_with("Attempted:")).collect();
    sources.join("; ")
}
