//! What follows from one message.

use super::StageError;
use crate::base::trace::TraceContext;
use crate::queue::Delayed;

/// The messages that follow from one message.
#[derive(Debug, Default)]
pub struct Output {
    /// Bodies for the next queue.
    pub next: Vec<String>,
    /// Messages for the queue that the message came from: it was split, or a part of it waits.
    pub again: Vec<Delayed>,
    /// The span of the work, which the messages follow from; `None`: the message's own.
    pub trace: Option<TraceContext>,
    /// Why a part of the message failed. The other parts are in `next` and `again`, and are published first.
    pub failure: Option<StageError>,
}

impl From<Vec<String>> for Output {
    fn from(next: Vec<String>) -> Self {
        Self { next, ..Self::default() }
    }
}
