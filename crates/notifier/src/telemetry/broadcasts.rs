//! How long broadcasts take, as far as one process sees them. Pure.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::time::{Duration, Instant};

use wire::{BroadcastId, PartId};

use crate::model::{Member, ProgressEvent};

/// Broadcasts that are followed at the same time. The oldest one is dropped for a further one.
const OPEN_MAX: usize = 256;
/// Deliveries that are followed at the same time, eight bytes each; broadcasts with more are not followed.
const PENDING_MAX: usize = 1_000_000;

/// The broadcasts to one cluster whose discovery this process made, and that have not ended.
///
/// Where several processes share the queues, each sees only a part of a broadcast, and knows no end.
#[derive(Debug, Default)]
pub(super) struct OpenBroadcasts {
    open: HashMap<BroadcastId, Open>,
    /// Deliveries without an outcome, of all of them.
    pending: usize,
}

#[derive(Debug)]
struct Open {
    requested: Instant,
    /// The parts of the scope that stage 2 has not looked up.
    parts: HashSet<PartId>,
    /// Hashes of the containers without an outcome.
    pending: HashSet<u64>,
}

impl OpenBroadcasts {
    /// Takes note of an event. Returns how long its broadcast took, if this was its last one.
    pub(super) fn note(&mut self, event: &ProgressEvent, now: Instant) -> Option<Duration> {
        let id = event.broadcast();
        match event {
            ProgressEvent::Services { parts, age, .. } => {
                let requested = now.checked_sub((*age)?)?;
                let parts = parts.iter().cloned().collect();
                self.remove(id);
                self.make_room();
                self.open.insert(id.clone(), Open { requested, parts, pending: HashSet::new() });
            }
            ProgressEvent::Tasks { part, endpoints, .. } => {
                let open = self.open.get_mut(id)?;
                // `send` announces its first part only.
                open.parts.remove(part);
                for endpoint in endpoints {
                    self.pending += usize::from(open.pending.insert(hash(&endpoint.member)));
                }
                if self.pending > PENDING_MAX {
                    self.remove(id);
                    return None;
                }
            }
            ProgressEvent::Skipped { delivery, .. } | ProgressEvent::Settled { delivery, .. } => {
                let open = self.open.get_mut(id)?;
                self.pending -= usize::from(open.pending.remove(&hash(&delivery.member)));
            }
            ProgressEvent::Retrying { .. } | ProgressEvent::Wave { .. } => return None,
        }
        let open = self.open.get(id)?;
        let is_over = open.parts.is_empty() && open.pending.is_empty();
        let took = is_over.then(|| now.saturating_duration_since(open.requested));
        if is_over {
            self.remove(id);
        }
        took
    }

    fn remove(&mut self, id: &BroadcastId) {
        if let Some(open) = self.open.remove(id) {
            self.pending -= open.pending.len();
        }
    }

    fn make_room(&mut self) {
        if self.open.len() < OPEN_MAX {
            return;
        }
        let oldest = self.open.iter().min_by_key(|(_, open)| open.requested).map(|(id, _)| id.clone());
        if let Some(oldest) = oldest {
            self.remove(&oldest);
        }
    }
}

/// With the fixed keys of a default hasher: of a million containers, two are taken for one with a chance of 1 in 10^7.
fn hash(member: &Member) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((&member.task, &member.container))
}
