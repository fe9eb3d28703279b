//! What follows from an error of DynamoDB, and what to do about it. Pure.

use std::error::Error;
use std::time::Duration;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::aws::reach::NoAnswer;

/// Anything that can be a source.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// What went wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The table or the account has too much to do.
    Busy,
    /// DynamoDB is ill, or nobody answers, or not DynamoDB. Nothing is known of what was done.
    Broken,
    /// Nobody answers where DynamoDB should be, and somebody waits who wants to know.
    Unreachable,
    /// The session of whoever asks has ended. A role's is renewed by itself.
    Expired,
    /// The signature does not fit: a clock that is wrong, or a secret key.
    Signature,
    /// The request could not be made, as without credentials or a region.
    Unmade,
    /// A code that we do not know. Nobody can say that it will be the same next time, so nothing may be lost by it.
    Unknown,
    /// There is no such table.
    NoTable,
    /// Whoever asks may not.
    Denied,
    /// AWS does not know who asks.
    Stranger,
    /// The table has other keys, or the request cannot be kept.
    Invalid,
    /// Something that is not DynamoDB answers, and says so.
    NotDynamoDb,
    /// An answer that is none, as of a proxy, or that is about something else.
    Nonsense,
    /// The table is another program's.
    Foreign,
}

impl Trouble {
    /// What an error of the SDK is.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if NoAnswer::among(error).is_some_and(|no_answer| !no_answer.again()) {
            return Self::Unreachable;
        }
        match error {
            SdkError::ServiceError(answer) => {
                Self::said(answer.raw().status().as_u16(), answer.err().meta().code())
            }
            SdkError::DispatchFailure(failure)
                if failure.is_user() || failure.is_other() && failure.as_other().is_none() =>
            {
                Self::Unmade
            }
            SdkError::ConstructionFailure(_) => Self::Unmade,
            _ => Self::Broken,
        }
    }

    /// What an error answer of this status and code is.
    ///
    /// Source: "Error handling with DynamoDB" and "Common errors", Amazon DynamoDB.
    fn said(status: u16, code: Option<&str>) -> Self {
        match code {
            Some(
                "ReplicatedWriteConflictException"
                | "InternalServerError"
                | "ServiceUnavailable"
                | "ServiceUnavailableException",
            ) => Self::Broken,
            Some(code) if THROTTLING_ERRORS.contains(&code) => Self::Busy,
            Some(code) if TRANSIENT_ERRORS.contains(&code) => Self::Broken,
            _ if status >= 500 || status == 408 => Self::Broken,
            _ if status == 429 => Self::Busy,
            _ if status < 400 => Self::Nonsense,
            Some("ResourceNotFoundException") => Self::NoTable,
            Some("AccessDeniedException" | "AccessDenied") => Self::Denied,
            Some(
                "UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "MissingAuthenticationToken"
                | "MissingAuthenticationTokenException"
                | "IncompleteSignatureException"
                | "IncompleteSignature",
            ) => Self::Stranger,
            Some("ExpiredTokenException" | "ExpiredToken" | "RequestExpired") => Self::Expired,
            Some("InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed") => {
                Self::Signature
            }
            Some(
                "ValidationException"
                | "ValidationError"
                | "SerializationException"
                | "ItemCollectionSizeLimitExceededException",
            ) => Self::Invalid,
            Some("UnknownOperationException" | "InvalidAction") => Self::NotDynamoDb,
            _ => Self::Unknown,
        }
    }

    /// Whether the same request may succeed in a moment.
    pub(super) fn is_passing(self) -> bool {
        matches!(self, Self::Busy | Self::Broken | Self::Nonsense)
    }

    /// Whether the same request would fail until somebody changes something.
    pub(super) fn is_final(self) -> bool {
        matches!(
            self,
            Self::NoTable | Self::Denied | Self::Stranger | Self::Invalid | Self::NotDynamoDb | Self::Foreign
        )
    }

    /// What to do about it.
    fn advice(self, operation: &'static str) -> String {
        let advice = match self {
            Self::Busy => "the table has too much to do; its metric `ThrottledRequests` shows for how long",
            Self::Broken => {
                "no answer; look at the network, the VPC's endpoint for DynamoDB, and AWS's health dashboard"
            }
            Self::Unreachable => {
                "DynamoDB cannot be reached; look at the network, the region and `AWS_ENDPOINT_URL`"
            }
            Self::Expired => "the session has expired; log in again (a role's is renewed by itself)",
            Self::Signature => {
                "the signature does not fit; look at this machine's clock and at the secret key"
            }
            Self::Unmade => "nothing could be asked; look at the credentials, the region and the proxy",
            Self::Unknown => "an error that this version does not know; what AWS says follows",
            Self::NoTable => {
                "there is no such table in this account and region; `NOTIFIER_LEDGER` names it, and \
                 `create_ledger` of the Terraform module makes it"
            }
            Self::Denied => {
                return format!(
                    "`dynamodb:{operation}` on the table, or the use of its key, is not allowed; the Terraform \
                     module allows it in the statements `KeepLedger` and `UseKey` of each function's role"
                );
            }
            Self::Stranger => "AWS does not know the credentials; choose others",
            Self::Invalid => {
                "the table does not take it; its keys must be `pk` and `sk`, both text, as the Terraform \
                 module makes them"
            }
            Self::NotDynamoDb | Self::Nonsense => {
                "whoever answers is not DynamoDB; look at `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_DYNAMODB`"
            }
            Self::Foreign => "the table is another program's; name the ledger's own in `NOTIFIER_LEDGER`",
        };
        advice.to_owned()
    }

    /// An error that says what to do, with its cause.
    pub(super) fn because(self, operation: &'static str, source: impl Into<BoxError>) -> Advised {
        Advised { advice: self.advice(operation), source: source.into() }
    }
}

