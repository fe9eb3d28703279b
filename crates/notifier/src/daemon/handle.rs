//! One message that the daemon received: its work, then its end on the queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::counters::Counters;
use crate::pipeline::{Disposition, Failure, Work};
use crate::queue::{Inbox, Message};

/// What the messages of one queue share.
pub(super) struct Shared {
    pub(super) work: Work,
    pub(super) inbox: Inbox,
    pub(super) counters: Counters,
    /// How long the work on one message may take.
    pub(super) message_time_max: Duration,
    /// Grace is over: whatever is still in work goes back.
    pub(super) cut: CancellationToken,
}

impl Shared {
    /// Works on one message, whatever it does, and settles it. The permit is free again when its end has been decided.
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
                self.inbox.delete(message).await;
                self.counters.count(|served| &mut served.done);
            }
            Some(Err(failure)) => self.fail(message, &failure).await,
        }
        drop(permit);
    }

    /// Returns a message to the queue because of the shutdown, for others to take at once.
    pub(super) async fn return_now(&self, message: Message) {
        debug!(stage = self.stage(), message.id, "Returning message {} to the queue", message.id);
        self.inbox.return_after(message, Duration::ZERO).await;
        self.counters.count(|served| &mut served.returned);
    }

    async fn fail(&self, message: Message, failure: &Failure) {
        let is_last = self.inbox.is_last_receive(&message);
        let failure = match self.work.after(&message, failure, is_last).await {
            Disposition::DeadLetter(failure) => failure,
            Disposition::Retry(wait) => {
                self.inbox.return_after(message, wait).await;
                self.counters.count(|served| &mut served.retried);
                return;
            }
        };
        let moved = self.inbox.dead_letter(message, &failure.letter, failure.wait).await;
        failure.log(&moved);
        self.counters
            .count(|served| if moved.is_ok() { &mut served.dead_lettered } else { &mut served.retried });
    }

    fn stage(&self) -> &'static str {
        self.work.stage.as_str()
    }
}
