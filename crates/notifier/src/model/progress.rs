//! The events of a broadcast, for the live display, the log and JSON lines.

use std::time::Duration;

use wire::{BroadcastId, PartId};

use super::{Delivery, Endpoint, NotTargeted};
use crate::base::events::Events;
use crate::base::trace::TraceId;

/// The stream of a process's progress events.
pub type Progress = Events<ProgressEvent>;

/// One event of a broadcast.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say what it is")]
pub enum ProgressEvent {
    /// Stage 1 is done.
    Services {
        broadcast: BroadcastId,
        /// The trace that the work belongs to.
        trace: Option<TraceId>,
        /// The parts of the scope whose tasks stage 2 looks up.
        parts: Vec<PartId>,
        /// Services without an opted-in container.
        not_targeted: Vec<NotTargeted>,
        /// Time since the broadcast was requested; `None` if this is only one of its clusters, or unknown.
        age: Option<Duration>,
    },
    /// Stage 2 is done with one part of the scope.
    Tasks {
        broadcast: BroadcastId,
        /// The trace that the work belongs to.
        trace: Option<TraceId>,
        part: PartId,
        service: String,
        /// The endpoints that stage 3 calls.
        endpoints: Vec<Endpoint>,
        /// Containers and tasks that are not targeted.
        not_targeted: Vec<NotTargeted>,
    },
    /// A wave of the fleet begins.
    Wave {
        broadcast: BroadcastId,
        /// The trace that the work belongs to.
        trace: Option<TraceId>,
        /// Its number, from 1.
        wave: u16,
        /// The number of waves.
        waves: u16,
        /// Containers that it calls.
        containers: usize,
    },
    /// An opted-in container is not called.
    Skipped {
        broadcast: BroadcastId,
        /// The trace that the work belongs to.
        trace: Option<TraceId>,
        /// The container, and why.
        delivery: Delivery,
    },
    /// An attempt failed, and another follows.
    Retrying {
        broadcast: BroadcastId,
        /// The trace that the work belongs to.
        trace: Option<TraceId>,
        /// The delivery after this attempt: without an outcome, with the number of requests and the reason.
        delivery: Delivery,
        /// Time until the next attempt.
        wait: Duration,
        /// How long the request took; `None` if the attempt came to none.
        latency: Option<Duration>,
        /// Time since the event, if the delivery goes back to a queue.
        age: Option<Duration>,
    },
    /// A delivery ended.
    Settled {
        broadcast: BroadcastId,
        /// The trace that the work belongs to.
        trace: Option<TraceId>,
        /// The delivery with its outcome.
        delivery: Delivery,
        /// Time since the event; `None` if its time is later than now.
        age: Option<Duration>,
    },
}

impl ProgressEvent {
    /// The broadcast of the event.
    pub fn broadcast(&self) -> &BroadcastId {
        match self {
            Self::Services { broadcast, .. }
            | Self::Tasks { broadcast, .. }
            | Self::Wave { broadcast, .. }
            | Self::Skipped { broadcast, .. }
            | Self::Retrying { broadcast, .. }
            | Self::Settled { broadcast, .. } => broadcast,
        }
    }

    /// The trace of the event.
    pub fn trace(&self) -> Option<TraceId> {
        match self {
            Self::Services { trace, .. }
            | Self::Tasks { trace, .. }
            | Self::Wave { trace, .. }
            | Self::Skipped { trace, .. }
            | Self::Retrying { trace, .. }
            | Self::Settled { trace, .. } => *trace,
        }
    }
}
