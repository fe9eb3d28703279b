//! Limits of SQS and of this program.
//!
//! Source of those of SQS: Amazon SQS Developer Guide, "Amazon SQS message quotas".

use std::time::Duration;

use crate::base::Backoff;

/// SQS: entries of one batch call, and messages of one answer to `ReceiveMessage`.
pub const BATCH_ENTRIES_MAX: usize = 10;
/// SQS: bytes of one message, and of all messages of one batch together, attributes included.
pub const BATCH_BYTES_MAX: usize = wire::MESSAGE_BYTES_MAX;
/// SQS: longest wait of `ReceiveMessage`, in seconds; it needs the fewest calls.
pub const RECEIVE_WAIT_SECONDS: i32 = 20;
/// SQS: longest total time for which one receive can hide a message, with all extensions.
pub const VISIBILITY_MAX: Duration = Duration::from_hours(12);
/// SQS: longest time for which a queue can hold back a new message.
pub const DELAY_MAX: Duration = Duration::from_mins(15);
/// SQS: characters of a message group.
pub(super) const GROUP_CHARS_MAX: usize = 128;
/// SQS: attributes of one message.
pub const ATTRIBUTES_MAX: usize = 10;

/// Shortest visibility timeout of a receive: with a shorter one, a message could not be extended in time.
pub(super) const VISIBILITY_MIN: Duration = Duration::from_secs(2);
/// Part of its visibility timeout after which a message in flight is extended.
pub(super) const EXTEND_AFTER: f64 = 0.25;
/// Longest time of one call, including the SDK's own retries; a long poll gets its wait on top.
pub(super) const CALL_TIME_MAX: Duration = Duration::from_secs(20);
/// Attempts of one request by the SDK.
pub(super) const SDK_TRIES_MAX: u32 = 3;
/// Attempts of one entry of a batch.
pub(super) const TRIES_MAX: u32 = 5;
/// Backoff between the attempts of an entry, and between the SDK's attempts.
pub(super) const RETRY: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) };
/// Concurrent batch calls of one job.
pub(super) const BATCHES_AT_ONCE: usize = 8;
/// How long a settled message waits for others, so that ten share one call.
pub(super) const LINGER: Duration = Duration::from_millis(50);
/// Settled messages that wait for a call; further workers wait.
pub(super) const SETTLED_WAITING_MAX: usize = 256;
/// Bytes of the reason of a dead letter.
pub(super) const REASON_BYTES_MAX: usize = 1024;
/// Most bytes of the attribute with the senders of a dead letter: name, type and value.
pub(crate) const SENDERS_BYTES_MAX: usize = "senders".len() + "String".len() + ATTRIBUTE_BYTES_MAX;
/// Bytes of any other attribute of a dead letter.
pub(super) const ATTRIBUTE_BYTES_MAX: usize = 512;
