//! What happens during a broadcast, as typed steps: one source for live text, logs, reports and JSON lines alike
//! ([`events`](crate::report::events)).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wire::{BroadcastId, PartId};

use super::{Endpoint, NotTargeted, Skip};
use super::{Settled, Skipped};

/// One thing that happened in a broadcast.
#[derive(Clone, Debug)]
pub enum Step {
    /// Stage 1 is done: so many parts of the scope go on to stage 2.
    Services {
        /// The broadcast.
        broadcast: BroadcastId,
        /// What stage 2 looks at, part by part.
        parts: Vec<PartId>,
        /// Services without an opted-in container.
        not_targeted: Vec<NotTargeted>,
    },
    /// Stage 2 is done with one part of the scope.
    Tasks {
        /// The broadcast.
        broadcast: BroadcastId,
        /// The part.
        part: PartId,
        /// The part's service.
        service: String,
        /// Whom stage 3 calls.
        endpoints: Vec<Endpoint>,
        /// Who is not called, because nobody asked.
        not_targeted: Vec<NotTargeted>,
    },
    /// An opted-in container is not called.
    Skipped(Skipped),
    /// An attempt failed, and another follows.
    Retrying {
        /// The broadcast.
        broadcast: BroadcastId,
        /// Whom.
        endpoint: Endpoint,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// What went wrong.
        reason: String,
        /// How long until the next one.
        wait: Duration,
    },
    /// A delivery ended.
    Settled(Settled),
}

/// Where steps go. Cloning it is cheap; the default drops them.
///
/// A listener is called from many tasks at once and must not block.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(Step) + Send + Sync>);

impl Progress {
    /// Sends every step to `listener`.
    pub fn new(listener: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Tells the listener.
    pub fn tell(&self, step: Step) {
        (self.0)(step);
    }

    /// Tells the listener of skips.
    pub fn skipped(&self, broadcast: &BroadcastId, skips: Vec<Skip>) {
        for skip in skips {
            self.tell(Step::Skipped(Skipped { broadcast: broadcast.clone(), skip }));
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress(..)")
    }
}
