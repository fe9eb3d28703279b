//! A queue that somebody else reads and deletes from for us: Lambda's event source mapping.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{Message as Raw, MessageAttributeValue, MessageSystemAttributeName as System};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::warn;

use super::batch;
use super::dead_letter::{self, DeadLetterError, DeadLetterReason, Policy};
use super::inbox::seconds;
use super::lease::{Change, ChangeVisibility, Leases};
use super::limits::VISIBILITY_MAX;
use super::message::{self, Message};
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
    /// Nobody extends these: the queue hides messages for longer than the function may run.
    leases: Arc<Leases>,
}

/// A message as the mapping hands it over.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The SQS message id.
    pub id: String,
    /// What the message is settled by.
    pub receipt: String,
    /// The body.
    pub body: String,
    /// System attributes such as `ApproximateReceiveCount`.
    pub system: HashMap<String, String>,
    /// Message attributes that are text.
    pub attributes: HashMap<String, String>,
}

impl EventSourceMapping {
    /// The messages of `queue`.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self { queue, policy: OnceCell::new(), leases: Arc::default() }
    }

    /// Reads a record as the daemon reads a message that it received itself.
    #[must_use]
    pub fn read(&self, record: Record) -> Message {
        let text = |(name, value)| {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            value.ok().map(|value| (name, value))
        };
        let system = record.system.into_iter().map(|(name, value)| (System::from(name.as_str()), value));
        let raw = Raw::builder()
            .message_id(record.id)
            .body(record.body)
            .set_attributes(Some(system.collect()))
            .set_message_attributes(Some(record.attributes.into_iter().filter_map(text).collect()))
            .build();
        message::read(raw, self.leases.take(record.receipt, Instant::now()))
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
            receipt: message.lease.receipt(),
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
