//! Why a body or one of its records cannot be read.

use serde_json::value::RawValue;

use crate::base::text::printable;

/// The most characters of outside text in an error.
const SHOWN_CHARS_MAX: usize = 200;

/// What a body may be, for an error.
const EXPECTED: &str = "a direct message (`cluster`), an SNS notification, an EventBridge event, S3 or DynamoDB records, or a \
     CloudEvent";

/// Why a body, or one record of it, cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The body is not JSON.
    #[error("the body is not JSON; expected {EXPECTED}")]
    NotJson(#[source] serde_json::Error),
    /// The body is JSON, but of no known source.
    #[error("the body is {found}; expected {EXPECTED}")]
    Unknown {
        /// What the body is, for example its members.
        found: String,
    },
    /// The body is a direct message with an error.
    #[error("the direct message cannot be read")]
    Direct(#[source] wire::BodyError),
    /// A part of a known source is missing or wrong.
    #[error("{source_name}: {problem}")]
    Wrong {
        /// For example `S3 record`.
        source_name: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A topic asks for the confirmation of its subscription.
    #[error(
        "SNS asks to confirm the subscription to {topic}: call ConfirmSubscription with the token of this message, or open \
         its SubscribeURL"
    )]
    Unconfirmed {
        /// The ARN of the topic.
        topic: String,
    },
    /// The body is larger than a message may be.
    #[error("the body has {bytes} bytes, but at most {max} are allowed", max = wire::MESSAGE_BYTES_MAX)]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
}

impl SourceError {
    /// An error of a known source.
    pub(super) fn wrong(source_name: &'static str, problem: impl Into<String>) -> Self {
        Self::Wrong { source_name, problem: problem.into() }
    }

    /// A member that is missing or has the wrong type.
    pub(super) fn json(source_name: &'static str, error: &serde_json::Error) -> Self {
        Self::wrong(source_name, printable(&error.to_string(), SHOWN_CHARS_MAX))
    }

    /// JSON of no known source.
    pub(super) fn unknown(found: impl Into<String>) -> Self {
        Self::Unknown { found: found.into() }
    }
}

/// Shortens and escapes outside text for an error.
pub(super) fn shown(text: &str) -> String {
    printable(text, SHOWN_CHARS_MAX)
}

/// One record of a body that cannot be read. Its neighbours can.
#[derive(Debug)]
pub struct BadRecord {
    /// A body with this record alone: sent to the observer queue, it is read as the same record.
    pub body: String,
    /// Why it cannot be read.
    pub error: SourceError,
}

impl BadRecord {
    /// A record that reads as the same record by itself.
    pub(super) fn alone(record: &RawValue, error: SourceError) -> Self {
        Self { body: record.get().to_owned(), error }
    }

    /// A record of an array `Records`.
    pub(super) fn of_records(record: &RawValue, error: SourceError) -> Self {
        Self { body: format!("{{\"Records\":[{}]}}", record.get()), error }
    }
}
