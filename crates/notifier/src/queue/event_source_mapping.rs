//! A queue that Lambda's event source mapping reads: returns and dead-letters failed messages.

use std::time::Duration;

use tokio::sync::OnceCell;
use tracing::warn;

use super::message::Message;
use super::operations::VisibilityChange;
use super::policy::{DeadLetterError, Policy};
use super::{Queue, QueueError, batch};
use crate::base::text::chain;
use crate::model::DeadLetter;

/// Attempts to change a visibility timeout. Without the change, the message is only delivered later.
const RETURN_TRIES: u32 = 2;

/// One queue of an event source mapping.
///
/// The mapping deletes successful messages, so this only handles failed ones. Reads the queue's attributes at the first
/// failure.
#[derive(Debug)]
pub struct EventSourceMapping {
    queue: Queue,
    policy: OnceCell<Policy>,
}

impl EventSourceMapping {
    /// The messages of `queue`.
    pub fn new(queue: Queue) -> Self {
        Self { queue, policy: OnceCell::new() }
    }

    /// Whether SQS would move the message to the dead letters, without a reason, instead of delivering it again.
    pub async fn is_last_receive(&self, message: &Message) -> Result<bool, QueueError> {
        Ok(self.policy().await?.is_last_receive(message))
    }

    /// Sends a message to the queue's dead-letter queue, with the reason as message attributes. Then the mapping may delete
    /// the message.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError`]: the message must stay on its queue.
    pub async fn dead_letter(&self, message: &Message, letter: &DeadLetter) -> Result<(), DeadLetterError> {
        self.policy().await?.dead_letter(&self.queue, message, letter).await
    }

    /// Makes messages visible again, each after its wait (whole seconds, at most 12 hours) instead of the queue's visibility
    /// timeout. A failure is logged: such a message is delivered later.
    pub async fn return_after(&self, messages: Vec<(Message, Duration)>) {
        let change =
            |(message, wait): &(Message, Duration)| VisibilityChange::new(message.receipt.shared(), *wait);
        let changes: Vec<_> = messages.iter().map(change).collect();
        for failed in batch::run(&self.queue, &changes, RETURN_TRIES).await {
            let (queue, error) = (self.queue.name(), chain(&failed.error));
            warn!(queue, error, "A message is delivered again only when the queue's visibility timeout ends");
        }
    }

    async fn policy(&self) -> Result<&Policy, QueueError> {
        self.policy.get_or_try_init(|| Policy::of(&self.queue)).await
    }
}
