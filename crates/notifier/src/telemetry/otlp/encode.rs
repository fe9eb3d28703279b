//! Spans in OTLP's protobuf. Pure.
//!
//! Source: `opentelemetry/proto/trace/v1/trace.proto` and `collector/trace/v1/trace_service.proto`, version 1 (stable). The
//! numbers of the fields are those of these files.

use std::iter;

use time::OffsetDateTime;

use crate::base::spans::{Span, SpanKind, SpanValue};
use crate::base::trace::TraceContext;

/// The most bytes of one text; longer ones are cut.
const TEXT_BYTES_MAX: usize = 1_024;
/// The instrumentation scope.
const SCOPE: &str = "ecs-task-notifier";
/// `STATUS_CODE_ERROR`.
const STATUS_ERROR: u64 = 2;
/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK` and `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`.
const IS_REMOTE_KNOWN: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The process that the spans are of.
#[derive(Debug)]
pub(super) struct Resource(Vec<(&'static str, SpanValue)>);

impl Resource {
    pub(super) fn new(function: Option<&str>) -> Self {
        let mut attributes =
            vec![("service.name", SCOPE.into()), ("service.version", env!("CARGO_PKG_VERSION").into())];
        attributes.extend(function.map(|name| ("faas.name", name.into())));
        Self(attributes)
    }
}

/// The body of a request: an `ExportTraceServiceRequest`.
pub(super) fn request(resource: &Resource, spans: &[Span]) -> Vec<u8> {
    let resource = attributes(1, &resource.0);
    let mut scope = Fields::default();
    scope.text(1, SCOPE).text(2, env!("CARGO_PKG_VERSION"));
    let mut scope_spans = Fields::default();
    scope_spans.message(1, &scope);
    for one in spans {
        scope_spans.message(2, &span(one));
    }
    let mut resource_spans = Fields::default();
    resource_spans.message(1, &resource).message(2, &scope_spans);
    let mut request = Fields::default();
    request.message(1, &resource_spans);
    request.0
}

fn span(span: &Span) -> Fields {
    let mut fields = Fields::default();
    fields.context(&span.context);
    if let Some(parent) = span.parent {
        fields.bytes(4, &parent.bytes());
    }
    let kind = match span.kind {
        SpanKind::Internal => 1,
        SpanKind::Client => 3,
        SpanKind::Consumer => 5,
    };
    let end = span.started + span.took;
    fields
        .text(5, &span.name)
        .number(6, kind)
        .fixed64(7, nanoseconds(span.started))
        .fixed64(8, nanoseconds(end));
    fields.0.extend(attributes(9, &span.attributes).0);
    for link in &span.links {
        let mut linked = Fields::default();
        linked.context(link).fixed32(6, flags(link) | IS_REMOTE_KNOWN | IS_REMOTE);
        fields.message(13, &linked);
    }
    if let Some(text) = &span.failure {
        let mut status = Fields::default();
        status.text(2, text).number(3, STATUS_ERROR);
        fields.message(15, &status);
    }
    let remote = if span.is_parent_remote && span.parent.is_some() { IS_REMOTE } else { 0 };
    fields.fixed32(16, flags(&span.context) | IS_REMOTE_KNOWN | remote);
    fields
}

/// The flags of `traceparent`.
fn flags(context: &TraceContext) -> u32 {
    u32::from(context.sampled == Some(true))
}

fn nanoseconds(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp_nanos()).unwrap_or_default()
}

/// Each as a `KeyValue` with this number.
fn attributes(number: u32, all: &[(&'static str, SpanValue)]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in all {
        let mut any = Fields::default();
        match value {
            // A value is a choice of one: it is written if it is empty too.
            SpanValue::Text(text) => any.bytes(1, cut(text).as_bytes()),
            SpanValue::Number(number) => any.varint_field(3, u64::from_ne_bytes(number.to_ne_bytes())),
        };
        let mut pair = Fields::default();
        pair.text(1, name).message(2, &any);
        fields.message(number, &pair);
    }
    fields
}

/// The beginning of a text, at most [`TEXT_BYTES_MAX`] bytes of whole characters.
fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text.get(..end).unwrap_or_default()
}

/// The encoded fields of a message.
#[derive(Debug, Default)]
struct Fields(Vec<u8>);

/// Source: Protocol Buffers, "Encoding".
impl Fields {
    /// A trace's and a span's id, as fields 1 and 2.
    fn context(&mut self, context: &TraceContext) -> &mut Self {
        self.bytes(1, &context.trace.bytes());
        if let Some(span) = context.span {
            self.bytes(2, &span.bytes());
        }
        self
    }

    fn message(&mut self, number: u32, message: &Self) -> &mut Self {
        self.bytes(number, &message.0)
    }

    /// An empty text is the default, which is left out.
    fn text(&mut self, number: u32, text: &str) -> &mut Self {
        if text.is_empty() { self } else { self.bytes(number, cut(text).as_bytes()) }
    }

    fn bytes(&mut self, number: u32, bytes: &[u8]) -> &mut Self {
        self.tag(number, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn number(&mut self, number: u32, value: u64) -> &mut Self {
        if value == 0 { self } else { self.varint_field(number, value) }
    }

    fn varint_field(&mut self, number: u32, value: u64) -> &mut Self {
        self.tag(number, 0);
        self.varint(value);
        self
    }

    fn fixed64(&mut self, number: u32, value: u64) -> &mut Self {
        self.tag(number, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn fixed32(&mut self, number: u32, value: u32) -> &mut Self {
        self.tag(number, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn tag(&mut self, number: u32, wire_type: u32) {
        self.varint(u64::from(number << 3 | wire_type));
    }

    /// Seven bits a byte, the lowest first; all but the last byte have the highest bit set.
    fn varint(&mut self, value: u64) {
        let rest = iter::successors(Some(value), |value| Some(value >> 7).filter(|rest| *rest > 0));
        for value in rest {
            let [low, ..] = value.to_le_bytes();
            self.0.push(if value > 0x7f { low | 0x80 } else { low });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_encoded_as_in_the_documentation() {
        let mut fields = Fields::default();
        // The two examples of "Encoding".
        fields.varint_field(1, 150).text(2, "testing").number(3, 0).text(4, "");
        assert_eq!(fields.0, b"\x08\x96\x01\x12\x07testing");
        let mut fields = Fields::default();
        fields.varint(u64::MAX);
        assert_eq!(fields.0, [[0xff; 9].as_slice(), &[1]].concat());
        let mut fields = Fields::default();
        fields.varint(0);
        assert_eq!(fields.0, [0]);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = format!("{}é{}", "a".repeat(TEXT_BYTES_MAX - 1), "b".repeat(9));
        assert_eq!(cut(&text), "a".repeat(TEXT_BYTES_MAX - 1));
        assert_eq!(cut("short"), "short");
    }
}
