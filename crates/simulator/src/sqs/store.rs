//! The messages of one queue: which can be received now, which later, and which never again.
//!
//! Pure: time comes in as the duration since 1970, and every call brings the store up to that time first. Sending,
//! receiving and deleting take logarithmic time.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::content::Content;

/// Longest time that a message stays invisible after one receive, whatever is asked for meanwhile.
pub(super) const HIDDEN_MAX: Duration = Duration::from_hours(12);

/// Most messages that were received and neither deleted nor became visible again. AWS says "approximately".
pub(super) const IN_FLIGHT_MAX: usize = 120_000;

/// A group with more messages in flight than this share of the queue's, and at least [`NOISY_LEAST`], is served after
/// the others. Source: Amazon SQS Developer Guide, "How Amazon SQS fair queues work"; AWS says "approximately".
const NOISY_SHARE: usize = 10;
/// See [`NOISY_SHARE`].
const NOISY_LEAST: usize = 30;

/// A message, wherever it is.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: Arc<str>,
    pub(super) content: Arc<Content>,
    /// When it was first sent. A move to a dead-letter queue does not change it, and retention counts from here.
    pub(super) sent: Duration,
    /// How often it was received, over all queues.
    pub(super) receives: u32,
    pub(super) first_received: Option<Duration>,
    /// ARN of the queue from which it came to this dead-letter queue.
    pub(super) source: Option<Arc<str>>,
}

impl Message {
    /// A message that is sent now.
    pub(super) fn new(id: &str, content: Arc<Content>, now: Duration) -> Self {
        Self { id: id.into(), content, sent: now, receives: 0, first_received: None, source: None }
    }
}

/// What one receive asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) limit: usize,
    pub(super) hide_for: Duration,
    /// A message that was received from here this often is not returned any more but handed over as dead.
    pub(super) receives_max: Option<u32>,
}

/// What one receive found.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// With the keys by which [`Store::delete`] and [`Store::hide`] know them.
    pub(super) received: Vec<(u64, Message)>,
    /// Removed from this queue: the caller puts them into the dead-letter queue.
    pub(super) dead: Vec<Message>,
}

/// How many messages there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) visible: usize,
    pub(super) in_flight: usize,
    pub(super) delayed: usize,
}

/// Why a message's visibility cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HideError {
    /// Deleted, expired or moved away.
    Gone,
    /// Visible, or not received yet.
    NotInFlight,
    /// It would stay invisible for longer than [`HIDDEN_MAX`] since it was received.
    TooLong,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    next_key: u64,
    next_turn: u64,
    slots: HashMap<u64, Slot>,
    /// Receivable now, by their turns: who became visible first is first.
    visible: BTreeMap<u64, u64>,
    /// The same by message group, for the groups that have any.
    visible_by_group: HashMap<Option<Arc<str>>, BTreeMap<u64, u64>>,
    /// Messages in flight of each group.
    in_flight_by_group: HashMap<Arc<str>, usize>,
    /// Delayed or in flight, next due first.
    hidden: BTreeSet<(Duration, u64)>,
    by_age: BTreeSet<(Duration, u64)>,
    in_flight: usize,
}

#[derive(Debug)]
struct Slot {
    message: Message,
    place: Place,
    /// When it was received last.
    received: Duration,
    /// How often it was received from this queue. The limit before it is dead counts these: a dead-letter queue that
    /// has one of its own delivers, too.
    receives_here: u32,
}

/// Where a message is, with its order there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Its turn.
    Visible(u64),
    /// Until then.
    Delayed(Duration),
    /// Until then.
    InFlight(Duration),
}

impl Store {
    /// Brings the store up to `now`: what is due becomes visible, what is older than `retention` is dropped.
    pub(super) fn settle(&mut self, now: Duration, retention: Duration) {
        while let Some(&(sent, key)) = self.by_age.first()
            && sent + retention <= now
        {
            self.remove(key);
        }
        while let Some(&(due, key)) = self.hidden.first()
            && due <= now
        {
            self.show(key);
        }
    }

    /// Adds a message that can be received from `due` on.
    pub(super) fn push(&mut self, message: Message, now: Duration, due: Duration) {
        let key = self.next_key;
        self.next_key += 1;
        self.by_age.insert((message.sent, key));
        let place = if due > now { Place::Delayed(due) } else { self.turn() };
        self.slots.insert(key, Slot { message, place, received: Duration::ZERO, receives_here: 0 });
        self.enter(key, place);
    }

    /// Takes visible messages and hides them. `stays` is asked for each whether it stays visible although it is
    /// returned.
    pub(super) fn receive(&mut self, now: Duration, ask: Ask, mut stays: impl FnMut() -> bool) -> Batch {
        let mut batch = Batch::default();
        let mut taken = Vec::new();
        let limit = ask.limit.min(IN_FLIGHT_MAX.saturating_sub(self.in_flight));
        while taken.len() < limit {
            let Some((turn, key)) = self.next() else { break };
            if let (Some(most), Some(slot)) = (ask.receives_max, self.slots.get(&key))
                && slot.receives_here >= most
            {
                batch.dead.extend(self.remove(key));
                continue;
            }
            // Out of sight until the whole batch is found, or one that stays visible would be found twice.
            self.leave(key, Place::Visible(turn));
            taken.push(key);
        }
        for key in taken {
            let hide_for = if stays() { Duration::ZERO } else { ask.hide_for };
            batch.received.extend(self.hand_out(key, now, hide_for).map(|found| (key, found)));
        }
        batch
    }

