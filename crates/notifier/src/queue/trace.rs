//! The trace that a message belongs to, carried from queue to queue and otherwise left alone.

use std::collections::HashMap;

use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName as System, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue,
};

use super::attributes::Attributes;

/// W3C Trace Context: where the caller stands in its trace.
pub(super) const PARENT: &str = "traceparent";
/// W3C Trace Context: what vendors add.
pub(super) const STATE: &str = "tracestate";
/// W3C Trace Context: `tracestate` that must be passed on at least; longer ones are dropped whole, cut ones mean nothing.
const VALUE_BYTES_MAX: usize = 512;
/// AWS X-Ray's header has about a hundred bytes; what is far longer is not one.
const XRAY_BYTES_MAX: usize = 1024;

/// Where a message stands in a distributed trace; empty when its sender named none.
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
    pub(super) fn of(message: &Message) -> Self {
        let short = |text: &String, max| (text.len() <= max).then(|| text.clone());
        let text = |name| {
            let attributes: Option<&HashMap<String, MessageAttributeValue>> =
                message.message_attributes.as_ref();
            short(attributes?.get(name)?.string_value.as_ref()?, VALUE_BYTES_MAX)
        };
        let xray = message.attributes.as_ref().and_then(|all| all.get(&System::AwsTraceHeader));
        Self {
            parent: text(PARENT),
            state: text(STATE),
            xray: xray.and_then(|header| short(header, XRAY_BYTES_MAX)),
        }
    }

    /// Adds the W3C part to a message's attributes.
    pub(super) fn add_to(&self, attributes: &mut Attributes) {
        for (name, value) in [(PARENT, &self.parent), (STATE, &self.state)] {
            attributes.add(name, value.as_deref().unwrap_or_default(), VALUE_BYTES_MAX);
        }
    }

    /// The X-Ray part as the SDK takes it. SQS does not count it to the size of the message.
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
