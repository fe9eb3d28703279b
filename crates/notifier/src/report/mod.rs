//! Reports of broadcasts: outcomes, reasons and latencies.
//!
//! [`Report`] is made from what is known at one moment; [`BroadcastState`] follows a broadcast while it happens and makes reports;
//! the dead letters add whom SQS gave up; [`Delivery`] is what is known of one container, [`Line`] the same as scripts read it, [`advice`] what to do about it, and
//! [`Event`] what happens to it. [`answers`] groups what a fleet answers to a question. All pure; only [`logged`] writes, to the log.

mod advice;
pub mod answers;
mod counts;
mod dead_letters;
mod event;
mod line;
mod log;
mod percentiles;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wire::BroadcastId;

use crate::model::{Delivery, Found, Member, Outcome, Places, ServiceKey, latency};
use crate::rollout::Stopped;

use answers::{KeptAnswers, KeptSummary};

pub use advice::{advice, advice_in_wave};
pub use counts::{Counts, Verdict};
pub use event::{Event, What, events};
pub use line::Line;
pub use log::logged;
pub use percentiles::Percentiles;
pub use state::BroadcastState;

/// What became of each opted-in container of a broadcast's scope, in the order of account, region, cluster, service, task
/// and container.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    broadcast: BroadcastId,
    entries: Vec<Delivery>,
    folded: usize,
    found: Option<Found>,
    stopped: Option<Stopped>,
    wave_outcomes: BTreeMap<u16, OffsetDateTime>,
    /// The latest and the last wave of the whole report, if this is a part of it.
    wave: Option<(u16, u16)>,
}

/// What became of the containers of one wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WaveReport {
    /// Its number, from 1.
    pub wave: u16,
    /// All its containers.
    pub total: usize,
    /// How many came to what.
    #[serde(flatten)]
    pub counts: Counts,
    /// Time of its latest outcome, if it has ended and that is recorded.
    #[serde(rename = "ended_at", skip_serializing_if = "Option::is_none", serialize_with = "rfc3339")]
    pub ended: Option<OffsetDateTime>,
}

/// What became of the containers of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceReport<'a> {
    /// Its name and its cluster.
    pub key: ServiceKey<'a>,
    /// How many containers came to what.
    pub counts: Counts,
    /// How fast those answered that were delivered to; `None` when none was.
    pub latency: Option<Percentiles<Duration>>,
    /// How many requests each took that was called; `None` when none was.
    pub attempts: Option<Percentiles<u32>>,
}

/// The line that closes a report for scripts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary<'a> {
    /// The broadcast.
    pub broadcast: &'a str,
    /// Older events whose place this one has taken.
    #[serde(skip_serializing_if = "is_zero")]
    pub folded: usize,
    /// How its tasks were found, if that is recorded.
    #[serde(rename = "discovery", skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// All opted-in containers.
    pub total: usize,
    /// How many came to what.
    #[serde(flatten)]
    pub counts: Counts,
    /// Those whose tasks started after the broadcast had found its fleet.
    #[serde(skip_serializing_if = "is_zero")]
    pub late: usize,
    /// The waves of a broadcast that has several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<WaveReport>,
    /// Where and why it was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<&'a Stopped>,
    /// The kept answers, if it was a question.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptSummary>,
    /// How fast those answered that were delivered to.
    pub latency_ms: Option<Percentiles<f64>>,
    /// How many requests each took that was called.
    pub attempts: Option<Percentiles<u32>>,
}

impl Report {
    /// A report of these containers. Where account and region are unknown, they are those of the other containers of the
    /// cluster.
    pub fn new(broadcast: BroadcastId, mut entries: Vec<Delivery>) -> Self {
        place(&mut entries);
        sort(&mut entries);
        Self {
            broadcast,
            entries,
            folded: 0,
            found: None,
            stopped: None,
            wave_outcomes: BTreeMap::new(),
            wave: None,
        }
    }

    /// The same for a broadcast whose event has taken the place of this number of older ones.
    #[must_use]
    pub fn with_folded(self, folded: usize) -> Self {
        Self { folded, ..self }
    }

    /// Older events whose place this broadcast's event has taken.
    pub fn folded(&self) -> usize {
        self.folded
    }

    /// The same for a broadcast whose tasks were found in this way.
    #[must_use]
    pub fn with_found(self, found: Option<Found>) -> Self {
        Self { found, ..self }
    }

    /// How the tasks of the broadcast were found, if that is recorded.
    pub fn found(&self) -> Option<Found> {
        self.found
    }

    /// The same for a broadcast that was stopped.
    #[must_use]
    pub fn with_stop(self, stopped: Option<Stopped>) -> Self {
        Self { stopped, ..self }
    }

    /// Where and why the broadcast was stopped; `None` if it was not.
    pub fn stopped(&self) -> Option<&Stopped> {
        self.stopped.as_ref()
    }

    /// The same with the time of the latest outcome of each wave.
    #[must_use]
    pub fn with_wave_outcomes(self, wave_outcomes: BTreeMap<u16, OffsetDateTime>) -> Self {
        Self { wave_outcomes, ..self }
    }

