//! A queue that this process consumes: receives messages, and settles each.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::limits::{RECEIVE_WAIT_SECONDS, VISIBILITY_MAX, VISIBILITY_MIN};
use super::message::Message;
use super::operations::VisibilityChange;
use super::policy::{DeadLetterError, Policy};
use super::reader::Reader;
use super::visibility::Receipt;
use super::{Queue, QueueError, settle};
use crate::base::batcher::Batcher;
use crate::model::DeadLetter;

/// The consumer of one queue.
///
/// Every received message ends in exactly one of [`delete`](Self::delete), [`return_after`](Self::return_after) and
/// [`dead_letter`](Self::dead_letter). Until then it is invisible to other consumers, for at most 12 hours.
#[derive(Debug)]
pub struct Consumer {
    policy: Policy,
    reader: Reader,
    deletes: Batcher<Receipt>,
    returns: Batcher<VisibilityChange>,
}

impl Consumer {
    /// Reads the queue's visibility timeout and redrive policy (`GetQueueAttributes`, and `GetQueueUrl` for the
    /// dead-letter queue), and starts the background work. Must be called within a tokio runtime.
    pub async fn open(queue: Queue) -> Result<Self, QueueError> {
        let policy = Policy::of(&queue).await?;
        let reader = Reader::start(queue.clone(), policy.visibility.clamp(VISIBILITY_MIN, VISIBILITY_MAX));
        let returns = settle::returns(queue.clone(), Arc::clone(&reader.in_work));
        Ok(Self { policy, reader, deletes: settle::deletes(queue), returns })
    }

    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.reader.queue
    }

    /// Waits up to 20 seconds for messages, and receives up to `most`, ten at most.
    ///
    /// Dropping the future while it waits is safe, but a message that SQS has just delivered then stays invisible for the
    /// queue's visibility timeout.
    pub async fn receive(&self, most: usize) -> Result<Vec<Message>, QueueError> {
        let received = self.reader.receive(most, RECEIVE_WAIT_SECONDS).await?;
        Ok(received.into_iter().map(|(message, _)| message).collect())
    }

    /// Deletes a processed message. The call is made in the background, together with others;
    /// [`close`](Self::close) waits for it.
    pub async fn delete(&self, message: Message) {
        // After a close the message is dropped, and is delivered again after its visibility timeout.
        self.deletes.add(message.receipt).await;
    }

    /// Returns a message to the queue: it is visible again after `delay`, which is cut to whole seconds and 12 hours.
    /// The call is made in the background, together with others; [`close`](Self::close) waits for it.
    pub async fn return_after(&self, message: Message, delay: Duration) {
        let change = VisibilityChange::new(message.receipt.shared(), delay);
        drop(message); // Not extended from here on.
        self.returns.add(change).await;
    }

    /// Whether SQS would move the message to the dead letters, without a reason, instead of delivering it again.
    pub fn is_last_receive(&self, message: &Message) -> bool {
        self.policy.is_last_receive(message)
    }

    /// Moves a message to the queue's dead-letter queue, with the reason as message attributes.
    ///
    /// SQS does not record the source queue of such a message: `StartMessageMoveTask` needs the destination. Attributes keep
    /// its message id and time, so its deliveries keep their ids.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError`]; the message is returned to the queue after `delay` instead.
    pub async fn dead_letter(
        &self,
        message: Message,
        letter: &DeadLetter,
        delay: Duration,
    ) -> Result<(), DeadLetterError> {
        let moved = self.policy.dead_letter(self.queue(), &message, letter).await;
        match moved {
            Ok(()) => self.delete(message).await,
            Err(_) => self.return_after(message, delay).await,
        }
        moved
    }

    /// Makes the calls that are still waiting. A message whose call does not succeed within `limit` is delivered again, as
    /// is one that is settled after this.
    pub async fn close(&self, limit: Duration) {
        let (deleted, returned) = tokio::join!(self.deletes.close(limit), self.returns.close(limit));
        self.reader.stop();
        let queue = self.queue().name();
        if deleted && returned {
            info!(queue, "Closed the queue");
        } else {
            warn!(
                queue,
                "Closed the queue before SQS confirmed every delete; some messages will be delivered again"
            );
        }
    }
}
