//! One received message.

use aws_sdk_sqs::types::{Message as Raw, MessageSystemAttributeName as System};
use time::OffsetDateTime;

use super::attributes::{MESSAGE_ID, SENDERS, SENT};
use super::lease::Lease;
use super::trace::Trace;

/// A message in work. It is kept invisible to others as long as it exists; when it is dropped without having been
/// settled, it comes back when its visibility ends.
#[derive(Debug)]
pub struct Message {
    /// The SQS message id. Receiving the message again gives the same id.
    pub message_id: String,
    /// The id that it had first, as a dead letter that was sent back says of itself: SQS gives it a new one. Else the SQS
    /// message id.
    pub id: String,
    /// The body.
    pub body: String,
    /// When it was first sent, as a dead letter that was sent back says of itself; 1970 if SQS does not say.
    pub sent: OffsetDateTime,
    /// When it was put on this queue, as SQS says.
    pub queued: OffsetDateTime,
    /// How often it has been received, this time included.
    pub receives: u32,
    /// Who put it on this queue: the unique id of an AWS principal, if SQS says.
    pub sender: Option<String>,
    /// Who sent it before, with commas between them, as a dead letter says of itself.
    pub senders_before: Option<String>,
    /// The trace that it belongs to.
    pub trace: Trace,
    pub(super) lease: Lease,
}

impl Message {
    /// Everybody who has sent it so far, for its next copy: each once, in their order.
    pub(super) fn senders(&self) -> String {
        // A message that does not say who sent it was sent by somebody whom nobody believes.
        let sender = self.sender.as_deref().filter(|sender| !sender.is_empty()).unwrap_or("unknown");
        match self.senders_before.as_deref() {
            None => sender.to_owned(),
            Some(before) if before.split(',').any(|one| one == sender) => before.to_owned(),
            Some(before) => format!("{before},{sender}"),
        }
    }
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
    let message_id = raw.message_id.unwrap_or_default();
    Message {
        id: kept(MESSAGE_ID).unwrap_or_else(|| message_id.clone()),
        message_id,
        sent: kept(SENT).and_then(|text| moment(&text)).unwrap_or(queued),
        queued,
        sender: system(System::SenderId),
        senders_before: kept(SENDERS),
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
