//! The error of an attempt without an answer.

use super::AwsErrorKind;

/// Why one attempt got no answer from AWS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(in crate::aws) struct ConnectionError {
    pub(in crate::aws) kind: AwsErrorKind,
    pub(in crate::aws) text: String,
    /// Whether a retry is useful: not for an interactive command and a host that never answered.
    pub(in crate::aws) may_retry: bool,
}
