//! What a producer put into a message, and whether SQS takes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::attributes::{self, Attributes, WireValue, is_legal};
use super::errors;
use crate::error::AwsError;

/// Longest delay of a message or queue.
pub(super) const DELAY_SECONDS_MAX: u64 = 900;

/// Longest group id.
const GROUP_CHARS_MAX: usize = 128;

/// A message as it is sent: the request of `SendMessage`, or one entry of `SendMessageBatch`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Draft {
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: Option<BTreeMap<String, WireValue>>,
    #[serde(default)]
    message_system_attributes: Option<BTreeMap<String, WireValue>>,
    message_deduplication_id: Option<String>,
    message_group_id: Option<String>,
}

/// The valid content of a message. Never changes, so every copy of the message shares it.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) body: String,
    pub(super) body_md5: String,
    pub(super) attributes: Attributes,
    /// The X-Ray header, the one system attribute that producers may set.
    pub(super) trace: Option<String>,
    pub(super) system_md5: Option<String>,
    /// The tenant, for fair queues.
    pub(super) group: Option<Arc<str>>,
    /// The unique id of the sender.
    pub(super) sender: String,
}

/// A valid message and when it may first be received.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) content: Content,
    /// `None` leaves it to the queue.
    pub(super) delay_s: Option<u64>,
}

impl Draft {
    /// Whether there is a body at all; SQS refuses even a whole batch for one entry without.
    pub(super) fn has_body(&self) -> bool {
        self.message_body.as_ref().is_some_and(|body| !body.is_empty())
    }

    /// Checks everything but the size, which has other limits in a batch than alone.
    pub(super) fn check(self, sender: &str) -> Result<Accepted, AwsError> {
        let body = self
            .message_body
            .filter(|body| !body.is_empty())
            .ok_or_else(|| errors::missing("MessageBody"))?;
        if !body.chars().all(is_legal) {
            return Err(errors::invalid_contents());
        }
        if let Some(id) = self.message_deduplication_id {
            return Err(errors::invalid_value(
                id,
                "MessageDeduplicationId",
                "The request includes a parameter that is not valid for this queue type.",
            ));
        }
        let group = self.message_group_id.map(check_group).transpose()?.map(Arc::from);
        let delay_s = self.delay_seconds.map(check_delay).transpose()?;
        let attributes = Attributes::read(self.message_attributes.unwrap_or_default())?;
        let (trace, system_md5) =
            attributes::trace_header(self.message_system_attributes.unwrap_or_default())?;
        let body_md5 = attributes::body_md5(&body);
        let sender = sender.to_owned();
        let content = Content { body, body_md5, attributes, trace, system_md5, group, sender };
        Ok(Accepted { content, delay_s })
    }
}

impl Content {
    /// Bytes that count towards the limits: body and attributes, not the trace header.
    pub(super) fn size(&self) -> usize {
        self.body.len() + self.attributes.size()
    }
}

fn check_group(group: String) -> Result<String, AwsError> {
    if group.is_empty() || group.len() > GROUP_CHARS_MAX || !group.chars().all(|c| c.is_ascii_graphic()) {
        return Err(errors::invalid_value(
            group,
            "MessageGroupId",
            "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.",
        ));
    }
    Ok(group)
}

fn check_delay(seconds: i64) -> Result<u64, AwsError> {
    u64::try_from(seconds).ok().filter(|&delay| delay <= DELAY_SECONDS_MAX).ok_or_else(|| {
        errors::invalid_value(seconds, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(draft: Value) -> Result<Accepted, AwsError> {
        serde_json::from_value::<Draft>(draft).expect("draft").check("AIDA")
    }

    #[test]
    fn size_counts_body_and_attributes_but_not_the_trace_header() {
        let accepted = check(json!({
            "MessageBody": "héllo",
            "MessageAttributes": {"k": {"DataType": "String", "StringValue": "x"}},
            "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-2-3"}},
        }))
        .expect("valid");
        assert_eq!(accepted.content.size(), 6 + 1 + 6 + 1);
        assert_eq!(accepted.content.trace.as_deref(), Some("Root=1-2-3"));
    }

    #[test]
    fn bodies_are_limited_to_the_characters_of_xml() {
        for legal in ["\t\n\r ~", "\u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}"] {
            assert!(check(json!({"MessageBody": legal})).is_ok());
        }
        for illegal in ["\u{0}", "\u{8}", "\u{1f}", "\u{FFFE}", "\u{FFFF}"] {
            let error = check(json!({"MessageBody": illegal})).expect_err("refused");
            assert_eq!(error.code, "InvalidMessageContents");
        }
    }

    #[test]
    fn parameters_have_ranges() {
        let code = |draft| check(draft).expect_err("refused").code;
        assert_eq!(code(json!({})), "MissingRequiredParameterException");
        assert_eq!(code(json!({"MessageBody": ""})), "MissingRequiredParameterException");
        for wrong in [
            json!({"MessageBody": "x", "DelaySeconds": 901}),
            json!({"MessageBody": "x", "DelaySeconds": -1}),
            json!({"MessageBody": "x", "MessageDeduplicationId": "once"}),
            json!({"MessageBody": "x", "MessageGroupId": ""}),
            json!({"MessageBody": "x", "MessageGroupId": "group 123"}),
            json!({"MessageBody": "x", "MessageGroupId": "g".repeat(129)}),
            json!({"MessageBody": "x", "MessageSystemAttributes": {"Other": {"DataType": "String"}}}),
        ] {
            assert_eq!(code(wrong.clone()), "InvalidParameterValueException", "{wrong}");
        }
    }
}
