//! What became of one delivery.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::BroadcastId;

use super::{Endpoint, Skip};

use super::Cause;

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

    /// The container was told, or there was nobody left to tell.
    #[must_use]
    pub fn is_told(self) -> bool {
        matches!(self, Self::Delivered | Self::Gone)
    }
}

/// The end of one delivery: who was to be told, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// Who was called.
    pub endpoint: Endpoint,
    /// How it ended.
    pub result: DeliveryResult,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryResult {
    /// In one word. [`Outcome::Skipped`] when its health check said nothing in time.
    pub outcome: Outcome,
    /// Why it was not delivered; `None` when it was.
    pub reason: Option<String>,
    /// The kind of that reason.
    pub cause: Option<Cause>,
    /// HTTP requests made, from 1.
    pub attempts: u32,
    /// Status of the last answer, if there was one.
    pub status: Option<u16>,
    /// From the start of the last attempt to the end of its answer.
    pub latency: Duration,
}

/// A container that was not called in this broadcast although it opted in.
#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// Who, and why.
    pub skip: Skip,
}
