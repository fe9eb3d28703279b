//! Follows one broadcast while it happens.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use wire::{BroadcastId, PartId};

use super::{Counts, Report};
use crate::model::{Delivery, Endpoint, Member, NotTargeted, Outcome, Places, ProgressEvent, ServiceKey};

/// The state of one broadcast so far, and whether it is complete.
///
/// Events may come in any order and more than once, as from a queue that delivers at least once: a container counts once,
/// and of two outcomes of one delivery the better one counts. Holds a record of every container in memory.
#[derive(Clone, Debug)]
pub struct BroadcastState {
    broadcast: BroadcastId,
    /// The parts that stage 1 found; `None` before it is done.
    parts: Option<BTreeSet<PartId>>,
    parts_seen: BTreeSet<PartId>,
    /// Every opted-in container; without an outcome while its delivery has not ended.
    deliveries: HashMap<Arc<Member>, Delivery>,
    /// How many of them have no outcome.
    pending: usize,
    /// Deliveries that wait for another attempt or are in it, and when that is or was due; `None` where no time is known.
    retrying: BTreeMap<Arc<Member>, Option<Instant>>,
    not_targeted: Vec<NotTargeted>,
    services: BTreeMap<OfService, Counts>,
    /// The latest wave and the number of waves.
    wave: Option<(u16, u16)>,
}

/// The entry for a whole service.
#[derive(Clone, Debug)]
struct OfService(Arc<Member>);

impl Ord for OfService {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.service_key().cmp(&other.0.service_key())
    }
}

impl PartialOrd for OfService {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for OfService {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for OfService {}

impl BroadcastState {
    /// Nothing is known of this broadcast yet.
    pub fn new(broadcast: BroadcastId) -> Self {
        Self {
            broadcast,
            parts: None,
            parts_seen: BTreeSet::new(),
            deliveries: HashMap::new(),
            pending: 0,
            retrying: BTreeMap::new(),
            not_targeted: Vec::new(),
            services: BTreeMap::new(),
            wave: None,
        }
    }

    /// Takes note of an event; those of other broadcasts are ignored.
    pub fn note(&mut self, event: &ProgressEvent) {
        self.note_of(event, None);
    }

    /// The same for an event that happened just now, so that it is known when a retry is [due](Self::retry_due).
    pub fn note_at(&mut self, event: &ProgressEvent, now: Instant) {
        self.note_of(event, Some(now));
    }

    fn note_of(&mut self, event: &ProgressEvent, now: Option<Instant>) {
        if *event.broadcast() != self.broadcast {
            return;
        }
        match event {
            ProgressEvent::Services { parts, not_targeted, .. } => {
                // One event for each cluster; a repeated one has the same parts.
                let is_first = self.parts.is_none();
                let known = self.parts.get_or_insert_default();
                let before = known.len();
                known.extend(parts.iter().cloned());
                if is_first || known.len() > before {
                    self.not_targeted.extend(not_targeted.iter().cloned());
                }
            }
            ProgressEvent::Tasks { part, endpoints, not_targeted, .. } => {
                if self.parts_seen.insert(part.clone()) {
                    self.not_targeted.extend(not_targeted.iter().cloned());
                }
                for endpoint in endpoints {
                    self.expect(endpoint);
                }
            }
            ProgressEvent::Wave { wave, waves, .. } => {
                self.wave = self.wave.max(Some((*wave, *waves)));
            }
            ProgressEvent::Skipped { delivery, .. } | ProgressEvent::Settled { delivery, .. } => {
                self.settle(delivery);
            }
            ProgressEvent::Retrying { delivery, wait, .. } => {
                if let Some(known) = self.deliveries.get_mut(&delivery.member)
                    && known.outcome.is_none()
                {
                    known.clone_from(delivery);
                    let due = now.and_then(|now| now.checked_add(*wait));
                    self.retrying.insert(delivery.member.clone(), due);
                }
            }
        }
    }

    fn expect(&mut self, endpoint: &Endpoint) {
        if let Entry::Vacant(unknown) = self.deliveries.entry(endpoint.member.clone()) {
            unknown.insert(Delivery::from(endpoint));
            self.pending += 1;
            self.services.entry(OfService(endpoint.member.clone())).or_default().add(None);
        }
    }

    fn settle(&mut self, delivery: &Delivery) {
        let known = self.deliveries.entry(delivery.member.clone());
        let before = match &known {
            Entry::Occupied(known) => Some(known.get().outcome),
            Entry::Vacant(_) => None,
        };
        // A skip counts only for a container that is not called, or no longer: the broadcast was cancelled.
        let is_skip = delivery.outcome == Some(Outcome::Skipped);
        match before.flatten() {
            Some(known) if known.is_notified() || is_skip => return,
            _ => {}
        }
        known.insert_entry(delivery.clone());
        self.retrying.remove(&delivery.member);
        let counts = self.services.entry(OfService(delivery.member.clone())).or_default();
        if let Some(before) = before {
            counts.remove(before);
        }
        counts.add(delivery.outcome);
        if before == Some(None) {
            self.pending -= 1;
        }
        if delivery.outcome.is_none() {
            self.pending += 1;
        }
    }

    /// The latest wave that has begun, and the number of waves; `None` if all containers are called at once.
    pub fn wave(&self) -> Option<(u16, u16)> {
        self.wave
    }

    /// Whether stage 1 is done.
    pub fn is_surveyed(&self) -> bool {
        self.parts.is_some()
    }

    /// Whether every part of the scope was looked at and every delivery has ended.
    pub fn is_complete(&self) -> bool {
        self.parts.as_ref().is_some_and(|parts| parts.is_subset(&self.parts_seen)) && self.pending == 0
    }

    /// How many containers of each service came to what so far, in order.
    pub fn services(&self) -> BTreeMap<ServiceKey<'_>, Counts> {
        let keys = || self.services.keys().map(|OfService(member)| member.service_key());
        let places = Places::of(keys());
        let mut services = BTreeMap::<_, Counts>::new();
        for (key, counts) in keys().zip(self.services.values()) {
            services.entry(places.complete(key)).or_default().merge(*counts);
        }
        services
    }

    /// The containers without an outcome, in order.
    pub fn pending(&self) -> Vec<&Member> {
        let pending = self.deliveries.values().filter(|delivery| delivery.outcome.is_none());
        let mut pending: Vec<_> = pending.map(|delivery| &*delivery.member).collect();
        pending.sort_unstable();
        pending
    }

    /// How many containers have no outcome.
    pub fn pending_count(&self) -> usize {
        self.pending
    }

    /// The containers whose delivery waits for another attempt, or is in it, in order.
    pub fn retrying(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.retrying.keys().map(Arc::as_ref)
    }

    /// When the next of the retries is due that wait at this moment; `None` when none does.
    pub fn retry_due(&self, now: Instant) -> Option<Instant> {
        self.retrying.values().flatten().copied().filter(|due| *due > now).min()
    }

    /// Containers and tasks that are not targeted.
    pub fn not_targeted(&self) -> &[NotTargeted] {
        &self.not_targeted
    }

    /// The report so far.
    pub fn report(&self) -> Report {
        Report::new(self.broadcast.clone(), self.deliveries.values().cloned().collect())
    }
}
