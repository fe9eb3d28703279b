//! The outcome of one delivery.

use serde::{Deserialize, Serialize};

use crate::base::words;

words! {
    /// The outcome of one delivery, in the order of reports.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Outcome {
        /// The task accepted the event.
        Delivered = "delivered",
        /// The task rejected the event, and would reject it again.
        Rejected = "rejected",
        /// No attempts are left.
        Failed = "failed",
        /// The task stopped first, or answered that it is stopping.
        Gone = "gone",
        /// The container could not be called.
        Skipped = "skipped",
    }
}

impl Outcome {
    /// Whether no further delivery is needed: the container accepted the event, or its task had stopped.
    pub fn is_notified(self) -> bool {
        matches!(self, Self::Delivered | Self::Gone)
    }
}
