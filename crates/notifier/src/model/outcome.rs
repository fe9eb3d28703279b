//! What became of one delivery.

use serde::{Deserialize, Serialize};

use crate::base::words;

words! {
    /// What became of one delivery, in one word. In the order in which people want to read them.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Outcome {
        /// The task accepted the event.
        Delivered = "delivered",
        /// The task said no, and would say no again.
        Rejected = "rejected",
        /// The tries are used up.
        Failed = "failed",
        /// The task stopped first, or said that it is going.
        Gone = "gone",
        /// The container could never be called.
        Skipped = "skipped",
    }
}

impl Outcome {
    /// Whether nothing is left to do: the container accepted the event, or its task had stopped.
    #[must_use]
    pub fn is_notified(self) -> bool {
        matches!(self, Self::Delivered | Self::Gone)
    }
}
