//! Counts messages by their end.

use std::ops::AddAssign;

/// The messages of one run, by their end. A message that was received twice counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Done and deleted.
    pub done: u64,
    /// Failed, and returned to the queue for a retry.
    pub retried: u64,
    /// Failed for good, and moved to the dead-letter queue.
    pub dead_lettered: u64,
    /// Returned to the queue because of the shutdown.
    pub returned: u64,
}

impl AddAssign for Served {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.retried += other.retried;
        self.dead_lettered += other.dead_lettered;
        self.returned += other.returned;
    }
}
