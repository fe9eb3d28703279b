//! Deduplication: remembers handled deliveries, so that a repeat is not handled again.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The future that the methods of [`DedupStore`] return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The result of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// The delivery is new. The caller must handle it.
    First,
    /// The delivery is being handled.
    InProgress,
    /// The delivery was handled.
    Done,
    /// The store is full or unavailable. The sender tries again later.
    Unknown,
}

/// A store of delivery ids (`webhook-id`). All attempts of a delivery have the same id.
///
/// [`MemoryStore`] works for one process. If several processes answer for the same task, implement this trait for a
/// store that they share, for example a database table or Redis.
///
/// `claim` must be atomic: of two concurrent claims of one id, exactly one is [`Claim::First`]. Keep an id for at least
/// twice the tolerance of signatures, because a recorded request stays valid for that long. A claim that is neither
/// done nor released should expire, because the process that made it may have crashed.
pub trait DedupStore: Send + Sync {
    /// Claims a delivery for handling.
    fn claim<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Claim>;

    /// Marks the delivery as handled.
    fn done<'a>(&'a self, id: &'a str) -> StoreFuture<'a, ()>;

    /// Releases the claim after a failure, so that the next attempt can claim the delivery.
    fn release<'a>(&'a self, id: &'a str) -> StoreFuture<'a, ()>;
}

/// A [`DedupStore`] in the memory of this process, with a limit on the number of ids and their age.
///
/// The receiver claims only deliveries with a valid signature, so unauthenticated requests cannot fill the store or
/// displace ids from it.
#[derive(Debug)]
pub struct MemoryStore {
    ids_max: usize,
    keep: Duration,
    replay_window: Duration,
    ids: Mutex<Ids>,
}

#[derive(Debug, Default)]
struct Ids {
    done: HashMap<Arc<str>, bool>,
    /// The same ids, ordered by the time of their claim, oldest first.
    order: VecDeque<(Instant, Arc<str>)>,
}

impl MemoryStore {
    /// A store of at most `ids_max` ids, each kept for `keep`.
    ///
    /// A full store removes the oldest id early. While the oldest id is younger than `replay_window`, it answers
    /// [`Claim::Unknown`] instead, because removing that id would allow a replay. An id takes about 150 bytes, at most
    /// 600.
    #[must_use]
    pub fn new(ids_max: usize, keep: Duration, replay_window: Duration) -> Self {
        Self { ids_max: ids_max.max(1), keep: keep.max(replay_window), replay_window, ids: Mutex::default() }
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim_now(&self, id: &str, now: Instant) -> Claim {
        let mut ids = self.ids();
        while ids.order.front().is_some_and(|(at, _)| now.duration_since(*at) > self.keep) {
            ids.forget_oldest();
        }
        match ids.done.get(id) {
            Some(true) => return Claim::Done,
            Some(false) => return Claim::InProgress,
            None => {}
        }
        if ids.order.len() >= self.ids_max {
            match ids.order.front() {
                Some((at, _)) if now.duration_since(*at) > self.replay_window => ids.forget_oldest(),
                _ => return Claim::Unknown,
            }
        }
        let id: Arc<str> = id.into();
        ids.order.push_back((now, Arc::clone(&id)));
        ids.done.insert(id, false);
        Claim::First
    }
}

impl Ids {
    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.order.pop_front() {
            self.done.remove(&id);
        }
    }
}

impl DedupStore for MemoryStore {
    fn claim<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Claim> {
        Box::pin(async move { self.claim_now(id, Instant::now()) })
    }

    fn done<'a>(&'a self, id: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            if let Some(done) = self.ids().done.get_mut(id) {
                *done = true;
            }
        })
    }

    fn release<'a>(&'a self, id: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut ids = self.ids();
            ids.done.remove(id);
            // Searches from the end: the claim of a failure is recent.
            if let Some(at) = ids.order.iter().rposition(|(_, claimed)| **claimed == *id) {
                ids.order.remove(at);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);
    const WINDOW: Duration = Duration::from_secs(10 * 60);

    #[tokio::test(start_paused = true)]
    async fn a_delivery_is_claimed_once_until_it_is_released() {
        let store = MemoryStore::new(10, HOUR, WINDOW);
        assert_eq!(store.claim("a").await, Claim::First);
        assert_eq!(store.claim("a").await, Claim::InProgress);
        store.release("a").await;
        assert_eq!(store.claim("a").await, Claim::First);
        store.done("a").await;
        assert_eq!(store.claim("a").await, Claim::Done);
        tokio::time::advance(HOUR + Duration::from_secs(1)).await;
        assert_eq!(store.claim("a").await, Claim::First);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_store_keeps_ids_within_the_replay_window() {
        let store = MemoryStore::new(2, HOUR, WINDOW);
        for id in ["a", "b"] {
            assert_eq!(store.claim(id).await, Claim::First);
            store.done(id).await;
        }
        assert_eq!(store.claim("c").await, Claim::Unknown);
        assert_eq!(store.claim("a").await, Claim::Done);
        tokio::time::advance(WINDOW + Duration::from_secs(1)).await;
        assert_eq!(store.claim("c").await, Claim::First);
        assert_eq!(store.claim("b").await, Claim::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_failures_use_no_memory() {
        let store = MemoryStore::new(2, HOUR, WINDOW);
        for _ in 0..100 {
            assert_eq!(store.claim("a").await, Claim::First);
            store.release("a").await;
        }
        let ids = store.ids();
        assert_eq!((ids.done.len(), ids.order.len()), (0, 0));
    }
}
