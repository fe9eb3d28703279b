//! Trace context: which trace some work belongs to, and after which span. Pure.
//!
//! Two formats carry it: W3C's `traceparent` and AWS's `AWSTraceHeader`. Both have the same parts, so a context survives
//! the way through both. Text that is not valid in its format is ignored, as both specifications ask.
//!
//! Sources: W3C Trace Context, sections 3.2 and 4.3; AWS X-Ray Developer Guide, "Tracing header".

use std::fmt;
use std::str;

use super::Rng;

/// Bytes of a `traceparent` of version 00.
pub const TRACEPARENT_BYTES: usize = 55;

/// The id of a trace: 16 bytes that are not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span: 8 bytes that are not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

/// The trace and the span that some work follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span before this work; unknown in a new trace, and after some AWS services.
    pub span: Option<SpanId>,
    /// Whether the spans of the trace are recorded; `None` until somebody decides.
    pub sampled: Option<bool>,
}

impl TraceContext {
    /// A new trace that starts at this time, in seconds since 1970.
    ///
    /// X-Ray reads the time from the first four bytes of the id. W3C allows it: the other twelve are random.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the low 32 bits, as X-Ray has them"
    )]
    pub fn start(seconds: i64, rng: &Rng) -> Self {
        let random = (u128::from(rng.bits()) << 64 | u128::from(rng.bits())) >> 32;
        let id = u128::from(seconds as u32) << 96 | random;
        // One chance in 2^96, if the clock is at 1970.
        let trace = TraceId(id.max(1).to_be_bytes());
        Self { trace, span: None, sampled: None }
    }

    /// A new trace whose id has no time, for work that no AWS service sees.
    pub fn random(rng: &Rng) -> Self {
        let id = u128::from(rng.bits()) << 64 | u128::from(rng.bits());
        Self { trace: TraceId(id.max(1).to_be_bytes()), span: None, sampled: None }
    }

    /// The same trace after a new span.
    #[must_use]
    pub fn hop(self, rng: &Rng) -> Self {
        self.at(SpanId::random(rng))
    }

    /// The same trace at this span.
    #[must_use]
    pub fn at(self, span: SpanId) -> Self {
        Self { span: Some(span), ..self }
    }

    /// The context of the event that started the work, or of the message that carried it: the message's if both are of
    /// one trace, because its span is later; else the event's.
    #[must_use]
    pub fn of_event_or_message(event: Option<Self>, message: Option<Self>) -> Option<Self> {
        match (event, message) {
            (Some(event), Some(message)) if event.trace == message.trace => Some(message),
            (event, message) => event.or(message),
        }
    }

    /// Reads a `traceparent`. Later versions may have further fields, which are ignored.
    pub fn from_traceparent(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (head, rest) = (bytes.get(..TRACEPARENT_BYTES)?, bytes.get(TRACEPARENT_BYTES..)?);
        let [version] = hex(head.get(..2)?)?;
        let is_whole = rest.is_empty() || (version > 0 && rest.first() == Some(&b'-'));
        let dashes = [2, 35, 52].map(|place| head.get(place));
        if version == 0xff || !is_whole || dashes != [Some(&b'-'); 3] {
            return None;
        }
        let [flags] = hex(head.get(53..)?)?;
        let (trace, span) = (TraceId::read(head.get(3..35)?)?, SpanId::read(head.get(36..52)?)?);
        Some(Self { trace, span: Some(span), sampled: Some(flags & 1 == 1) })
    }

    /// Writes the `traceparent`; `None` without a span, which it must have.
    ///
    /// The format has no way to say that nobody has decided about sampling. Then it says "not sampled": "0 as the default
    /// option when the trace is initiated by this component", W3C Trace Context, section 3.2.2.3.1.
    pub fn traceparent(&self) -> Option<[u8; TRACEPARENT_BYTES]> {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&self.trace.0, text.get_mut(3..35)?);
        write_hex(&self.span?.0, text.get_mut(36..52)?);
        if self.sampled == Some(true) {
            *text.last_mut()? = b'1';
        }
        Some(text)
    }

    /// Reads an `AWSTraceHeader`. Its fields may come in any order, and unknown ones are ignored.
    pub fn from_aws(text: &str) -> Option<Self> {
        let (mut trace, mut span, mut sampled) = (None, None, None);
        for (name, value) in fields(text) {
            match name {
                "Root" => trace = Some(root(value)?),
                "Parent" => span = Some(SpanId::read(value.as_bytes())?),
                "Sampled" => sampled = (value == "1").then_some(true).or((value == "0").then_some(false)),
                _ => {}
            }
        }
        Some(Self { trace: trace?, span, sampled })
    }

    /// Writes the `AWSTraceHeader`, with the fields that a received one has and this project does not know, such as
    /// `Lineage`, by which Lambda recognises loops. They are dropped if the header would be longer than `bytes_max`.
    pub fn aws(&self, received: Option<&str>, bytes_max: usize) -> String {
        let mut text = self.to_string();
        for (name, value) in received.into_iter().flat_map(fields) {
            let is_own = matches!(name, "Root" | "Parent" | "Sampled" | "Self");
            let is_legal = value.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_own && is_legal && text.len() + name.len() + value.len() + 2 <= bytes_max {
                text.extend([";", name, "=", value]);
            }
        }
        text
    }
}

