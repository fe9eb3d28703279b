//! The queues of one account: finding them, and what passes between two of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use md5::{Digest as _, Md5};
use tokio::sync::Notify;

use super::attributes::hex;
use super::errors;
use super::move_tasks::Moves;
use super::names::Home;
use super::settings::Settings;
use super::store::{Message, Store};
use crate::error::AwsError;

/// How long the name of a deleted queue stays taken, and how long a purge forbids the next.
pub(super) const COOL_DOWN: Duration = Duration::from_mins(1);

/// Everything that SQS keeps.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) home: Home,
    pub(super) queues: BTreeMap<String, Queue>,
    /// Names of deleted queues, with the time of the deletion.
    pub(super) deleted: HashMap<String, Duration>,
    pub(super) moves: Moves,
    seed: String,
    queues_made: u64,
    ids_made: u64,
}

/// One standard queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// Its number among all queues that ever were; receipts carry it.
    pub(super) number: u64,
    pub(super) arn: Arc<str>,
    pub(super) settings: Settings,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) created: Duration,
    pub(super) modified: Duration,
    pub(super) purged: Option<Duration>,
    pub(super) store: Store,
    /// Wakes the receives that wait for a message.
    pub(super) wake: Arc<Notify>,
}

impl Account {
    /// No queues. `seed` makes the ids of this account's messages differ from those of others.
    pub(super) fn new(home: Home, seed: String) -> Self {
        Self {
            home,
            queues: BTreeMap::new(),
            deleted: HashMap::new(),
            moves: Moves::default(),
            seed,
            queues_made: 0,
            ids_made: 0,
        }
    }

    /// The queue with this URL, as it is at `now`.
    pub(super) fn queue(&mut self, url: &str, now: Duration) -> Result<&mut Queue, AwsError> {
        let name = self.home.name_in_url(url)?;
        let queue = self.queues.get_mut(name).ok_or_else(errors::queue_does_not_exist)?;
        queue.settle(now);
        Ok(queue)
    }

    /// The queue with this ARN, as it is at `now`.
    pub(super) fn queue_at(&mut self, arn: &str, now: Duration) -> Option<&mut Queue> {
        let queue = self.queues.get_mut(self.home.name_in_arn(arn)?)?;
        queue.settle(now);
        Some(queue)
    }

    pub(super) fn has_queue_at(&self, arn: &str) -> bool {
        self.home.name_in_arn(arn).is_some_and(|name| self.queues.contains_key(name))
    }

    /// Names of the queues whose dead letters go to the queue with this ARN.
    pub(super) fn sources_of<'a>(&'a self, arn: &'a str) -> impl Iterator<Item = &'a str> {
        let points_there = move |queue: &Queue| {
            queue.settings.redrive.as_ref().is_some_and(|redrive| redrive.dead_letter_target_arn == arn)
        };
        self.queues.iter().filter(move |(_, queue)| points_there(queue)).map(|(name, _)| name.as_str())
    }

    pub(super) fn add_queue(
        &mut self,
        name: &str,
        settings: Settings,
        tags: BTreeMap<String, String>,
        now: Duration,
    ) {
        self.queues_made += 1;
        let queue = Queue {
            number: self.queues_made,
            arn: self.home.arn(name).into(),
            settings,
            tags,
            created: now,
            modified: now,
            purged: None,
            store: Store::default(),
            wake: Arc::default(),
        };
        self.queues.insert(name.to_owned(), queue);
    }

    /// An id that no message and no task of this account had before, in the form of a UUID.
    pub(super) fn new_id(&mut self) -> String {
        self.ids_made += 1;
        let digits = hex(&Md5::digest(format!("{} {}", self.seed, self.ids_made)));
        let mut id = String::with_capacity(36);
        for (place, digit) in digits.chars().enumerate() {
            if matches!(place, 8 | 12 | 16 | 20) {
                id.push('-');
            }
            // Version 4, variant 8: what AWS's ids look like.
            id.push(match place {
                12 => '4',
                16 => '8',
                _ => digit,
            });
        }
        id
    }

    /// Puts messages that were received too often into the dead-letter queue of the queue that they come from.
    pub(super) fn bury(&mut self, dead: Vec<Message>, source: &Arc<str>, target: &str, now: Duration) {
        let Some(queue) = self.queue_at(target, now) else { return };
        for message in dead {
            queue.push(Message { source: Some(Arc::clone(source)), ..message }, now, Duration::ZERO);
        }
    }
}

impl Queue {
    /// Drops what is too old and shows what is due.
    pub(super) fn settle(&mut self, now: Duration) {
        self.store.settle(now, self.settings.retention());
    }

    /// Adds a message and wakes waiting receives.
    pub(super) fn push(&mut self, message: Message, now: Duration, delay: Duration) {
        self.store.push(message, now, now + delay);
        self.wake.notify_waiters();
    }
}
