//! Follows one broadcast while it happens.

use std::collections::{BTreeMap, BTreeSet};

use wire::{BroadcastId, PartId};

use super::{Counts, Entry, Report};
use crate::fleet::{Bystander, Endpoint, Member};
use crate::outcome::{Outcome, Settled, Skipped};
use crate::progress::Step;

/// What is known of one broadcast so far, and when that is everything.
///
/// Steps may come in any order and more than once, as a queue that delivers at least once makes them: a container counts
/// once, and of two ends of one delivery the better one counts. Holds every endpoint of the fleet in memory.
#[derive(Clone, Debug)]
pub struct Tally {
    broadcast: BroadcastId,
    /// The parts that stage 1 made; `None` before it is done.
    parts: Option<BTreeSet<PartId>>,
    parts_seen: BTreeSet<PartId>,
    expected: BTreeMap<Member, Endpoint>,
    settled: BTreeMap<Member, Settled>,
    skipped: BTreeMap<Member, Skipped>,
    retrying: BTreeSet<Member>,
    bystanders: Vec<Bystander>,
    services: BTreeMap<String, Counts>,
}

impl Tally {
    /// Nothing is known of this broadcast yet.
    #[must_use]
    pub fn new(broadcast: BroadcastId) -> Self {
        Self {
            broadcast,
            parts: None,
            parts_seen: BTreeSet::new(),
            expected: BTreeMap::new(),
            settled: BTreeMap::new(),
            skipped: BTreeMap::new(),
            retrying: BTreeSet::new(),
            bystanders: Vec::new(),
            services: BTreeMap::new(),
        }
    }

    /// Takes note of a step; those of other broadcasts are ignored.
    pub fn note(&mut self, step: Step) {
        match step {
            Step::Services { broadcast, parts, bystanders } if broadcast == self.broadcast => {
                let repeated = self.parts.replace(parts.into_iter().collect()).is_some();
                self.bystanders.extend(bystanders.into_iter().filter(|_| !repeated));
            }
            Step::Tasks { broadcast, part, endpoints, bystanders, .. } if broadcast == self.broadcast => {
                if self.parts_seen.insert(part) {
                    self.bystanders.extend(bystanders);
                }
                for endpoint in endpoints {
                    self.expect(endpoint);
                }
            }
            Step::Skipped(skipped) if skipped.broadcast == self.broadcast => self.skip(skipped),
            Step::Settled(settled) if settled.broadcast == self.broadcast => self.settle(settled),
            Step::Retrying { broadcast, endpoint, .. }
                if broadcast == self.broadcast && self.is_pending(&endpoint.member) =>
            {
                self.retrying.insert(endpoint.member);
            }
            _ => {}
        }
    }

    fn is_pending(&self, member: &Member) -> bool {
        self.expected.contains_key(member) && !self.settled.contains_key(member)
    }

    fn expect(&mut self, endpoint: Endpoint) {
        let member = endpoint.member.clone();
        if self.skipped.contains_key(&member) {
            return;
        }
        let is_new = self.expected.insert(member.clone(), endpoint).is_none();
        if is_new && !self.settled.contains_key(&member) {
            self.count(&member).add(None);
        }
    }

    fn skip(&mut self, skipped: Skipped) {
        let member = skipped.skip.member.clone();
        if self.is_pending(&member) {
            // The broadcast was cancelled.
            self.expected.remove(&member);
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
        if before.is_some() || self.expected.contains_key(&member) {
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
        self.parts.as_ref().is_some_and(|parts| parts.is_subset(&self.parts_seen))
            && self.expected.keys().all(|member| self.settled.contains_key(member))
    }

    /// How many containers of each service came to what so far, in the order of names.
    pub fn services(&self) -> impl Iterator<Item = (&str, Counts)> {
        self.services.iter().map(|(service, counts)| (service.as_str(), *counts))
    }

    /// How many deliveries wait for another attempt.
    #[must_use]
    pub fn retrying(&self) -> usize {
        self.retrying.len()
    }

    /// Who was looked at and not called, because nobody asked.
    #[must_use]
    pub fn bystanders(&self) -> &[Bystander] {
        &self.bystanders
    }

    /// What is known so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let settled = self.settled.values().map(Entry::from);
        let skipped = self.skipped.values().map(|skipped| Entry::from(&skipped.skip));
        let pending = self.expected.iter().filter(|(member, _)| !self.settled.contains_key(member));
        let pending = pending.map(|(_, endpoint)| Entry::from(endpoint));
        Report::new(self.broadcast.clone(), settled.chain(skipped).chain(pending).collect())
    }
}
