//! Waves: which share of a fleet is called together, and what follows after each share.
//!
//! | file | what it decides |
//! | --- | --- |
//! | `plan` | reads a pace: sizes of waves, pauses, the most errors |
//! | `waves` | the wave of each task |
//! | `alarms` | what the alarms of a pace say |
//! | `decide` | at a gate: wait, the next wave, stop, or done |
//! | `pauses` | the waves after which somebody may want to continue |
//!
//! Pure: no clock, no I/O. The same rules decide in one process and through the queues.

mod alarms;
mod decide;
mod pauses;
mod plan;
mod waves;

pub use alarms::Alarms;
pub use decide::{Decision, Errors, Gate, Halt, Stopped, place};
pub use pauses::pauses;
pub use plan::{ALARMS_MAX, MaxErrors, PAUSE_MAX, PaceError, Pause, Plan, Preset, Size, WAVES_MAX};
pub use waves::{Placed, Tasks, joined, waves};

#[cfg(test)]
mod tests;
