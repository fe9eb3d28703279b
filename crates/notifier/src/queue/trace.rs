//! The trace context of a message, propagated from queue to queue.

use std::collections::HashMap;

use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};

use super::attributes::Attributes;

/// W3C Trace Context: the caller's span.
pub(super) const PARENT: &str = "traceparent";
/// W3C Trace Context: vendor data.
pub(super) const STATE: &str = "tracestate";
/// W3C Trace Context: the longest `tracestate` that must be propagated. A longer one is dropped, because a cut one is not valid.
const VALUE_BYTES_MAX: usize = 512;
/// AWS X-Ray's header has about a hundred bytes; a far longer text is not valid.
const XRAY_BYTES_MAX: usize = 1024;

/// The trace context of a message; empty if its sender set none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// `traceparent` of W3C Trace Context.
    pub parent: Option<String>,
    /// `tracestate` of W3C Trace Context.
    pub state: Option<String>,
    /// The X-Ray header, SQS's system attribute `AWSTraceHeader`.
    pub xray: Option<String>,
}

impl Trace {
    /// The trace context from a message's system attributes and its own text attributes. Pure.
    pub(super) fn parse(system: &HashMap<String, String>, text: &HashMap<String, String>) -> Self {
        let short = |value: Option<&String>, max| value.filter(|value| value.len() <= max).cloned();
        Self {
            parent: short(text.get(PARENT), VALUE_BYTES_MAX),
            state: short(text.get(STATE), VALUE_BYTES_MAX),
            xray: short(system.get("AWSTraceHeader"), XRAY_BYTES_MAX),
        }
    }

    /// Adds the W3C part to a message's attributes.
    pub(super) fn add_to(&self, attributes: &mut Attributes) {
        for (name, value) in [(PARENT, &self.parent), (STATE, &self.state)] {
            attributes.add(name, value.as_deref().unwrap_or_default(), VALUE_BYTES_MAX);
        }
    }

    /// The W3C part as the attributes of a message without others.
    pub(super) fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::default();
        self.add_to(&mut attributes);
        attributes
    }

    /// The X-Ray part as a type of the SDK. SQS does not count it to the size of the message.
    pub(super) fn to_sdk(
        &self,
    ) -> Result<
        Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>>,
        aws_sdk_sqs::error::BuildError,
    > {
        let Some(header) = &self.xray else { return Ok(None) };
        let value =
            MessageSystemAttributeValue::builder().data_type("String").string_value(header).build()?;
        Ok(Some(HashMap::from([(MessageSystemAttributeNameForSends::AwsTraceHeader, value)])))
    }
}