    /// The waves that have a container, in order. None if all containers are called at once.
    pub fn waves(&self) -> Vec<WaveReport> {
        let mut waves = BTreeMap::<u16, Counts>::new();
        for entry in &self.entries {
            if let Some(wave) = entry.wave {
                waves.entry(wave).or_default().add(entry.outcome);
            }
        }
        let report = |(wave, counts): (u16, Counts)| {
            let ended = self.wave_outcomes.get(&wave).filter(|_| counts.pending == 0).copied();
            WaveReport { wave, total: counts.total(), counts, ended }
        };
        waves.into_iter().map(report).collect()
    }

    /// The latest wave with an outcome, or the first one, and the last wave. `None` if all containers are called at once.
    pub fn latest_wave(&self) -> Option<(u16, u16)> {
        if self.wave.is_some() {
            return self.wave;
        }
        let waves = self.waves();
        let last = waves.last()?.wave;
        let begun = waves.iter().rev().find(|wave| wave.counts.pending < wave.total);
        Some((begun.map_or(1, |wave| wave.wave), last))
    }

    /// The delivery of each container.
    pub fn entries(&self) -> &[Delivery] {
        &self.entries
    }

    /// The broadcast.
    pub fn broadcast(&self) -> &BroadcastId {
        &self.broadcast
    }

    /// How many containers came to what.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in &self.entries {
            counts.add(entry.outcome);
        }
        counts
    }

    /// Containers whose tasks started after the broadcast had found its fleet.
    pub fn late(&self) -> usize {
        self.entries.iter().filter(|entry| entry.late).count()
    }

    /// The answers that are recorded, if it was a question.
    pub fn kept_answers(&self) -> Option<KeptAnswers> {
        KeptAnswers::of(&self.entries)
    }

    /// The same for each service, in order.
    pub fn services(&self) -> Vec<ServiceReport<'_>> {
        let mut services = BTreeMap::<ServiceKey<'_>, (Counts, Vec<Duration>, Vec<u32>)>::new();
        for entry in &self.entries {
            let (counts, latencies, attempts) = services.entry(entry.member.service_key()).or_default();
            counts.add(entry.outcome);
            latencies.extend(answered_within(entry));
            attempts.extend(entry.attempts);
        }
        let report = |(key, (counts, latencies, attempts))| ServiceReport {
            key,
            counts,
            latency: Percentiles::of(latencies),
            attempts: Percentiles::of(attempts),
        };
        services.into_iter().map(report).collect()
    }

    /// How fast those answered that were delivered to; `None` when none was.
    pub fn latency(&self) -> Option<Percentiles<Duration>> {
        Percentiles::of(self.entries.iter().filter_map(answered_within).collect())
    }

    /// How many requests each took that was called, whatever came of it; `None` when none was.
    pub fn attempts(&self) -> Option<Percentiles<u32>> {
        Percentiles::of(self.entries.iter().filter_map(|entry| entry.attempts).collect())
    }

    /// A line for each opted-in container, in order.
    pub fn lines(&self) -> Vec<Line<'_>> {
        let wave = self.latest_wave().map(|(wave, _)| wave);
        self.entries.iter().map(|entry| Line::in_wave(entry, &self.broadcast, wave)).collect()
    }

    /// The line that closes it.
    pub fn summary(&self) -> Summary<'_> {
        let counts = self.counts();
        Summary {
            broadcast: self.broadcast.as_str(),
            folded: self.folded,
            found: self.found,
            total: counts.total(),
            counts,
            late: self.late(),
            waves: self.waves(),
            stopped: self.stopped(),
            kept: self.kept_answers().map(|kept| kept.summary()),
            latency_ms: self.latency().map(|latency| latency.map(latency::millis)),
            attempts: self.attempts(),
        }
    }
}

/// Completes members whose account and region are unknown.
fn place(entries: &mut [Delivery]) {
    if !entries.iter().any(|entry| entry.member.service_key().is_unplaced()) {
        return;
    }
    let places = Places::of(entries.iter().map(|entry| entry.member.service_key()));
    let indexed: Vec<_> = entries
        .iter()
        .map(|entry| {
            let ServiceKey { account, region, .. } = places.complete(entry.member.service_key());
            let (account, region) = (account.to_owned(), region.to_owned());
            let is_known = account == entry.member.account && region == entry.member.region;
            (!is_known).then(|| Arc::new(Member { account, region, ..Member::clone(&entry.member) }))
        })
        .collect();
    for (entry, indexed) in entries.iter_mut().zip(indexed) {
        if let Some(member) = indexed {
            entry.member = member;
        }
    }
}

/// Sorts by service first, and then the tasks of each: comparing tasks that have the same service takes one text, not five.
fn sort(entries: &mut [Delivery]) {
    entries.sort_by(|a, b| a.member.service_key().cmp(&b.member.service_key()));
    for of_service in entries.chunk_by_mut(|a, b| a.member.service_key() == b.member.service_key()) {
        of_service.sort_by(|a, b| task_key(a).cmp(&task_key(b)));
    }
}

fn task_key(entry: &Delivery) -> impl Ord {
    (&entry.member.task, &entry.member.container, &entry.member, entry.address)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(crate) fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn rfc3339<S: Serializer>(time: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    let to_the_second = |time: OffsetDateTime| time.replace_nanosecond(0).unwrap_or(time);
    time.and_then(|time| to_the_second(time).format(&Rfc3339).ok()).serialize(serializer)
}

/// How fast a container answered that was delivered to.
fn answered_within(entry: &Delivery) -> Option<Duration> {
    entry.latency.filter(|_| entry.outcome == Some(Outcome::Delivered))
}

#[cfg(test)]
mod tests;
