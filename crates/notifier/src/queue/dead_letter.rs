//! Where poison goes, and what it takes along.

use aws_sdk_sqs::types::QueueAttributeName;
use serde::Deserialize;

use super::attributes::{Attributes, MESSAGE_ID, SENDERS, SENT};
use super::limits::{ATTRIBUTE_BYTES_MAX, BATCH_BYTES_MAX, REASON_BYTES_MAX};
use super::message::Message;
use super::publish::{Outgoing, PublishError};
use super::{Queue, QueueError, url_of};
use crate::base::text::printable;

/// The most characters that are repeated of an attribute which cannot be understood.
const VALUE_CHARS_MAX: usize = 200;

/// Why a message is given up. It travels as the message attributes `code`, `reason`, `stage`, `broadcast` and `task` of
/// the dead letter; what a dead letter does not know it does not carry. Who sent it goes with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterReason {
    /// A stable word for the kind of failure.
    pub code: String,
    /// What went wrong, for a person; cut to 1 KiB.
    pub reason: String,
    /// The stage that gave up.
    pub stage: String,
    /// The broadcast's id, if the message has one.
    pub broadcast: Option<String>,
    /// ARN of the task, if the message is for one.
    pub task: Option<String>,
}

impl DeadLetterReason {
    /// A reason with what the message's body says of its broadcast and its task, as far as it can be read.
    #[must_use]
    pub fn about(body: &str, stage: &str, code: &str, reason: String) -> Self {
        let glimpse: Glimpse = serde_json::from_str(body).unwrap_or_default();
        let broadcast = [glimpse.broadcast, glimpse.event].into_iter().flatten().find_map(|named| named.id);
        let (code, stage) = (code.to_owned(), stage.to_owned());
        Self { code, reason, stage, broadcast, task: glimpse.notify_task_arn }
    }

    /// The attributes of a dead letter, the most important first, as many as fit beside the body.
    fn attributes(&self, message: &Message) -> Attributes {
        let sent = (message.sent.unix_timestamp_nanos() / 1_000_000).to_string();
        let mut attributes = Attributes::default();
        attributes.add(SENDERS, &message.senders(), ATTRIBUTE_BYTES_MAX);
        attributes.add("code", &self.code, ATTRIBUTE_BYTES_MAX);
        attributes.add("reason", &self.reason, REASON_BYTES_MAX);
        attributes.add(MESSAGE_ID, &message.id, ATTRIBUTE_BYTES_MAX);
        attributes.add(SENT, &sent, ATTRIBUTE_BYTES_MAX);
        attributes.add("stage", &self.stage, ATTRIBUTE_BYTES_MAX);
        attributes.add("broadcast", self.broadcast.as_deref().unwrap_or_default(), ATTRIBUTE_BYTES_MAX);
        attributes.add("task", self.task.as_deref().unwrap_or_default(), ATTRIBUTE_BYTES_MAX);
        message.trace.add_to(&mut attributes);
        attributes.fit(BATCH_BYTES_MAX.saturating_sub(message.body.len()));
        attributes
    }
}

/// The fields of any queue's body that say what it is about.
#[derive(Default, Deserialize)]
struct Glimpse {
    #[serde(default)]
    broadcast: Option<Named>,
    #[serde(default)]
    event: Option<Named>,
    #[serde(default)]
    notify_task_arn: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    id: Option<String>,
}

/// The id of the broadcast that a body of an inner queue is part of, if it says.
pub(super) fn broadcast(body: &str) -> Option<String> {
    serde_json::from_str::<Glimpse>(body).ok()?.broadcast?.id
}

