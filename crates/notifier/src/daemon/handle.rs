//! One message of the daemon: processes it, then deletes it, returns it, or moves it to the dead letters.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::counters::Counters;
use crate::pipeline::{Disposition, Failure, Work};
use crate::queue::{Consumer, Message};

/// The shared parts for the messages of one queue.
pub(super) struct Shared {
    pub(super) work: Work,
    pub(super) consumer: Consumer,
    pub(super) counters: Counters,
    /// Time limit for one message.
    pub(super) message_time_max: Duration,
    /// Cancelled at the end of the grace time: messages in flight are returned to the queue.
    pub(super) cut: CancellationToken,
}

impl Shared {
    /// Processes one message and settles it. The permit is released when its end is decided.
    pub(super) async fn message(self: Arc<Self>, message: Message, permit: OwnedSemaphorePermit) {
        let deadline = Instant::now() + self.message_time_max;
        let worked = tokio::select! {
            biased;
            worked = self.work.run(&message, deadline) => Some(worked),
            () = self.cut.cancelled() => None,
        };
        match worked {
            None => self.return_now(message).await,
            Some(Ok(())) => {
                debug!(stage = self.stage(), message.id, "Done with message {}", message.id);
                self.consumer.delete(message).await;
                self.counters.count(|served| &mut served.done);
            }
            Some(Err(failure)) => self.fail(message, &failure).await,
        }
        drop(permit);
    }

    /// Returns a message to the queue because of the shutdown, visible to others at once.
    pub(super) async fn return_now(&self, message: Message) {
        debug!(stage = self.stage(), message.id, "Returning message {} to the queue", message.id);
        self.consumer.return_after(message, Duration::ZERO).await;
        self.counters.count(|served| &mut served.returned);
    }

    async fn fail(&self, message: Message, failure: &Failure) {
        let is_last = self.consumer.is_last_receive(&message);
        let failure = match self.work.after(&message, failure, is_last).await {
            Disposition::DeadLetter(failure) => failure,
            Disposition::Retry(wait) => {
                self.consumer.return_after(message, wait).await;
                self.counters.count(|served| &mut served.retried);
                return;
            }
        };
        let moved = self.consumer.dead_letter(message, &failure.letter, failure.wait).await;
        failure.log(&moved);
        self.counters
            .count(|served| if moved.is_ok() { &mut served.dead_lettered } else { &mut served.retried });
    }

    fn stage(&self) -> &'static str {
        self.work.stage.as_str()
    }
}
