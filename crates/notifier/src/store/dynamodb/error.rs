//! What to do about an error of DynamoDB. Pure.

use std::error::Error;
use std::time::Duration;

use crate::aws::AwsErrorKind as Kind;
use crate::store::StoreProblem;

/// Any error that can be a source.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// An error with advice.
pub(super) fn advised(
    problem: StoreProblem,
    operation: &'static str,
    source: impl Into<BoxError>,
) -> Advised {
    let advice = match problem {
        StoreProblem::Table(kind) => advice(kind, operation),
        _ => "the table belongs to another program; set the ledger's table in `NOTIFIER_LEDGER`".to_owned(),
    };
    Advised { advice, source: source.into() }
}

fn advice(kind: Kind, operation: &'static str) -> String {
    let advice = match kind {
        Kind::Throttled => "the table is throttled; its metric `ThrottledRequests` shows for how long",
        Kind::Unavailable | Kind::TimedOut => {
            "no answer; check the network, the VPC endpoint for DynamoDB, and the AWS health dashboard"
        }
        Kind::Unreachable => {
            "DynamoDB cannot be reached; check the network, the VPC endpoint for DynamoDB, the region \
             and `AWS_ENDPOINT_URL`"
        }
        Kind::ExpiredCredentials => {
            "the session has expired; log in again (the session of a role is renewed automatically)"
        }
        Kind::BadSignature => "the signature does not match; check this machine's clock and the secret key",
        Kind::NoCredentials | Kind::BadCredentialsConfig | Kind::NoEndpoint | Kind::NotSent => {
            "no request could be made; check the credentials, the region and the proxy"
        }
        Kind::Unknown => "unknown error; the message from AWS follows",
        Kind::NotFound => {
            "the table does not exist in this account and region; check `NOTIFIER_LEDGER`, or create it with \
             `create_ledger` of the Terraform module"
        }
        Kind::AccessDenied => {
            return format!(
                "`dynamodb:{operation}` on the table, or the use of its key, is not allowed; the Terraform \
                 module allows it in the statements `KeepLedger` and `UseKey` of each function's role"
            );
        }
        Kind::InvalidCredentials => "AWS does not accept the credentials; use others",
        Kind::Invalid => {
            "the table does not accept the request; its keys must be `pk` and `sk`, both strings, as in the \
             Terraform module"
        }
        Kind::UnknownOperation | Kind::NotAws => {
            "the response is not from DynamoDB; check `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_DYNAMODB`"
        }
    };
    advice.to_owned()
}

/// Advice and its cause.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
pub(super) struct Advised {
    advice: String,
    source: BoxError,
}

/// No progress for too long.
#[derive(Debug, thiserror::Error)]
#[error("no progress for {standstill:.1?}")]
pub(super) struct GivenUp {
    pub(super) standstill: Duration,
    pub(super) source: BoxError,
}
