//! One message of the daemon: processes it, then deletes it, returns it, or moves it to the dead letters.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::debug;
use tracing::field::display;

use super::served::Served;
use super::worker::Running;
use crate::pipeline::{Disposition, Failure};
use crate::queue::Message;

/// Time limit for one message, the limit of a Lambda function; then it is returned to the queue.
const MESSAGE_TIME_MAX: Duration = Duration::from_mins(15);

impl Running {
    /// Processes one message and settles it. The permit is released when its end is decided.
    pub(super) async fn message(self: Arc<Self>, mut message: Message, permit: OwnedSemaphorePermit) {
        message.join_trace(&self.worker.work.rng);
        let deadline = Instant::now() + MESSAGE_TIME_MAX;
        let worked = tokio::select! {
            biased;
            worked = self.worker.work.run(&message, deadline) => Some(worked),
            () = self.cut.cancelled() => None,
        };
        match worked {
            None => self.return_now(message).await,
            Some(Ok(())) => {
                let trace_id = message.trace_id().map(display);
                debug!(stage = self.worker.stage(), message.id, trace_id, "Done with message {}", message.id);
                self.consumer.delete(message).await;
                self.count(|served| &mut served.done);
            }
            Some(Err(failure)) => self.fail(message, &failure).await,
        }
        drop(permit);
    }

    /// Returns a message to the queue because of the shutdown, visible to others at once.
    pub(super) async fn return_now(&self, message: Message) {
        let trace_id = message.trace_id().map(display);
        debug!(
            stage = self.worker.stage(),
            message.id, trace_id, "Returning message {} to the queue", message.id
        );
        self.consumer.return_after(message, Duration::ZERO).await;
        self.count(|served| &mut served.returned);
    }

    /// Counts one more message.
    fn count(&self, of: impl FnOnce(&mut Served) -> &mut u64) {
        *of(&mut self.served.lock().unwrap_or_else(PoisonError::into_inner)) += 1;
    }

    async fn fail(&self, message: Message, failure: &Failure) {
        let is_last = self.consumer.is_last_receive(&message);
        let failure = match self.worker.work.after(&message, failure, is_last).await {
            Disposition::DeadLetter(failure) => failure,
            Disposition::Retry(wait) => {
                self.consumer.return_after(message, wait).await;
                self.count(|served| &mut served.retried);
                return;
            }
        };
        let moved = self.consumer.dead_letter(message, &failure.letter, failure.wait).await;
        failure.log(&moved);
        self.count(|served| if moved.is_ok() { &mut served.dead_lettered } else { &mut served.retried });
    }
}
