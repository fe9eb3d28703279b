//! The pause that `continue` ends, from what is recorded of a broadcast. Pure.

use std::fmt;

use super::Recorded;

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
            Self::Stopped(wave) => write!(f, "was stopped at wave {wave}"),
            Self::Cancelled => f.write_str("was cancelled"),
            Self::NoWaves => f.write_str("does not go through its fleet in waves"),
            Self::Ended => f.write_str("has ended"),
            Self::LastWave => f.write_str("is in its last wave"),
        }
    }
}

impl Recorded {
    /// The wave whose pause `continue` ends: the latest one that has begun, whether it has ended or not.
    ///
    /// # Errors
    ///
    /// [`NoPause`] if no wave follows.
    pub fn pause(&self) -> Result<u16, NoPause> {
        if let Some(stopped) = &self.stopped {
            return Err(NoPause::Stopped(stopped.wave));
        }
        if self.cancelled.is_some() {
            return Err(NoPause::Cancelled);
        }
        let (wave, last) = self.report.latest_wave().ok_or(NoPause::NoWaves)?;
        match wave {
            _ if self.is_complete => Err(NoPause::Ended),
            wave if wave == last => Err(NoPause::LastWave),
            wave => Ok(wave),
        }
    }
}