/// Why a message could not be moved to the dead letters. It is still on its queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// The queue's redrive policy names no dead-letter queue.
    #[error("queue {queue} has no dead-letter queue")]
    NoQueue {
        /// URL of the queue.
        queue: String,
    },
    /// The queue does not say which dead-letter queue it has.
    #[error("the queue's dead-letter queue cannot be found")]
    Unknown(#[from] QueueError),
    /// The dead-letter queue did not take it.
    #[error("the dead-letter queue did not take the message")]
    Publish(#[from] PublishError),
}

/// What a queue's attributes say about working through it.
#[derive(Debug)]
pub(super) struct Policy {
    /// How long a received message is invisible.
    pub(super) visibility: std::time::Duration,
    /// Where poison goes.
    pub(super) dead_letters: Option<DeadLetters>,
}

impl Policy {
    /// Whether SQS would move the message to the dead letters, without a reason, rather than deliver it again.
    pub(super) fn is_last_receive(&self, message: &Message) -> bool {
        self.dead_letters.as_ref().is_some_and(|dead| message.receives >= dead.receives_max)
    }

    /// Sends a message of `queue` to the dead letters.
    pub(super) async fn bury(
        &self,
        queue: &Queue,
        message: &Message,
        letter: &DeadLetterReason,
    ) -> Result<(), DeadLetterError> {
        match &self.dead_letters {
            None => Err(DeadLetterError::NoQueue { queue: queue.url().to_owned() }),
            Some(dead) => Ok(dead.bury(message, letter).await?),
        }
    }
}

#[derive(Debug)]
pub(super) struct DeadLetters {
    queue: Queue,
    /// A message that has been received more often is moved by SQS itself, without a reason.
    receives_max: u32,
}

impl DeadLetters {
    /// The dead-letter queue itself.
    pub(super) fn into_queue(self) -> Queue {
        self.queue
    }

    async fn bury(&self, message: &Message, letter: &DeadLetterReason) -> Result<(), PublishError> {
        let attributes = letter.attributes(message);
        self.queue.send(&[Outgoing::new(&message.body, &attributes)], &message.trace).await
    }
}

/// A queue's `RedrivePolicy`. SQS writes the count as a number or as text, whichever it was given.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Redrive {
    dead_letter_target_arn: String,
    max_receive_count: Count,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u32),
    Text(String),
}

impl Redrive {
    /// The dead-letter queue's account, its name, and how often a message may be received.
    fn parts(&self) -> Option<(&str, &str, u32)> {
        let mut arn = self.dead_letter_target_arn.split(':').skip(4);
        let (account, name) = (arn.next()?, arn.next()?);
        let count = match &self.max_receive_count {
            Count::Number(count) => *count,
            Count::Text(text) => text.parse().ok()?,
        };
        Some((account, name, count))
    }
}

/// Asks SQS for what [`Policy`] holds.
pub(super) async fn policy(queue: &Queue) -> Result<Policy, QueueError> {
    const OPERATION: &str = "GetQueueAttributes";
    let names = [QueueAttributeName::VisibilityTimeout, QueueAttributeName::RedrivePolicy];
    let call = queue
        .client()
        .get_queue_attributes()
        .queue_url(queue.url())
        .set_attribute_names(Some(names.to_vec()));
    let attributes = queue.call(OPERATION, call.send()).await?.attributes.unwrap_or_default();
    let unreadable = |attribute: &QueueAttributeName, value: &str| QueueError::Attribute {
        queue: queue.url().to_owned(),
        operation: OPERATION,
        attribute: attribute.as_str().to_owned(),
        value: printable(value, VALUE_CHARS_MAX),
    };
    let [visibility, redrive] = &names;
    let seconds = attributes.get(visibility).map_or("30", String::as_str);
    let seconds = seconds.parse().map_err(|_| unreadable(visibility, seconds))?;
    let dead_letters = match attributes.get(redrive).filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => {
            let policy: Option<Redrive> = serde_json::from_str(text).ok();
            let parts = policy.as_ref().and_then(Redrive::parts);
            let (account, name, receives_max) = parts.ok_or_else(|| unreadable(redrive, text))?;
            let client = queue.client().clone();
            let url = url_of(&client, name, Some(account)).await?;
            Some(DeadLetters { queue: Queue::at(client, url, queue.rng().clone()), receives_max })
        }
    };
    Ok(Policy { visibility: std::time::Duration::from_secs(seconds), dead_letters })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(body: &str) -> (Option<String>, Option<String>) {
        let letter = DeadLetterReason::about(body, "notify", "rejected", "404".to_owned());
        (letter.broadcast, letter.task)
    }

    #[test]
    fn a_dead_letter_names_its_broadcast_and_task_where_the_body_does() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            about(r#"{"notify_task_arn":"arn:t","broadcast":{"id":"b-1"}}"#),
            (some("b-1"), some("arn:t"))
        );
        assert_eq!(about(r#"{"cluster":"prod","event":{"id":"e-1"}}"#), (some("e-1"), None));
        assert_eq!(about(r#"{"cluster":"prod"}"#), (None, None));
        assert_eq!(about("not json"), (None, None));
    }

    #[test]
    fn a_redrive_policy_is_read_with_its_count_as_number_or_text() {
        for count in ["5", "\"5\""] {
            let json = format!(
                r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:111122223333:dead","maxReceiveCount":{count}}}"#
            );
            let redrive: Redrive = serde_json::from_str(&json).unwrap();
            assert_eq!(redrive.parts(), Some(("111122223333", "dead", 5)), "{json}");
        }
    }
}