    /// The visible message whose turn it is: the oldest of the groups that are not noisy, else the oldest.
    fn next(&self) -> Option<(u64, u64)> {
        let oldest = self.visible.first_key_value().map(|(&turn, &key)| (turn, key));
        if !self.in_flight_by_group.values().any(|&count| self.is_noisy(count)) {
            return oldest;
        }
        let quiet = self.visible_by_group.iter().filter(|(group, _)| {
            let count = group.as_ref().and_then(|group| self.in_flight_by_group.get(group));
            !count.is_some_and(|&count| self.is_noisy(count))
        });
        let firsts = quiet.filter_map(|(_, turns)| turns.first_key_value());
        firsts.min().map(|(&turn, &key)| (turn, key)).or(oldest)
    }

    /// Whether a group with so many messages in flight takes more than its share.
    fn is_noisy(&self, count: usize) -> bool {
        count >= NOISY_LEAST && count * NOISY_SHARE > self.in_flight
    }

    fn hand_out(&mut self, key: u64, now: Duration, hide_for: Duration) -> Option<Message> {
        let slot = self.slots.get_mut(&key)?;
        slot.message.receives = slot.message.receives.saturating_add(1);
        slot.receives_here = slot.receives_here.saturating_add(1);
        slot.message.first_received.get_or_insert(now);
        slot.received = now;
        let message = slot.message.clone();
        if hide_for.is_zero() {
            self.show(key);
        } else {
            self.place(key, Place::InFlight(now + hide_for));
        }
        Some(message)
    }

    /// Removes a message if `receive` was its latest receive. An older receipt changes nothing, as AWS warns.
    pub(super) fn delete(&mut self, key: u64, receive: u32) {
        if self.slots.get(&key).is_some_and(|slot| slot.message.receives == receive) {
            self.remove(key);
        }
    }

    /// Hides a message in flight for `timeout` from `now`; zero makes it visible.
    ///
    /// Any receipt will do: AWS applies the change for an older one too. A message that is visible again is refused, as
    /// the API Reference has it, although AWS has been seen to hide one once more: callers must be ready for either.
    pub(super) fn hide(&mut self, key: u64, now: Duration, timeout: Duration) -> Result<(), HideError> {
        let slot = self.slots.get(&key).ok_or(HideError::Gone)?;
        if !matches!(slot.place, Place::InFlight(_)) {
            return Err(HideError::NotInFlight);
        }
        // AWS counts in whole seconds, so that a full twelve hours can be asked for right after the receive.
        let since = Duration::from_secs(now.saturating_sub(slot.received).as_secs());
        if since + timeout > HIDDEN_MAX {
            return Err(HideError::TooLong);
        }
        if timeout.is_zero() {
            self.show(key);
        } else {
            self.place(key, Place::InFlight(now + timeout));
        }
        Ok(())
    }

    /// The message that has been visible longest.
    pub(super) fn first_visible(&self) -> Option<(u64, &Message)> {
        let (_, &key) = self.visible.first_key_value()?;
        self.slots.get(&key).map(|slot| (key, &slot.message))
    }

    /// When the next hidden message becomes visible.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.hidden.first().map(|&(due, _)| due)
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            visible: self.visible.len(),
            in_flight: self.in_flight,
            delayed: self.hidden.len() - self.in_flight,
        }
    }

    /// Forgets every message. Keys go on, so receipts of before stay those of messages that are gone.
    pub(super) fn clear(&mut self) {
        *self = Self { next_key: self.next_key, ..Self::default() };
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<Message> {
        // Its group is read there, so it leaves its place before its slot.
        self.leave(key, self.slots.get(&key)?.place);
        let slot = self.slots.remove(&key)?;
        self.by_age.remove(&(slot.message.sent, key));
        Some(slot.message)
    }

    fn show(&mut self, key: u64) {
        let place = self.turn();
        self.place(key, place);
    }

    /// The place behind all that are visible.
    fn turn(&mut self) -> Place {
        self.next_turn += 1;
        Place::Visible(self.next_turn)
    }

    fn place(&mut self, key: u64, place: Place) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let old = std::mem::replace(&mut slot.place, place);
        self.leave(key, old);
        self.enter(key, place);
    }

    fn enter(&mut self, key: u64, place: Place) {
        match place {
            Place::Visible(turn) => {
                self.visible.insert(turn, key);
                self.visible_by_group.entry(self.group(key)).or_default().insert(turn, key);
            }
            Place::Delayed(due) => drop(self.hidden.insert((due, key))),
            Place::InFlight(due) => {
                self.hidden.insert((due, key));
                self.in_flight += 1;
                if let Some(group) = self.group(key) {
                    *self.in_flight_by_group.entry(group).or_default() += 1;
                }
            }
        }
    }

    fn leave(&mut self, key: u64, place: Place) {
        let group = self.group(key);
        match place {
            Place::Visible(turn) => {
                self.visible.remove(&turn);
                if let Entry::Occupied(mut turns) = self.visible_by_group.entry(group) {
                    turns.get_mut().remove(&turn);
                    if turns.get().is_empty() {
                        turns.remove();
                    }
                }
            }
            Place::Delayed(due) => drop(self.hidden.remove(&(due, key))),
            Place::InFlight(due) => {
                self.hidden.remove(&(due, key));
                self.in_flight -= 1;
                if let Some(group) = group
                    && let Entry::Occupied(mut count) = self.in_flight_by_group.entry(group)
                {
                    *count.get_mut() -= 1;
                    if *count.get() == 0 {
                        count.remove();
                    }
                }
            }
        }
    }

    /// The message group of a message that is here.
    fn group(&self, key: u64) -> Option<Arc<str>> {
        self.slots.get(&key)?.message.content.group.clone()
    }
}

#[cfg(test)]
mod tests;
