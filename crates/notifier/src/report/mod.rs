//! What a broadcast came to: who was told, who was not and why, how long it took.
//!
//! [`Report`] is made from what is known at one moment; [`Tally`] follows a broadcast while it happens and makes reports;
//! [`Entry`] is what is known of one container, [`Line`] the same as scripts read it. All pure; only [`logged`] writes,
//! to the log.

mod counts;
mod entry;
mod latency;
mod line;
mod log;
mod tally;

use std::collections::BTreeMap;

use serde::Serialize;
use wire::BroadcastId;

use crate::outcome::Outcome;

pub use counts::Counts;
pub use entry::Entry;
pub use latency::Latency;
pub use line::Line;
pub use log::logged;
pub use tally::Tally;

/// What became of each opted-in container of a broadcast's scope, in the order of cluster, service, task and container.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    broadcast: BroadcastId,
    entries: Vec<Entry>,
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
    /// A report of these containers.
    #[must_use]
    pub fn new(broadcast: BroadcastId, mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| (&a.member, a.address).cmp(&(&b.member, b.address)));
        Self { broadcast, entries }
    }

    /// What is known of each container.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
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
        for entry in &self.entries {
            counts.add(entry.outcome);
        }
        counts
    }

    /// The same for each service, in the order of names.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceReport<'_>> {
        let mut counts = BTreeMap::<&str, Counts>::new();
        let mut latencies = BTreeMap::<&str, Vec<_>>::new();
        for entry in &self.entries {
            counts.entry(&entry.member.service).or_default().add(entry.outcome);
        }
        for (service, latency) in self.delivered() {
            latencies.entry(service).or_default().push(latency);
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
        Latency::of(self.delivered().map(|(_, latency)| latency).collect())
    }

    /// A line for each opted-in container, in the order of cluster, service, task and container.
    #[must_use]
    pub fn lines(&self) -> Vec<Line<'_>> {
        self.entries.iter().map(|entry| Line::of_entry(entry, &self.broadcast)).collect()
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

    /// The services and latencies of those that were delivered to.
    fn delivered(&self) -> impl Iterator<Item = (&str, std::time::Duration)> {
        let delivered = self.entries.iter().filter(|entry| entry.outcome == Some(Outcome::Delivered));
        delivered.filter_map(|entry| Some((entry.member.service.as_str(), entry.latency?)))
    }
}

#[cfg(test)]
mod tests;
