//! The pauses that `continue` ends, from what is recorded of a broadcast. Pure.

use std::fmt;

use super::Recorded;
use crate::rollout;

/// Why a broadcast has no pause that could be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPause {
    /// It was stopped at this wave.
    Stopped(u16),
    /// It was cancelled.
    Cancelled,
    /// All its containers are called at once.
    NoWaves,
    /// It has ended.
    Ended,
    /// No wave follows.
    LastWave,
}

impl fmt::Display for NoPause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(wave) => write!(f, "was stopped {}", rollout::place(*wave)),
            Self::Cancelled => f.write_str("was cancelled"),
            Self::NoWaves => f.write_str("does not go through its fleet in waves"),
            Self::Ended => f.write_str("has ended"),
            Self::LastWave => f.write_str("is in its last wave"),
        }
    }
}

impl Recorded {
    /// The waves whose pause `continue` may end, whether they have ended or not: the likeliest first, and at least one.
    ///
    /// # Errors
    ///
    /// [`NoPause`] if no wave follows.
    pub fn pauses(&self) -> Result<Vec<u16>, NoPause> {
        if let Some(stopped) = &self.stopped {
            return Err(NoPause::Stopped(stopped.wave));
        }
        if self.cancelled.is_some() {
            return Err(NoPause::Cancelled);
        }
        if self.report.latest_wave().is_none() {
            return Err(NoPause::NoWaves);
        }
        if self.is_complete {
            return Err(NoPause::Ended);
        }
        let pauses = rollout::pauses(self.report.entries());
        if pauses.is_empty() { Err(NoPause::LastWave) } else { Ok(pauses) }
    }
}