/// What to do, and why.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
pub(super) struct Advised {
    advice: String,
    source: BoxError,
}

/// There was no progress for too long.
#[derive(Debug, thiserror::Error)]
#[error("given up after {standstill:.1?} without progress")]
pub(super) struct GivenUp {
    pub(super) standstill: Duration,
    pub(super) source: BoxError,
}

/// A batch had items left again and again.
#[derive(Debug, thiserror::Error)]
#[error("items left undone: {left}")]
pub(super) struct Undone {
    pub(super) left: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passing, later or final.
    fn check(status: u16, code: &str, trouble: Trouble, follows: &str) {
        let found = Trouble::said(status, Some(code).filter(|code| !code.is_empty()));
        assert_eq!(found, trouble, "{status} {code}");
        let said = match (found.is_passing(), found.is_final()) {
            (true, false) => "passing",
            (false, false) => "later",
            (false, true) => "final",
            (true, true) => "both",
        };
        assert_eq!(said, follows, "{status} {code}");
    }

    #[test]
    fn what_follows_from_each_code() {
        check(400, "ProvisionedThroughputExceededException", Trouble::Busy, "passing");
        check(400, "ThrottlingException", Trouble::Busy, "passing");
        check(400, "RequestLimitExceeded", Trouble::Busy, "passing");
        check(400, "LimitExceededException", Trouble::Busy, "passing");
        check(429, "", Trouble::Busy, "passing");
        check(400, "ReplicatedWriteConflictException", Trouble::Broken, "passing");
        check(400, "RequestTimeout", Trouble::Broken, "passing");
        check(408, "", Trouble::Broken, "passing");
        check(500, "InternalServerError", Trouble::Broken, "passing");
        check(503, "ServiceUnavailable", Trouble::Broken, "passing");
        check(500, "SomethingNew", Trouble::Broken, "passing");
        check(502, "", Trouble::Broken, "passing");
        check(500, "AccessDeniedException", Trouble::Broken, "passing");
        check(200, "", Trouble::Nonsense, "passing");

        check(400, "ExpiredTokenException", Trouble::Expired, "later");
        check(403, "RequestExpired", Trouble::Expired, "later");
        check(400, "InvalidSignatureException", Trouble::Signature, "later");
        check(403, "RequestTimeTooSkewed", Trouble::Signature, "later");
        check(400, "SomethingNew", Trouble::Unknown, "later");
        check(403, "", Trouble::Unknown, "later");
        check(413, "", Trouble::Unknown, "later");

        check(400, "ResourceNotFoundException", Trouble::NoTable, "final");
        check(400, "AccessDeniedException", Trouble::Denied, "final");
        check(400, "UnrecognizedClientException", Trouble::Stranger, "final");
        check(403, "MissingAuthenticationToken", Trouble::Stranger, "final");
        check(400, "IncompleteSignatureException", Trouble::Stranger, "final");
        check(400, "ValidationException", Trouble::Invalid, "final");
        check(400, "ItemCollectionSizeLimitExceededException", Trouble::Invalid, "final");
        check(400, "UnknownOperationException", Trouble::NotDynamoDb, "final");
    }
}
