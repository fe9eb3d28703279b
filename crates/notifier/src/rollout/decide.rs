//! What follows at a gate, between two waves.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Alarms, MaxErrors, Pause, Plan};

/// Failed and rejected deliveries. Gone and skipped ones never count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// In the whole broadcast.
    pub all: usize,
    /// In the wave.
    pub wave: usize,
    /// Containers of the wave that are called: all but the skipped ones.
    pub called: usize,
}

/// What is known at the gate after a wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The latest wave that was handed over, from 1.
    pub wave: u16,
    /// The next wave that has a container; `None` after the last.
    pub next: Option<u16>,
    /// Deliveries up to this wave that have not ended.
    pub unsettled: usize,
    /// Time since the last outcome of the wave.
    pub quiet: Duration,
    /// The errors so far.
    pub errors: Errors,
    /// Whether somebody has ended the pause after this wave.
    pub is_continued: bool,
    /// Whether the broadcast was cancelled.
    pub is_cancelled: bool,
    /// The alarms, where [`Plan::asks_alarms`] says that they matter.
    pub alarms: Alarms,
}

/// What follows at a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The gate is asked again after this time; `None`: when something has changed.
    Wait(Option<Duration>),
    /// This wave is handed over.
    Next(u16),
    /// No further delivery begins.
    Stop(Halt),
    /// Every wave has ended.
    Done,
}

/// Why no further delivery begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// There were more errors than allowed.
    Errors {
        /// The number of errors: in the wave for a percentage, else in the whole broadcast.
        errors: usize,
        /// Called containers of the wave.
        called: usize,
        /// The limit.
        most: MaxErrors,
    },
    /// The alarm with this name is in the state `ALARM`.
    Alarm(String),
    /// The alarms could not be read, for this reason.
    AlarmsUnknown(String),
    /// The broadcast was cancelled.
    Cancelled,
}

/// Where and why a broadcast was stopped, as it is recorded and reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The wave in which it was stopped, or after which; 0 before the first.
    pub wave: u16,
    /// Why.
    pub reason: String,
}

impl Stopped {
    /// A stop at this wave.
    pub fn at(wave: u16, halt: &Halt) -> Self {
        Self { wave, reason: halt.to_string() }
    }

    /// Where it was stopped: `at wave 2`, or `before wave 1`.
    pub fn place(&self) -> String {
        place(self.wave)
    }
}

/// Where a broadcast was stopped that had handed over this wave last, for sentences.
pub fn place(wave: u16) -> String {
    if wave == 0 { "before wave 1".to_owned() } else { format!("at wave {wave}") }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errors { errors, most: MaxErrors::Count(most), .. } => {
                let s = if *errors == 1 { "" } else { "s" };
                write!(f, "{errors} error{s}, and at most {most} allowed")
            }
            Self::Errors { errors, called, most: MaxErrors::Percent(most) } => {
                write!(f, "{errors} of {called} containers of the wave failed, and at most {most}% allowed")
            }
            Self::Alarm(name) => write!(f, "alarm `{name}` is in the state ALARM"),
            Self::AlarmsUnknown(reason) => write!(f, "the alarms could not be read: {reason}"),
            Self::Cancelled => f.write_str("the broadcast was cancelled"),
        }
    }
}

impl Plan {
    /// Why the errors stop the broadcast; `None` while they are within the limit.
    ///
    /// More outcomes never undo it, so it may be asked in the middle of a wave.
    pub fn exceeded(&self, errors: Errors) -> Option<Halt> {
        let most = self.max_errors?;
        let (count, is_exceeded) = match most {
            MaxErrors::Count(most) => (errors.all, errors.all > most),
            MaxErrors::Percent(most) => (
                errors.wave,
                errors.wave.saturating_mul(100) > errors.called.saturating_mul(usize::from(most)),
            ),
        };
        is_exceeded.then_some(Halt::Errors { errors: count, called: errors.called, most })
    }

    /// Whether the alarms matter at this gate: the next wave would begin, or its pause is not over.
    pub fn asks_alarms(&self, gate: &Gate) -> bool {
        !self.stop_on_alarm.is_empty() && self.without_next(gate).is_none()
    }

    /// What follows at a gate. The same state always gives the same decision.
    pub fn decide(&self, gate: &Gate) -> Decision {
        if let Some(decision) = self.without_next(gate) {
            return decision;
        }
        if let Some(halt) = gate.alarms.halt() {
            return Decision::Stop(halt);
        }
        let Some(next) = gate.next else { return Decision::Done };
        match self.pause {
            _ if gate.is_continued => Decision::Next(next),
            Pause::Manual => Decision::Wait(None),
            Pause::For(pause) => match pause.saturating_sub(gate.quiet) {
                Duration::ZERO => Decision::Next(next),
                left => Decision::Wait(Some(left)),
            },
        }
    }

    /// What follows if no further wave begins, or the wave has not ended.
    fn without_next(&self, gate: &Gate) -> Option<Decision> {
        if gate.is_cancelled {
            return Some(Decision::Stop(Halt::Cancelled));
        }
        if let Some(halt) = self.exceeded(gate.errors) {
            return Some(Decision::Stop(halt));
        }
        if gate.unsettled > 0 {
            return Some(Decision::Wait(None));
        }
        gate.next.is_none().then_some(Decision::Done)
    }
}
