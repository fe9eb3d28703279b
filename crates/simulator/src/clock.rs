//! The simulator's time: tokio's clock, with a start time that the caller chooses.
//!
//! With tokio's clock paused, a test can skip hours of visibility time-outs and throttles.

use std::time::Duration;

use tokio::time::Instant;

/// Wall-clock time derived from tokio's clock. Copies share the start, so they agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    epoch: Duration,
}

impl Clock {
    /// A clock that says `epoch` (since 1970-01-01 UTC) now and runs with tokio's time from here.
    pub fn starting_at(epoch: Duration) -> Self {
        Self { started: Instant::now(), epoch }
    }

    /// Time since 1970-01-01 UTC.
    pub fn now(&self) -> Duration {
        self.epoch + self.started.elapsed()
    }

    /// Milliseconds since 1970-01-01 UTC, the unit of SQS attributes.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX)
    }
}
