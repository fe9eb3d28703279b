//! One message of a queue, read from an SQS answer or from a Lambda event.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::attributes::{MESSAGE_ID, SENDERS, SENT};
use super::trace::{self, Trace};
use super::visibility::Receipt;
use crate::base::Rng;
use crate::base::trace::{SpanId, TraceContext, TraceId};

/// One message, as SQS or Lambda delivered it, or as it travels in memory.
///
/// Values from SQS are reliable. Values from the message itself (`id`, `sent`, `senders_before`) are only as reliable as
/// its sender.
#[derive(Debug)]
pub struct Message {
    /// The SQS message id, the same each time the message is received.
    pub message_id: String,
    /// The first message id of a redriven dead letter, from its attributes; else the SQS message id.
    pub id: String,
    /// The body.
    pub body: String,
    /// Time at which a redriven dead letter was first sent, from its attributes; else the same as `queued`.
    pub sent: OffsetDateTime,
    /// Time at which it was sent to this queue; 1970 if SQS does not report it.
    pub queued: OffsetDateTime,
    /// Number of receives, including this one.
    pub receives: u32,
    /// Unique id of the AWS principal that sent it to this queue, if SQS reports it.
    pub sender: Option<String>,
    /// Its earlier senders, separated by commas, if it is a redriven dead letter.
    pub senders_before: Option<String>,
    /// The trace context in its attributes.
    pub trace: Trace,
    /// The trace that it belongs to, once it was looked for.
    pub context: Option<TraceContext>,
    /// The span of its processing, once its trace was looked for.
    pub span: Option<SpanId>,
    /// Its receipt handle; empty for a message without a queue.
    pub receipt: Receipt,
}

impl Message {
    /// A message with this id and body, queued at this time by an unknown sender, received for the first time.
    pub fn new(message_id: String, body: String, queued: OffsetDateTime) -> Self {
        Self {
            id: message_id.clone(),
            message_id,
            body,
            sent: queued,
            queued,
            receives: 1,
            sender: None,
            senders_before: None,
            trace: Trace::default(),
            context: None,
            span: None,
            receipt: Receipt::default(),
        }
    }

    /// Reads a message from its `system` attributes (such as `SentTimestamp`) and its own `text` attributes. A missing or
    /// invalid value gets a default. Pure.
    pub fn parse(
        message_id: String,
        body: String,
        system: &HashMap<String, String>,
        text: &HashMap<String, String>,
    ) -> Self {
        let own = |name| text.get(name).filter(|value| !value.is_empty());
        let queued = system.get("SentTimestamp").and_then(|text| moment(text));
        let message = Self::new(message_id, body, queued.unwrap_or(OffsetDateTime::UNIX_EPOCH));
        Self {
            id: own(MESSAGE_ID).unwrap_or(&message.message_id).clone(),
            sent: own(SENT).and_then(|text| moment(text)).unwrap_or(message.queued),
            receives: system.get("ApproximateReceiveCount").and_then(|n| n.parse().ok()).unwrap_or(1),
            sender: system.get("SenderId").cloned(),
            senders_before: own(SENDERS).cloned(),
            trace: Trace::parse(system, text),
            ..message
        }
    }

    /// Finds the trace that it belongs to: that of its event, else that of its attributes, else a new one.
    pub fn join_trace(&mut self, rng: &Rng) {
        let known = TraceContext::of_event_or_message(trace::of_event(&self.body), self.trace.context());
        let context = known.unwrap_or_else(|| TraceContext::start(self.queued.unix_timestamp(), rng));
        // A dead letter and the messages that follow stay in this trace.
        self.trace.xray.get_or_insert_with(|| context.to_string());
        self.context = Some(context);
        self.span = Some(SpanId::random(rng));
    }

    /// The context of its processing in this trace; `None` if the message belongs to another trace.
    pub fn processing(&self, trace: TraceContext) -> Option<TraceContext> {
        self.context.filter(|own| own.trace == trace.trace)?;
        Some(trace.at(self.span?))
    }

    /// The trace that it belongs to, and the span before it; `None` if nothing names a trace.
    pub fn trace_context(&self) -> Option<TraceContext> {
        self.context.or_else(|| self.trace.context())
    }

    /// The id of its trace, for the log.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace_context().map(|context| context.trace)
    }

    /// All senders so far, for its next copy: each once, in order.
    pub(super) fn senders(&self) -> String {
        // A message without a sender is not trusted.
        let sender = self.sender.as_deref().filter(|sender| !sender.is_empty()).unwrap_or("unknown");
        match self.senders_before.as_deref() {
            None => sender.to_owned(),
            Some(before) if before.split(',').any(|one| one == sender) => before.to_owned(),
            Some(before) => format!("{before},{sender}"),
        }
    }
}

/// A time of SQS: milliseconds since 1970.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let milliseconds: i128 = text.parse().ok()?;
    OffsetDateTime::from_unix_timestamp_nanos(milliseconds.checked_mul(1_000_000)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn parse(system: &[(&str, &str)], text: &[(&str, &str)]) -> Message {
        Message::parse("m-2".to_owned(), "{}".to_owned(), &map(system), &map(text))
    }

    #[test]
    fn a_message_is_what_its_system_attributes_say() {
        let system = [
            ("ApproximateReceiveCount", "3"),
            ("SentTimestamp", "1545082649183"),
            ("SenderId", "AROAONE:f"),
            ("AWSTraceHeader", "Root=1-5"),
        ];
        let message = parse(&system, &[]);
        assert_eq!((message.message_id.as_str(), message.id.as_str(), message.receives), ("m-2", "m-2", 3));
        assert_eq!(message.queued.unix_timestamp_nanos(), 1_545_082_649_183_000_000);
        assert_eq!((message.sent, message.sender.as_deref()), (message.queued, Some("AROAONE:f")));
        assert_eq!(message.trace.xray.as_deref(), Some("Root=1-5"));
        assert_eq!((message.senders_before, message.receipt.handle()), (None, ""));
        assert_eq!(parse(&[], &[("senders", "")]).senders(), "unknown");
    }

    #[test]
    fn a_redriven_message_keeps_its_first_id_and_time_and_names_its_earlier_senders() {
        let system = [("SentTimestamp", "2000"), ("SenderId", "AROATWO")];
        let message = parse(&system, &[("message_id", "m-1"), ("sent", "1000"), ("senders", "AROAONE")]);
        assert_eq!((message.message_id.as_str(), message.id.as_str()), ("m-2", "m-1"));
        assert_eq!((message.sent.unix_timestamp(), message.queued.unix_timestamp()), (1, 2));
        assert_eq!(message.senders(), "AROAONE,AROATWO");
    }
}
