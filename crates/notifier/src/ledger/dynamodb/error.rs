//! What to do about an error of DynamoDB. Pure.

use std::error::Error;
use std::time::Duration;

use crate::aws::AwsErrorKind as Kind;
use crate::ledger::store::{StoreCause, StoreProblem};

/// Anything that can be a source.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// The cause of a store's error: what to do about it, and why.
pub(super) fn advised(
    problem: StoreProblem,
    operation: &'static str,
    source: impl Into<BoxError>,
) -> StoreCause {
    let advice = match problem {
        StoreProblem::Table(kind) => advice(kind, operation),
        _ => "the table is another program's; name the ledger's own in `NOTIFIER_LEDGER`".to_owned(),
    };
    StoreCause::new(problem, Advised { advice, source: source.into() })
}

fn advice(kind: Kind, operation: &'static str) -> String {
    let advice = match kind {
        Kind::Throttled => "the table has too much to do; its metric `ThrottledRequests` shows for how long",
        Kind::Unavailable | Kind::TimedOut => {
            "no answer; look at the network, the VPC's endpoint for DynamoDB, and AWS's health dashboard"
        }
        Kind::Unreachable => {
            "no answer: DynamoDB cannot be reached; look at the network, the VPC's endpoint for DynamoDB, the region \
             and `AWS_ENDPOINT_URL`"
        }
        Kind::ExpiredCredentials => "the session has expired; log in again (a role's is renewed by itself)",
        Kind::BadSignature => {
            "the signature does not match; look at this machine's clock and at the secret key"
        }
        Kind::NoCredentials | Kind::BadCredentialsConfig | Kind::NoEndpoint | Kind::NotSent => {
            "no request could be made; look at the credentials, the region and the proxy"
        }
        Kind::Unknown => "an error that this version does not know; what AWS says follows",
        Kind::NotFound => {
            "there is no such table in this account and region; `NOTIFIER_LEDGER` names it, and \
             `create_ledger` of the Terraform module makes it"
        }
        Kind::AccessDenied => {
            return format!(
                "`dynamodb:{operation}` on the table, or the use of its key, is not allowed; the Terraform \
                 module allows it in the statements `KeepLedger` and `UseKey` of each function's role"
            );
        }
        Kind::InvalidCredentials => "AWS does not know the credentials; choose others",
        Kind::Invalid => {
            "the table does not take it; its keys must be `pk` and `sk`, both text, as the Terraform \
             module makes them"
        }
        Kind::UnknownOperation | Kind::NotAws => {
            "whoever answers is not DynamoDB; look at `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_DYNAMODB`"
        }
    };
    advice.to_owned()
}

/// What to do, and why.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
struct Advised {
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
