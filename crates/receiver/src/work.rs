//! How many notifications are accepted and handled at the same time, and waiting for them at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::refusal::Refusal;

/// The places for notifications.
#[derive(Debug)]
pub(crate) struct Work {
    closed: AtomicBool,
    places: u32,
    accepted: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

/// One accepted notification. The permits in it are the only limit, and what draining waits for.
#[derive(Debug)]
pub(crate) struct Place {
    running: Arc<Semaphore>,
    _accepted: OwnedSemaphorePermit,
    _room: Option<OwnedSemaphorePermit>,
}

impl Work {
    pub(crate) fn new(concurrency: usize, waiting_max: usize) -> Self {
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        // Draining takes all places at once, which one `u32` must hold.
        let places = u32::try_from(concurrency.saturating_add(waiting_max)).unwrap_or(u32::MAX);
        Self {
            closed: AtomicBool::new(false),
            places,
            accepted: Arc::new(Semaphore::new(places as usize)),
            running: Arc::new(Semaphore::new(concurrency)),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// A place for one more, which keeps the room of its body.
    pub(crate) fn place(&self, room: Option<OwnedSemaphorePermit>) -> Result<Place, Refusal> {
        let accepted = Arc::clone(&self.accepted).try_acquire_owned().map_err(|_| Refusal::Busy)?;
        // Looked at again with the permit in hand, which draining waits for: nothing slips in between.
        if self.is_closed() {
            return Err(Refusal::ShuttingDown);
        }
        Ok(Place { running: Arc::clone(&self.running), _accepted: accepted, _room: room })
    }

    /// Accepts nothing more and waits for what was accepted. Returns how much is left.
    pub(crate) async fn drain(&self, grace: Duration) -> usize {
        self.closed.store(true, Ordering::Release);
        match timeout(grace, self.accepted.acquire_many(self.places)).await {
            Ok(_) => 0,
            Err(_) => (self.places as usize).saturating_sub(self.accepted.available_permits()),
        }
    }
}

impl Place {
    /// Waits until it is this notification's turn.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.running).acquire_owned().await
    }
}
