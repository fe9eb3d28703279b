//! What a broadcast came to: who was told, who was not and why, how long it took.
//!
//! [`Report`] is made from what is known at one moment; [`Tally`] follows a broadcast while it happens and makes reports;
//! [`Line`] is one endpoint or skip as scripts read it. All pure; only [`logged`] writes, to the log.

mod counts;
mod latency;
mod line;
mod log;
mod tally;

use std::collections::BTreeMap;

use serde::Serialize;
use wire::BroadcastId;

use crate::fleet::{Endpoint, Member};
use crate::outcome::{Outcome, Settled, Skipped};

pub use counts::Counts;
pub use latency::Latency;
pub use line::Line;
pub use log::logged;
pub use tally::Tally;

/// What became of each opted-in container of a broadcast's scope, each in one place, in the order of service and task.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    broadcast: BroadcastId,
    settled: Vec<Settled>,
    skipped: Vec<Skipped>,
    pending: Vec<Endpoint>,
}

/// What became of the containers of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceReport<'a> {
    /// Name of the service, or the group of tasks that no service started.
    pub service: &'a str,
    /// How many containers came to what.
    pub counts: Counts,
    /// How fast those answered that were delivered to; `None` when none was.
    pub latency: Option<Latency>,
}

/// The line that closes a report for scripts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary<'a> {
    /// The broadcast.
    pub broadcast: &'a str,
    /// All opted-in containers.
    pub total: usize,
    /// How many came to what.
    #[serde(flatten)]
    pub counts: Counts,
    /// How fast those answered that were delivered to.
    pub latency_ms: Option<Latency>,
}

impl Report {
    /// A report of these ends, and of endpoints that have none yet.
    #[must_use]
    pub fn new(
        broadcast: BroadcastId,
        mut settled: Vec<Settled>,
        mut skipped: Vec<Skipped>,
        mut pending: Vec<Endpoint>,
    ) -> Self {
        settled.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        skipped.sort_by(|a, b| a.skip.member.cmp(&b.skip.member));
        pending.sort_unstable();
        Self { broadcast, settled, skipped, pending }
    }

    /// The broadcast.
    #[must_use]
    pub fn broadcast(&self) -> &BroadcastId {
        &self.broadcast
    }

    /// How many containers came to what.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (_, outcome) in self.ends() {
            counts.add(outcome);
        }
        counts
    }

    /// The same for each service, in the order of names.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceReport<'_>> {
        let mut counts = BTreeMap::<&str, Counts>::new();
        for (member, outcome) in self.ends() {
            counts.entry(&member.service).or_default().add(outcome);
        }
        let mut latencies = BTreeMap::<&str, Vec<_>>::new();
        for settled in self.delivered() {
            latencies.entry(&settled.endpoint.member.service).or_default().push(settled.result.latency);
        }
        let report = |(service, counts)| {
            let latency = latencies.remove(service).and_then(Latency::of);
            ServiceReport { service, counts, latency }
        };
        counts.into_iter().map(report).collect()
    }

    /// How fast those answered that were delivered to; `None` when none was.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        Latency::of(self.delivered().map(|settled| settled.result.latency).collect())
    }

    /// A line for each opted-in container, in the order of cluster, service, task and container.
    #[must_use]
    pub fn lines(&self) -> Vec<Line<'_>> {
        let settled = self.settled.iter().map(Line::of_settled);
        let skipped = self.skipped.iter().map(|s| Line::of_skip(&s.skip, Some(&self.broadcast)));
        let pending = self.pending.iter().map(|e| Line::of_endpoint(e, Some(&self.broadcast)));
        let mut lines: Vec<_> = settled.chain(skipped).chain(pending).collect();
        lines.sort_by(|a, b| a.place().cmp(&b.place()));
        lines
    }

    /// The line that closes it.
    #[must_use]
    pub fn summary(&self) -> Summary<'_> {
        let counts = self.counts();
        Summary {
            broadcast: self.broadcast.as_str(),
            total: counts.total(),
            counts,
            latency_ms: self.latency(),
        }
    }

    fn ends(&self) -> impl Iterator<Item = (&Member, Option<Outcome>)> {
        let settled = self.settled.iter().map(|s| (&s.endpoint.member, Some(s.result.outcome)));
        let skipped = self.skipped.iter().map(|s| (&s.skip.member, Some(Outcome::Skipped)));
        let pending = self.pending.iter().map(|e| (&e.member, None));
        settled.chain(skipped).chain(pending)
    }

    fn delivered(&self) -> impl Iterator<Item = &Settled> {
        self.settled.iter().filter(|settled| settled.result.outcome == Outcome::Delivered)
    }
}

#[cfg(test)]
mod tests;
