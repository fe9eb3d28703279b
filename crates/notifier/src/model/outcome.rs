//! The outcome of one delivery.

use serde::{Deserialize, Serialize};

/// The outcome of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The task accepted the event.
    Delivered,
    /// The task rejected the event, and would reject it again.
    Rejected,
    /// No attempts are left.
    Failed,
    /// The task stopped first, or answered that it is stopping.
    Gone,
    /// The container could not be called.
    Skipped,
}

impl Outcome {
    /// Every outcome, in the order of reports.
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

    /// Whether no further delivery is needed: the container accepted the event, or its task had stopped.
    #[must_use]
    pub fn is_notified(self) -> bool {
        matches!(self, Self::Delivered | Self::Gone)
    }
}
