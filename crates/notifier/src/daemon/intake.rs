//! Receives messages from one queue, as many as there are permits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};

use super::worker::Running;
use crate::queue::Message;
use crate::queue::limits::BATCH_ENTRIES_MAX;

/// Time for a receive in flight at shutdown. A queue with messages answers at once, and those messages are returned at
/// once; after a cancelled receive they would stay invisible for the queue's visibility timeout.
const RECEIVE_DRAIN: Duration = Duration::from_secs(1);

/// Time between two heartbeats of a busy worker.
const HEARTBEAT: Duration = Duration::from_secs(5);

impl Running {
    /// Waits for messages, each with its permit; `None` on shutdown. Messages that arrive during shutdown have no permit.
    pub(super) async fn next(&self) -> Option<Vec<(Message, Option<OwnedSemaphorePermit>)>> {
        let mut failures = 0;
        loop {
            let room = self.room().await?;
            let received = tokio::select! {
                received = self.consumer.receive(room.len()) => received,
                () = async { self.shutdown.cancelled().await; sleep(RECEIVE_DRAIN).await } => return None,
            };
            match received {
                Ok(messages) => {
                    self.worker.health.answered(self.worker.work.stage);
                    let mut room = room.into_iter();
                    let with_permit =
                        |message| (message, room.next().filter(|_| !self.shutdown.is_cancelled()));
                    return Some(messages.into_iter().map(with_permit).collect());
                }
                Err(error) => {
                    drop(room);
                    failures += 1;
                    self.worker.wait_out(&error, failures, &self.shutdown).await;
                }
            }
        }
    }

    /// Waits for permits for at least one message and at most a batch; `None` on shutdown.
    async fn room(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let mut busy = false;
        let first = loop {
            self.worker.health.alive(self.worker.work.stage, busy);
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
        self.worker.health.alive(self.worker.work.stage, false);
        let more = std::iter::from_fn(|| Arc::clone(&self.permits).try_acquire_owned().ok());
        Some(std::iter::once(first).chain(more.take(BATCH_ENTRIES_MAX - 1)).collect())
    }
}
