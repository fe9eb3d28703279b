//! One received message.

use aws_sdk_sqs::types::{Message as Raw, MessageSystemAttributeName as System};
use time::OffsetDateTime;

use super::attributes::{MESSAGE_ID, SENT};
use super::lease::Lease;
use super::trace::Trace;

/// A message in work. It is kept invisible to others as long as it exists; when it is dropped without having been
/// settled, it comes back when its visibility ends.
#[derive(Debug)]
pub struct Message {
    /// The SQS message id. Receiving the message again gives the same id; so does a dead letter of ours that was sent
    /// back to its queue, although SQS gives that a new one.
    pub id: String,
    /// The body.
    pub body: String,
    /// When it was first sent; 1970 if SQS does not say.
    pub sent: OffsetDateTime,
    /// When it was put on this queue: later than `sent` for a dead letter of ours that was sent back.
    pub queued: OffsetDateTime,
    /// How often it has been received, this time included.
    pub receives: u32,
    /// Who sent it: an AWS principal's id, if SQS says.
    pub sender: Option<String>,
    /// The trace that it belongs to.
    pub trace: Trace,
    pub(super) lease: Lease,
}

/// What SQS says of a message, read leniently. Pure but for the lease that it is given.
pub(super) fn read(raw: Raw, lease: Lease) -> Message {
    let trace = Trace::of(&raw);
    let kept = |name| {
        let value = raw.message_attributes.as_ref()?.get(name)?.string_value.clone()?;
        (!value.is_empty()).then_some(value)
    };
    let system = |name| raw.attributes.as_ref()?.get(&name).cloned();
    let queued = system(System::SentTimestamp).and_then(|text| moment(&text));
    let queued = queued.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Message {
        id: kept(MESSAGE_ID).or(raw.message_id).unwrap_or_default(),
        sent: kept(SENT).and_then(|text| moment(&text)).unwrap_or(queued),
        queued,
        sender: system(System::SenderId),
        receives: system(System::ApproximateReceiveCount).and_then(|n| n.parse().ok()).unwrap_or(1),
        trace,
        body: raw.body.unwrap_or_default(),
        lease,
    }
}

/// A moment as SQS writes it: milliseconds since 1970.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let milliseconds: i128 = text.parse().ok()?;
    OffsetDateTime::from_unix_timestamp_nanos(milliseconds.checked_mul(1_000_000)?).ok()
}
