//! Which deliveries were handled, so that a repeat is not handled again.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What [`Seen`] returns: a future that can be sent to another thread.
pub type SeenFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a claim found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// Nobody has claimed it: it is now the caller's to handle.
    First,
    /// Somebody is handling it.
    InProgress,
    /// It was handled.
    Done,
    /// It cannot be said: the store is full, or out of reach. The sender tries again later.
    Unknown,
}

/// A memory of deliveries by their id (`webhook-id`), which is the same over all attempts.
///
/// [`Memory`] serves one process. Implement it over a store that several processes share (a table, Redis) when they answer
/// for the same task. `claim` must be atomic: of two claims of one id, one is [`Claim::First`].
///
/// An id must be kept for twice the tolerance of signatures at least: that long, a recorded request is accepted again.
/// A claim that is neither done nor released should end by itself, for the process that made it may have died.
pub trait Seen: Send + Sync {
    /// Claims a delivery for handling.
    fn claim<'a>(&'a self, id: &'a str) -> SeenFuture<'a, Claim>;

    /// The delivery was handled.
    fn done<'a>(&'a self, id: &'a str) -> SeenFuture<'a, ()>;

    /// Handling failed: the next attempt may claim it.
    fn release<'a>(&'a self, id: &'a str) -> SeenFuture<'a, ()>;
}

/// Remembers deliveries in this process, up to a number and for a time.
///
/// Only requests with a valid signature get here, so a stranger can neither fill it nor push anything out.
#[derive(Debug)]
pub struct Memory {
    ids_max: usize,
    keep: Duration,
    replay_window: Duration,
    ids: Mutex<Ids>,
}

#[derive(Debug, Default)]
struct Ids {
    done: HashMap<Arc<str>, bool>,
    /// The same ids, oldest claim first.
    order: VecDeque<(Instant, Arc<str>)>,
}

impl Memory {
    /// Remembers `ids_max` deliveries, each for `keep`. When it is full, the oldest is forgotten before its time; but while
    /// that is younger than `replay_window`, new deliveries are put off instead, for forgetting would let in a replay.
    ///
    /// An id takes about 150 bytes, 600 at most.
    #[must_use]
    pub fn new(ids_max: usize, keep: Duration, replay_window: Duration) -> Self {
        Self { ids_max: ids_max.max(1), keep: keep.max(replay_window), replay_window, ids: Mutex::default() }
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim_now(&self, id: &str, now: Instant) -> Claim {
        let mut ids = self.ids();
        while let Some((at, _)) = ids.order.front()
            && now.duration_since(*at) > self.keep
        {
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

impl Seen for Memory {
    fn claim<'a>(&'a self, id: &'a str) -> SeenFuture<'a, Claim> {
        Box::pin(async move { self.claim_now(id, Instant::now()) })
    }

    fn done<'a>(&'a self, id: &'a str) -> SeenFuture<'a, ()> {
        Box::pin(async move {
            if let Some(done) = self.ids().done.get_mut(id) {
                *done = true;
            }
        })
    }

    fn release<'a>(&'a self, id: &'a str) -> SeenFuture<'a, ()> {
        Box::pin(async move {
            let mut ids = self.ids();
            ids.done.remove(id);
            // Failures are rare, and the claim is one of the latest.
            if let Some(at) = ids.order.iter().rposition(|(_, claimed)| **claimed == *id) {
                ids.order.remove(at);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const WINDOW: Duration = Duration::from_mins(10);

    #[tokio::test(start_paused = true)]
    async fn a_delivery_is_claimed_once_until_it_is_released() {
        let seen = Memory::new(10, HOUR, WINDOW);
        assert_eq!(seen.claim("a").await, Claim::First);
        assert_eq!(seen.claim("a").await, Claim::InProgress);
        seen.release("a").await;
        assert_eq!(seen.claim("a").await, Claim::First);
        seen.done("a").await;
        assert_eq!(seen.claim("a").await, Claim::Done);
        tokio::time::advance(HOUR + Duration::from_secs(1)).await;
        assert_eq!(seen.claim("a").await, Claim::First);
    }

    #[tokio::test(start_paused = true)]
    async fn when_full_nothing_is_forgotten_that_could_be_replayed() {
        let seen = Memory::new(2, HOUR, WINDOW);
        for id in ["a", "b"] {
            assert_eq!(seen.claim(id).await, Claim::First);
            seen.done(id).await;
        }
        assert_eq!(seen.claim("c").await, Claim::Unknown);
        assert_eq!(seen.claim("a").await, Claim::Done);
        tokio::time::advance(WINDOW + Duration::from_secs(1)).await;
        assert_eq!(seen.claim("c").await, Claim::First);
        assert_eq!(seen.claim("b").await, Claim::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn failing_again_and_again_takes_no_room() {
        let seen = Memory::new(2, HOUR, WINDOW);
        for _ in 0..100 {
            assert_eq!(seen.claim("a").await, Claim::First);
            seen.release("a").await;
        }
        let ids = seen.ids();
        assert_eq!((ids.done.len(), ids.order.len()), (0, 0));
    }
}
