//! What a body of the observer queue is.

use wire::ObserverMessage;

use super::error::BadRecord;
use super::record::Record;

/// What a body is.
#[derive(Debug)]
pub enum Content {
    /// A request for a broadcast.
    Direct(Box<ObserverMessage>),
    /// The test message that S3 sends when notifications are set up. Nothing happened.
    Test,
    /// Records of a source, of which some may be unreadable.
    Records(Vec<Result<Record, BadRecord>>),
}
