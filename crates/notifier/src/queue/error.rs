//! What goes wrong with a queue, by what can be done about it.

use std::error::Error;

use aws_sdk_sqs::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::aws::error;
use crate::base::text::printable;

/// The most characters of SQS's words that are kept.
const WORDS_CHARS_MAX: usize = 500;

type Source = Box<dyn Error + Send + Sync>;

/// Why a call about a queue failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// There is no such queue. SQS also says so of a queue in another account that we may not see.
    #[error("queue {queue} does not exist in this account and region")]
    Unknown {
        /// URL or name.
        queue: String,
        /// SQS's answer.
        source: Source,
    },
    /// The credentials do not allow the call.
    #[error("no permission for {operation} on queue {queue}: {message}")]
    Denied {
        /// URL or name.
        queue: String,
        /// The refused operation.
        operation: &'static str,
        /// What SQS says.
        message: String,
        /// SQS's answer.
        source: Source,
    },
    /// Too many calls, or too many messages in flight.
    #[error("SQS throttles {operation} on queue {queue}")]
    Throttled {
        /// URL or name.
        queue: String,
        /// The throttled operation.
        operation: &'static str,
        /// SQS's answer.
        source: Source,
    },
    /// No answer, or one that says SQS itself has failed.
    #[error("SQS cannot be reached for {operation} on queue {queue}")]
    Unavailable {
        /// URL or name.
        queue: String,
        /// The failed operation.
        operation: &'static str,
        /// What happened on the way.
        source: Source,
    },
    /// An answer that means success and does not say what was done.
    #[error(
        "the answer to {operation} on queue {queue} has no {what}, which SQS always sends: nobody knows whether it was done"
    )]
    NotSqs {
        /// URL or name.
        queue: String,
        /// The operation.
        operation: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// What was named is neither the URL of a queue nor its name.
    #[error("`{place}` is not the URL or name of a queue: {problem}")]
    NotAPlace {
        /// What was named, shortened.
        place: String,
        /// Why not, and what to write instead.
        problem: String,
    },
    /// SQS does not accept the call.
    #[error("SQS refuses {operation} on queue {queue}: {code}: {message}")]
    Refused {
        /// URL or name.
        queue: String,
        /// The refused operation.
        operation: &'static str,
        /// SQS's error code.
        code: String,
        /// What SQS says.
        message: String,
        /// SQS's answer.
        source: Source,
    },
}

impl QueueError {
    /// Sorts the error of an SDK call.
    #[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
    pub(super) fn of<E>(queue: &str, operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = printable(error.code().unwrap_or_default(), WORDS_CHARS_MAX);
        let message = printable(error.message().unwrap_or("no message"), WORDS_CHARS_MAX);
        let source: Source = error::cause(&error);
        let queue = queue.to_owned();
        match Kind::of(status, &code) {
            Kind::Unknown => Self::Unknown { queue, source },
            Kind::Denied => Self::Denied { queue, operation, message, source },
            Kind::Throttled => Self::Throttled { queue, operation, source },
            Kind::Unavailable => Self::Unavailable { queue, operation, source },
            Kind::Refused => Self::Refused { queue, operation, code, message, source },
        }
    }

    /// A call that took too long.
    pub(super) fn late(queue: &str, operation: &'static str, late: tokio::time::error::Elapsed) -> Self {
        Self::Unavailable { queue: queue.to_owned(), operation, source: late.into() }
    }

    /// A call that the SDK does not even make.
    pub(super) fn unmade(queue: &str, operation: &'static str, error: BuildError) -> Self {
        Self::Refused {
            queue: queue.to_owned(),
            operation,
            code: "Incomplete".to_owned(),
            message: error.to_string(),
            source: error.into(),
        }
    }

    /// Whether the same call may work later without anybody mending anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable { .. })
    }

    /// Whether SQS objects to what the call carries, not to the queue or to who calls.
    pub(super) fn is_about_content(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

enum Kind {
    Unknown,
    Denied,
    Throttled,
    Unavailable,
    Refused,
}

impl Kind {
    /// Codes: Amazon SQS API Reference, the operations' errors and "Common Errors". Without a status there was no answer.
    fn of(status: Option<u16>, code: &str) -> Self {
        let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
        match (code, status) {
            ("QueueDoesNotExist" | "NonExistentQueue" | "InvalidAddress", _) => Self::Unknown,
            (
                "AccessDenied"
                | "AccessDeniedException"
                | "ExpiredToken"
                | "ExpiredTokenException"
                | "IncompleteSignature"
                | "InvalidClientTokenId"
                | "InvalidSecurity"
                | "KmsAccessDenied"
                | "KMS.AccessDeniedException"
                | "MissingAuthenticationToken"
                | "NotAuthorized"
                | "OptInRequired"
                | "SignatureDoesNotMatch"
                | "UnrecognizedClientException",
                _,
            ) => Self::Denied,
            (code, _) if throttles(code) => Self::Throttled,
            // An answer that means success to HTTP but nothing to the SDK came from something in between.
            (_, None | Some(..400 | 500..)) => Self::Unavailable,
            _ => Self::Refused,
        }
    }
}

/// Whether a code asks for fewer calls, for a call or for an entry of a batch.
pub(super) fn throttles(code: &str) -> bool {
    code.contains("Throttl") || matches!(code, "OverLimit" | "TooManyRequestsException")
}
