//! What became of one delivery.

use serde::{Deserialize, Serialize};

/// What became of one delivery, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The task accepted the event.
    Delivered,
    /// The task said no, and would say no again.
    Rejected,
    /// The tries are used up.
    Failed,
    /// The task stopped first, or said that it is going.
    Gone,
    /// The container could never be called.
    Skipped,
}

impl Outcome {
    /// Every outcome, in the order in which people want to read them.
    pub const ALL: [Self; 5] = [Self::Delivered, Self::Rejected, Self::Failed, Self::Gone, Self::Skipped];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Gone => "gone",
            Self::Skipped => "skipped",
        }
    }

    /// Whether nothing is left to do: the container accepted the event, or its task had stopped.
    #[must_use]
    pub fn is_notified(self) -> bool {
        matches!(self, Self::Delivered | Self::Gone)
    }
}
