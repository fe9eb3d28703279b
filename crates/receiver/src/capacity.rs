//! Limits the notifications that wait and run, and waits for them at shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::refusal::Refusal;

/// The limits on accepted and running notifications.
#[derive(Debug)]
pub(crate) struct Capacity {
    closed: AtomicBool,
    accepted_max: u32,
    accepted: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

/// One accepted notification. `drain` waits until its permits are dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    running: Arc<Semaphore>,
    _accepted: OwnedSemaphorePermit,
    _memory: Option<OwnedSemaphorePermit>,
}

impl Capacity {
    pub(crate) fn new(concurrency: usize, waiting_max: usize) -> Self {
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        // `drain` acquires all permits at once, as a `u32`.
        let accepted_max = u32::try_from(concurrency.saturating_add(waiting_max)).unwrap_or(u32::MAX);
        Self {
            closed: AtomicBool::new(false),
            accepted_max,
            accepted: Arc::new(Semaphore::new(accepted_max as usize)),
            running: Arc::new(Semaphore::new(concurrency)),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Reserves a slot for one notification, which also holds the memory of its body.
    pub(crate) fn reserve(&self, memory: Option<OwnedSemaphorePermit>) -> Result<Slot, Refusal> {
        let accepted = Arc::clone(&self.accepted).try_acquire_owned().map_err(|_| Refusal::Busy)?;
        // Checked again with the permit held: `drain` closes first and then waits for this permit.
        if self.is_closed() {
            return Err(Refusal::ShuttingDown);
        }
        Ok(Slot { running: Arc::clone(&self.running), _accepted: accepted, _memory: memory })
    }

    /// Refuses new notifications, waits for the accepted ones, and returns how many are not handled after `grace`.
    pub(crate) async fn drain(&self, grace: Duration) -> usize {
        self.closed.store(true, Ordering::Release);
        match timeout(grace, self.accepted.acquire_many(self.accepted_max)).await {
            Ok(_) => 0,
            Err(_) => (self.accepted_max as usize).saturating_sub(self.accepted.available_permits()),
        }
    }
}

impl Slot {
    /// Waits until this notification may run.
    pub(crate) async fn run_permit(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.running).acquire_owned().await
    }
}
