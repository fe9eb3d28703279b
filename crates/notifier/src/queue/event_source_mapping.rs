//! A queue that somebody else reads and deletes from for us: Lambda's event source mapping.

use std::time::Duration;

use tokio::sync::OnceCell;
use tracing::warn;

use super::batch;
use super::dead_letter::{self, DeadLetterError, DeadLetterReason, Policy};
use super::inbox::seconds;
use super::limits::VISIBILITY_MAX;
use super::message::Message;
use super::visibility::{Change, ChangeVisibility};
use super::{Queue, QueueError};
use crate::base::text::chain;

/// Tries of one change of visibility: without it, the message only comes back later.
const HAND_BACK_TRIES: u32 = 2;

/// One queue whose messages are handed to us.
///
/// The mapping deletes what is done, so here are only the two other ends of a message. Calls nobody before one of them
/// is needed: a process that only succeeds never reads the queue's attributes.
#[derive(Debug)]
pub struct EventSourceMapping {
    queue: Queue,
    policy: OnceCell<Policy>,
}

impl EventSourceMapping {
    /// The messages of `queue`.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self { queue, policy: OnceCell::new() }
    }

    /// Whether SQS would move the message to the dead letters, without a reason, rather than deliver it again.
    pub async fn is_last_receive(&self, message: &Message) -> Result<bool, QueueError> {
        Ok(self.policy().await?.is_last_receive(message))
    }

    /// Sends a message to the queue's dead-letter queue, with the reason as message attributes. The message itself is
    /// then done: the mapping may delete it.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError`]: the message must stay on its queue.
    pub async fn dead_letter(
        &self,
        message: &Message,
        letter: &DeadLetterReason,
    ) -> Result<(), DeadLetterError> {
        self.policy().await?.bury(&self.queue, message, letter).await
    }

    /// Makes messages visible again, each after its wait (whole seconds, at most 12 hours) instead of the queue's whole
    /// visibility timeout. What fails is logged: such a message comes back later.
    pub async fn hand_back(&self, messages: Vec<(Message, Duration)>) {
        let change = |(message, wait): &(Message, Duration)| Change {
            handle: message.receipt.shared(),
            seconds: seconds((*wait).min(VISIBILITY_MAX)),
        };
        let changes: Vec<_> = messages.iter().map(change).collect();
        let call = ChangeVisibility(self.queue.clone());
        for failed in batch::run(&call, &changes, HAND_BACK_TRIES, self.queue.rng()).await {
            let error = chain(&failed.error);
            warn!(
                queue = self.queue.name(),
                error, "A message comes back only when the queue's visibility timeout ends"
            );
        }
    }

    async fn policy(&self) -> Result<&Policy, QueueError> {
        self.policy.get_or_try_init(|| dead_letter::policy(&self.queue)).await
    }
}
