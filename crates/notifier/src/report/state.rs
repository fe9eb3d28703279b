//! Follows one broadcast while it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use wire::{BroadcastId, PartId};

use super::{Counts, Report};
use crate::model::Delivery;
use crate::model::Step;
use crate::model::{Endpoint, Member, NotTargeted};
use crate::model::{Outcome, Settled, Skipped};

/// What is known of one broadcast so far, and when that is everything.
///
/// Steps may come in any order and more than once, as a queue that delivers at least once makes them: a container counts
/// once, and of two ends of one delivery the better one counts. Holds every endpoint of the fleet in memory.
#[derive(Clone, Debug)]
pub struct BroadcastState {
    broadcast: BroadcastId,
    /// The parts that stage 1 made; `None` before it is done.
    parts: Option<BTreeSet<PartId>>,
    parts_seen: BTreeSet<PartId>,
    /// Whoever is expected and has no outcome.
    pending: BTreeMap<Member, Endpoint>,
    settled: BTreeMap<Member, Settled>,
    skipped: BTreeMap<Member, Skipped>,
    /// Whoever of them waits for another attempt, or is in it, and when that is or was due; `None` when nobody knows.
    retrying: BTreeMap<Member, Option<Instant>>,
    not_targeted: Vec<NotTargeted>,
    services: BTreeMap<String, Counts>,
}

impl BroadcastState {
    /// Nothing is known of this broadcast yet.
    #[must_use]
    pub fn new(broadcast: BroadcastId) -> Self {
        Self {
            broadcast,
            parts: None,
            parts_seen: BTreeSet::new(),
            pending: BTreeMap::new(),
            settled: BTreeMap::new(),
            skipped: BTreeMap::new(),
            retrying: BTreeMap::new(),
            not_targeted: Vec::new(),
            services: BTreeMap::new(),
        }
    }

    /// Takes note of a step; those of other broadcasts are ignored.
    pub fn note(&mut self, step: Step) {
        self.note_of(step, None);
    }

    /// The same for a step that happened just now, so that it is known when a retry is [due](Self::retry_due).
    pub fn note_at(&mut self, step: Step, now: Instant) {
        self.note_of(step, Some(now));
    }

    fn note_of(&mut self, step: Step, now: Option<Instant>) {
        match step {
            Step::Services { broadcast, parts, not_targeted } if broadcast == self.broadcast => {
                let repeated = self.parts.replace(parts.into_iter().collect()).is_some();
                self.not_targeted.extend(not_targeted.into_iter().filter(|_| !repeated));
            }
            Step::Tasks { broadcast, part, endpoints, not_targeted, .. } if broadcast == self.broadcast => {
                if self.parts_seen.insert(part) {
                    self.not_targeted.extend(not_targeted);
                }
                for endpoint in endpoints {
                    self.expect(endpoint);
                }
            }
            Step::Skipped(skipped) if skipped.broadcast == self.broadcast => self.skip(skipped),
            Step::Settled(settled) if settled.broadcast == self.broadcast => self.settle(settled),
            Step::Retrying { broadcast, endpoint, wait, .. }
                if broadcast == self.broadcast && self.is_pending(&endpoint.member) =>
            {
                self.retrying.insert(endpoint.member, now.and_then(|now| now.checked_add(wait)));
            }
            _ => {}
        }
    }

    fn is_pending(&self, member: &Member) -> bool {
        self.pending.contains_key(member)
    }

    fn expect(&mut self, endpoint: Endpoint) {
        let member = endpoint.member.clone();
        if self.skipped.contains_key(&member) || self.settled.contains_key(&member) {
            return;
        }
        if self.pending.insert(member.clone(), endpoint).is_none() {
            self.count(&member).add(None);
        }
    }

    fn skip(&mut self, skipped: Skipped) {
        let member = skipped.skip.member.clone();
        if self.pending.remove(&member).is_some() {
            // The broadcast was cancelled.
            self.retrying.remove(&member);
            self.count(&member).remove(None);
        }
        if self.skipped.insert(member.clone(), skipped).is_none() {
            self.count(&member).add(Some(Outcome::Skipped));
        }
    }

    fn settle(&mut self, settled: Settled) {
        let member = settled.endpoint.member.clone();
        let outcome = settled.result.outcome;
        let before = self.settled.get(&member).map(|s| s.result.outcome);
        if before.is_some_and(Outcome::is_told) {
            return;
        }
        if self.pending.remove(&member).is_some() || before.is_some() {
            self.count(&member).remove(before);
        }
        self.count(&member).add(Some(outcome));
        self.retrying.remove(&member);
        self.settled.insert(member, settled);
    }

    fn count(&mut self, member: &Member) -> &mut Counts {
        self.services.entry(member.service.clone()).or_default()
    }

    /// Whether stage 1 is done.
    #[must_use]
    pub fn is_surveyed(&self) -> bool {
        self.parts.is_some()
    }

    /// Whether every part of the scope was looked at and every delivery has ended.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.parts.as_ref().is_some_and(|parts| parts.is_subset(&self.parts_seen)) && self.pending.is_empty()
    }

    /// How many containers of each service came to what so far, in the order of names.
    pub fn services(&self) -> impl Iterator<Item = (&str, Counts)> {
        self.services.iter().map(|(service, counts)| (service.as_str(), *counts))
    }

    /// Who has no outcome yet, in order.
    pub fn pending(&self) -> impl Iterator<Item = &Member> {
        self.pending.keys()
    }

    /// Whose delivery waits for another attempt, or is in it, in order.
    #[must_use]
    pub fn retrying(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.retrying.keys()
    }

    /// When the next of the retries is due that wait at this moment; `None` when none does.
    #[must_use]
    pub fn retry_due(&self, now: Instant) -> Option<Instant> {
        self.retrying.values().flatten().copied().filter(|due| *due > now).min()
    }

    /// Who was looked at and not called, because nobody asked.
    #[must_use]
    pub fn not_targeted(&self) -> &[NotTargeted] {
        &self.not_targeted
    }

    /// What is known so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let settled = self.settled.values().map(Delivery::from);
        let skipped = self.skipped.values().map(|skipped| Delivery::from(&skipped.skip));
        let pending = self.pending.values().map(Delivery::from);
        Report::new(self.broadcast.clone(), settled.chain(skipped).chain(pending).collect())
    }
}