/// As an `AWSTraceHeader`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0; 32];
        write_hex(&self.trace.0, &mut hex);
        let (time, unique) = hex.split_at(8);
        write!(f, "Root=1-{}-{}", ascii(time), ascii(unique))?;
        if let Some(span) = self.span {
            write!(f, ";Parent={span}")?;
        }
        self.sampled.map_or(Ok(()), |sampled| write!(f, ";Sampled={}", u8::from(sampled)))
    }
}

impl TraceId {
    /// Its bytes.
    pub fn bytes(&self) -> [u8; 16] {
        self.0
    }

    /// Whether it is one of about `1 in count` traces. The same in every process, so that a trace is kept as a whole.
    ///
    /// Its last 7 bytes are random: W3C Trace Context Level 2, section 3.2.2.3.2.
    pub fn is_one_in(&self, count: u32) -> bool {
        let random = u128::from_be_bytes(self.0) & ((1 << 56) - 1);
        random * u128::from(count) < 1 << 56
    }

    fn read(text: &[u8]) -> Option<Self> {
        hex(text).filter(|id| *id != [0; 16]).map(Self)
    }
}

impl SpanId {
    /// A new id.
    pub fn random(rng: &Rng) -> Self {
        Self(rng.bits().max(1).to_be_bytes())
    }

    /// Its bytes.
    pub fn bytes(&self) -> [u8; 8] {
        self.0
    }

    fn read(text: &[u8]) -> Option<Self> {
        hex(text).filter(|id| *id != [0; 8]).map(Self)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0; 32];
        write_hex(&self.0, &mut hex);
        f.write_str(ascii(&hex))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0; 16];
        write_hex(&self.0, &mut hex);
        f.write_str(ascii(&hex))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The fields `name=value` of an `AWSTraceHeader`.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(';').filter_map(|field| field.trim().split_once('='))
}

/// The trace of a field `Root`: version 1, the time, and the rest of the id.
fn root(text: &str) -> Option<TraceId> {
    let (time, unique) = text.strip_prefix("1-")?.split_once('-')?;
    let (time, unique): ([u8; 4], [u8; 12]) = (hex(time.as_bytes())?, hex(unique.as_bytes())?);
    let mut id = [0; 16];
    id.iter_mut().zip(time.into_iter().chain(unique)).for_each(|(to, from)| *to = from);
    Some(TraceId(id)).filter(|id| id.0 != [0; 16])
}

/// Exactly `N` bytes as lower-case hexadecimal digits: both formats forbid upper case.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

/// Writes two digits for each byte, as far as there is room.
fn write_hex(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |four: u8| DIGITS.get(usize::from(four)).copied().unwrap_or(b'0');
    let (pairs, _) = text.as_chunks_mut::<2>();
    for ([high, low], byte) in pairs.iter_mut().zip(bytes) {
        (*high, *low) = (digit(byte >> 4), digit(byte & 15));
    }
}

fn ascii(digits: &[u8]) -> &str {
    str::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests;
