//! Receives messages from one queue, as many as there are permits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::health::Health;
use crate::base::Backoff;
use crate::base::Rng;
use crate::base::text::chain;
use crate::pipeline::StageName;
use crate::queue::limits::BATCH_ENTRIES_MAX;
use crate::queue::{Consumer, Message, Queue, QueueError};

/// Waits between calls while SQS does not answer.
const UNREACHABLE: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };

/// Time for a receive in flight at shutdown. A queue with messages answers at once, and those messages are returned at
/// once; after a cancelled receive they would stay invisible for the queue's visibility timeout.
const RECEIVE_DRAIN: Duration = Duration::from_secs(1);

/// Time between two heartbeats of a busy worker.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Receives messages from a queue until shutdown, and reports health.
pub(super) struct Intake {
    pub(super) stage: StageName,
    pub(super) source: Queue,
    pub(super) health: Health,
    /// Spreads waits.
    pub(super) rng: Rng,
    /// One for each message that may be in flight.
    pub(super) permits: Arc<Semaphore>,
    pub(super) shutdown: CancellationToken,
}

impl Intake {
    /// Opens the queue; `None` if shutdown comes first.
    pub(super) async fn open(&self) -> Result<Option<Consumer>, QueueError> {
        let mut failures = 0;
        loop {
            let opened = tokio::select! {
                opened = Consumer::open(self.source.clone()) => opened,
                () = self.shutdown.cancelled() => return Ok(None),
            };
            match opened {
                Ok(consumer) => {
                    self.health.answered(self.stage);
                    return Ok(Some(consumer));
                }
                Err(error) if error.is_passing() => {
                    failures += 1;
                    self.wait_out(&error, failures).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for messages, each with its permit; `None` on shutdown. Messages that arrive during shutdown have no permit.
    pub(super) async fn next(
        &self,
        consumer: &Consumer,
    ) -> Option<Vec<(Message, Option<OwnedSemaphorePermit>)>> {
        let mut failures = 0;
        loop {
            let room = self.room().await?;
            let received = tokio::select! {
                received = consumer.receive(room.len()) => received,
                () = async { self.shutdown.cancelled().await; sleep(RECEIVE_DRAIN).await } => return None,
            };
            match received {
                Ok(messages) => {
                    self.health.answered(self.stage);
                    let mut room = room.into_iter();
                    let with_permit =
                        |message| (message, room.next().filter(|_| !self.shutdown.is_cancelled()));
                    return Some(messages.into_iter().map(with_permit).collect());
                }
                Err(error) => {
                    drop(room);
                    failures += 1;
                    self.wait_out(&error, failures).await;
                }
            }
        }
    }

    /// Reports a failed call, and waits before the next one.
    async fn wait_out(&self, error: &QueueError, failures: u32) {
        let wait = UNREACHABLE.full_jitter(failures, self.rng.fraction());
        let (stage, queue, text) = (self.stage.as_str(), self.source.name(), chain(error));
        if error.is_passing() {
            warn!(stage, queue, failures, ?wait, error = text, "The queue does not answer; will retry");
        } else {
            error!(stage, queue, failures, ?wait, error = text, "The queue refuses the request; will retry");
        }
        self.health.failed(self.stage, text);
        tokio::select! {
            () = sleep(wait) => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    /// Waits for permits for at least one message and at most a batch; `None` on shutdown.
    async fn room(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let mut busy = false;
        let first = loop {
            self.health.alive(self.stage, busy);
            let free = timeout_at(Instant::now() + HEARTBEAT, Arc::clone(&self.permits).acquire_owned());
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                free = free => match free {
                    Ok(Ok(permit)) => break permit,
                    Ok(Err(_closed)) => return None,
                    Err(_elapsed) => busy = true,
                },
            }
        };
        self.health.alive(self.stage, false);
        let more = std::iter::from_fn(|| Arc::clone(&self.permits).try_acquire_owned().ok());
        Some(std::iter::once(first).chain(more.take(BATCH_ENTRIES_MAX - 1)).collect())
    }
}
