//! Extends the visibility timeouts of messages while they are processed.
//!
//! One task per queue extends them in batches of ten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::Queue;
use super::batch;
use super::limits::{EXTEND_AFTER, VISIBILITY_MAX};
use super::operations::VisibilityChange;

/// Attempts of one extension in one round; a failed one is due again in the next round.
const EXTEND_TRIES: u32 = 3;

/// The receipt handle of one receive of a message.
///
/// The visibility timeout of a message that an [`Consumer`](super::Consumer) received is extended for as long as its receipt
/// exists. A message whose receipt is dropped without a delete is delivered again after that timeout.
#[derive(Debug, Default)]
pub struct Receipt {
    handle: Arc<str>,
    _extended: Option<Extended>,
}

impl Receipt {
    /// A receipt handle of a message whose visibility timeout is not extended.
    pub fn new(handle: &str) -> Self {
        Self { handle: handle.into(), _extended: None }
    }

    /// The receipt handle itself.
    pub fn handle(&self) -> &str {
        &self.handle
    }

    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.handle)
    }
}

/// One message whose visibility timeout is extended until this is dropped.
#[derive(Debug)]
struct Extended {
    number: u64,
    in_work: Arc<InWork>,
}

impl Drop for Extended {
    fn drop(&mut self) {
        self.in_work.messages().by_number.remove(&self.number);
    }
}

/// The messages of one queue that this process is processing.
#[derive(Debug, Default)]
pub(super) struct InWork {
    messages: Mutex<Messages>,
    /// Held while extensions are under way.
    round: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Messages {
    next: u64,
    by_number: HashMap<u64, Tracked>,
}

#[derive(Debug)]
struct Tracked {
    handle: Arc<str>,
    received: Instant,
    hidden: Instant,
}

impl InWork {
    /// Extends the visibility timeout of a message that was received at `now`, until the receipt is dropped.
    pub(super) fn add(self: &Arc<Self>, handle: &str, now: Instant) -> Receipt {
        let handle: Arc<str> = handle.into();
        let mut messages = self.messages();
        let number = messages.next;
        messages.next += 1;
        let entry = Tracked { handle: Arc::clone(&handle), received: now, hidden: now };
        messages.by_number.insert(number, entry);
        Receipt { handle, _extended: Some(Extended { number, in_work: Arc::clone(self) }) }
    }

    /// Waits until no extension is under way: one that was begun earlier would hide a message again that is returned now.
    pub(super) async fn between_rounds(&self) {
        drop(self.round.lock().await);
    }

    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The messages that are due for an extension, by number. After 12 hours, SQS allows no other.
    fn due(&self, visibility: Duration, now: Instant) -> (Vec<u64>, Vec<VisibilityChange>) {
        let mut due = (Vec::new(), Vec::new());
        self.messages().by_number.retain(|&number, message| {
            if now.duration_since(message.hidden) < visibility.mul_f64(EXTEND_AFTER) {
                return true;
            }
            let left = VISIBILITY_MAX.saturating_sub(now.duration_since(message.received));
            if left < Duration::from_secs(1) {
                warn!("A message was in flight for 12 hours, the limit of SQS, and will be delivered again");
                return false;
            }
            let change = VisibilityChange::new(Arc::clone(&message.handle), left.min(visibility));
            due.0.push(number);
            due.1.push(change);
            true
        });
        due
    }

    /// One round: extends what is due.
    async fn extend(&self, queue: &Queue, visibility: Duration) {
        let _round = self.round.lock().await;
        let now = Instant::now();
        let (numbers, changes) = self.due(visibility, now);
        let failed = batch::run(queue, &changes, EXTEND_TRIES).await;
        let mut failures = failed.iter().map(|one| (one.index, &one.error)).collect::<HashMap<_, _>>();
        let mut messages = self.messages();
        for (index, number) in numbers.into_iter().enumerate() {
            let Some(entry) = messages.by_number.get_mut(&number) else {
                continue; // It was settled in the meantime, which makes an extension fail.
            };
            match failures.remove(&index) {
                None => entry.hidden = now,
                Some(error) if error.is_final() => {
                    warn!(queue = queue.name(), error = %error, "The visibility timeout of a message cannot be extended any more; it may be delivered again");
                    messages.by_number.remove(&number);
                }
                Some(error) => {
                    debug!(queue = queue.name(), error = %error, "The visibility timeout of a message was not extended; it is due again in the next round");
                }
            }
        }
    }
}

/// Extends visibility timeouts for as long as it is polled.
pub(super) async fn extend(in_work: Arc<InWork>, queue: Queue, visibility: Duration) {
    loop {
        // Up to a fifth earlier, so that processes that started together do not call together.
        let spread = 1.0 - 0.2 * queue.rng.fraction();
        tokio::time::sleep(visibility.mul_f64(EXTEND_AFTER * spread)).await;
        in_work.extend(&queue, visibility).await;
    }
}
