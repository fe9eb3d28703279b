//! Containers by outcome.

use serde::Serialize;

use crate::model::Outcome;

/// Numbers of containers by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the words of `Outcome`, with their documentation")]
pub struct Counts {
    pub delivered: usize,
    pub rejected: usize,
    pub failed: usize,
    pub gone: usize,
    pub skipped: usize,
    /// Have no outcome yet.
    pub pending: usize,
}

impl Counts {
    /// Counts one more container; `None` is one without an outcome.
    pub fn add(&mut self, outcome: Option<Outcome>) {
        *self.of_mut(outcome) += 1;
    }

    /// Counts the containers of another count too.
    pub fn merge(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.rejected += other.rejected;
        self.failed += other.failed;
        self.gone += other.gone;
        self.skipped += other.skipped;
        self.pending += other.pending;
    }

    /// Removes a container.
    pub(super) fn remove(&mut self, outcome: Option<Outcome>) {
        let count = self.of_mut(outcome);
        *count = count.saturating_sub(1);
    }

    /// The number of containers with this outcome.
    pub fn of(mut self, outcome: Option<Outcome>) -> usize {
        *self.of_mut(outcome)
    }

    fn of_mut(&mut self, outcome: Option<Outcome>) -> &mut usize {
        match outcome {
            Some(Outcome::Delivered) => &mut self.delivered,
            Some(Outcome::Rejected) => &mut self.rejected,
            Some(Outcome::Failed) => &mut self.failed,
            Some(Outcome::Gone) => &mut self.gone,
            Some(Outcome::Skipped) => &mut self.skipped,
            None => &mut self.pending,
        }
    }

    /// All opted-in containers.
    pub fn total(self) -> usize {
        let Self { delivered, rejected, failed, gone, skipped, pending } = self;
        delivered + rejected + failed + gone + skipped + pending
    }

    /// Containers that were notified, or whose task had stopped.
    pub fn notified(self) -> usize {
        self.delivered + self.gone
    }

    /// The verdict on a broadcast with these counts. `allow_skips` accepts skipped containers.
    pub fn verdict(self, allow_skips: bool) -> Verdict {
        let accepted = if allow_skips { self.skipped } else { 0 };
        match self.notified() {
            notified if notified + accepted < self.total() => Verdict::Missed,
            0 => Verdict::Nobody,
            _ => Verdict::Notified,
        }
    }
}

/// The verdict on a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every container was notified, except accepted skips.
    Notified,
    /// No container was notified and none is missing: no container opted in, or all were accepted skips. Usually the scope
    /// or the labels are wrong.
    Nobody,
    /// Some containers were not notified.
    Missed,
}
