//! The trace context of a message, propagated from queue to queue.

use std::collections::HashMap;
use std::str;

use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};

use serde::Deserialize;

use super::attributes::Attributes;
use crate::base::trace::TraceContext;

/// W3C Trace Context: the caller's span.
pub(super) const PARENT: &str = "traceparent";
/// W3C Trace Context: vendor data.
pub(super) const STATE: &str = "tracestate";
/// W3C Trace Context: the longest `tracestate` that must be propagated. A longer one is dropped, because a cut one is not valid.
const VALUE_BYTES_MAX: usize = 512;
/// AWS X-Ray's header has about a hundred bytes; a far longer text is not valid.
const XRAY_BYTES_MAX: usize = 1024;

/// The trace context of a message, as its attributes carry it; empty if its sender set none.
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

    /// The context that the attributes carry: of AWS's header, else of W3C's.
    pub(super) fn context(&self) -> Option<TraceContext> {
        let aws = self.xray.as_deref().and_then(TraceContext::from_aws);
        aws.or_else(|| self.parent.as_deref().and_then(TraceContext::from_traceparent))
    }

    /// The attributes of a message that follows after this context from a message with these attributes.
    #[must_use]
    pub fn after(&self, context: TraceContext) -> Self {
        let parent = self.parent.as_ref().and_then(|_| context.traceparent());
        let same = self.context().is_some_and(|received| received.trace == context.trace);
        Self {
            parent: parent.and_then(|text| str::from_utf8(&text).ok().map(str::to_owned)),
            // It belongs to the trace that it came with.
            state: self.state.clone().filter(|_| same),
            xray: Some(context.aws(self.xray.as_deref(), XRAY_BYTES_MAX)),
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

/// The places of `traceparent` in the bodies of the three queues, and in a bare CloudEvent.
#[derive(Deserialize)]
struct Body {
    traceparent: Option<String>,
    event: Option<Event>,
    broadcast: Option<Broadcast>,
}

#[derive(Deserialize)]
struct Broadcast {
    event: Option<Event>,
}

#[derive(Deserialize)]
struct Event {
    traceparent: Option<String>,
}

/// The context in the event of a body. The body is parsed only if it has the word.
pub(super) fn of_event(body: &str) -> Option<TraceContext> {
    if !body.contains(PARENT) {
        return None;
    }
    let Body { traceparent, event, broadcast } = serde_json::from_str(body).ok()?;
    let event = event.or_else(|| broadcast?.event);
    TraceContext::from_traceparent(&event.and_then(|event| event.traceparent).or(traceparent)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    const PARENT_OF_EVENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const XRAY: &str =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0";

    #[test]
    fn the_event_of_each_queue_names_its_trace() {
        let event = format!(r#"{{"traceparent":"{PARENT_OF_EVENT}"}}"#);
        let expected = TraceContext::from_traceparent(PARENT_OF_EVENT);
        for body in [
            format!(r#"{{"cluster":"prod","event":{event}}}"#),
            format!(r#"{{"notify_task_arn":"t","broadcast":{{"id":"b","event":{event}}}}}"#),
            event.clone(),
        ] {
            assert_eq!(of_event(&body), expected, "{body}");
        }
        for body in [
            r#"{"event":{"traceparent":"nonsense"}}"#,
            r#"{"event":{"traceparent":7}}"#,
            r#"{"event":{"data":"traceparent"}}"#,
            r#"["traceparent"]"#,
            "traceparent",
            "",
        ] {
            assert_eq!(of_event(body), None, "{body}");
        }
    }

    #[test]
    fn a_message_that_follows_has_the_new_span_in_the_attributes_that_it_received() {
        let rng = Rng::seeded(1);
        let received =
            Trace { xray: Some(XRAY.to_owned()), state: Some("v=1".to_owned()), ..Trace::default() };
        let hop = received.context().unwrap().hop(&rng);
        let sent = received.after(hop);
        assert_eq!(sent.xray, Some(format!("{hop};Lineage=a:0")));
        assert_eq!((sent.parent.as_deref(), sent.state.as_deref()), (None, Some("v=1")));
        assert_eq!(sent.context(), Some(hop));

        let other = TraceContext::start(1, &rng).hop(&rng);
        let w3c = Trace { parent: Some(PARENT_OF_EVENT.to_owned()), ..received };
        let sent = w3c.after(other);
        assert_eq!(sent.state, None, "the state of another trace");
        assert_eq!(
            sent.parent.as_deref().and_then(TraceContext::from_traceparent),
            Some(TraceContext { sampled: Some(false), ..other })
        );
    }
}
