//! Errors of calls about a queue.

use aws_sdk_sqs::error::BuildError;

use crate::aws::{AwsError, AwsErrorKind, AwsService};

/// Why a call about a queue failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum QueueError {
    /// The queue does not exist. SQS reports the same for a queue of another account without permission.
    #[error("queue {queue} does not exist in this account and region")]
    Unknown { queue: String, source: AwsError },
    #[error("{} on queue {queue}", what_failed(.source))]
    Call { queue: String, source: AwsError },
    /// An answer that SQS does not give.
    #[error("the answer to {operation} on queue {queue} has {problem}")]
    NotSqs { queue: String, operation: &'static str, problem: String },
    #[error("`{name}` is not the URL or name of a queue: {problem}")]
    InvalidName { name: String, problem: String },
}

impl QueueError {
    /// Converts an error of a call.
    pub(super) fn of(queue: &str, source: AwsError) -> Self {
        let queue = queue.to_owned();
        match source.kind {
            AwsErrorKind::NotFound => Self::Unknown { queue, source },
            _ => Self::Call { queue, source },
        }
    }

    /// An answer that means success and does not say what was done.
    pub(super) fn without(queue: &str, operation: &'static str, what: &str) -> Self {
        let problem = format!("no {what}, which SQS always sends: it is unknown whether it was done");
        Self::NotSqs { queue: queue.to_owned(), operation, problem }
    }

    /// A call that the SDK could not build.
    pub(super) fn incomplete(queue: &str, operation: &'static str) -> impl Fn(BuildError) -> Self {
        move |error| Self::of(queue, AwsError::incomplete(AwsService::Sqs, operation, &error))
    }

    /// Whether the same call may succeed later without a change. Missing credentials may appear later: the credentials of a
    /// role come from the network too.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Call { source, .. } => source.is_transient() || source.kind.is_local(),
            _ => false,
        }
    }

    /// Whether SQS refuses the content of the call, not the queue or the caller. Most such codes belong to one operation,
    /// so unknown codes count too.
    pub(super) fn is_about_content(&self) -> bool {
        let Self::Call { source, .. } = self else { return false };
        matches!(source.kind, AwsErrorKind::Invalid | AwsErrorKind::Unknown | AwsErrorKind::UnknownOperation)
    }
}

/// Describes the failed call.
fn what_failed(error: &AwsError) -> String {
    let operation = error.operation;
    match error.kind {
        AwsErrorKind::AccessDenied => format!("no permission for {operation}"),
        AwsErrorKind::Throttled => format!("SQS throttles {operation}"),
        _ if error.is_refusal() => format!("SQS refuses {operation}"),
        _ => format!("SQS cannot be reached for {operation}"),
    }
}
