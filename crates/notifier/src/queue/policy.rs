//! A queue's visibility timeout and redrive policy, and moves to its dead-letter queue.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::dead_letter;
use super::limits::CALL_TIME_MAX;
use super::message::Message;
use super::publish::{Outgoing, PublishError};
use super::{Queue, QueueError, in_time, url_of};
use crate::base::text::printable;
use crate::model::DeadLetter;

/// The most characters of an invalid attribute in an error.
const VALUE_CHARS_MAX: usize = 200;

/// Why a message could not be moved to the dead letters. It is still on its queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum DeadLetterError {
    #[error("queue {queue} has no dead-letter queue")]
    NoQueue { queue: String },
    #[error("the queue's dead-letter queue cannot be found")]
    Unknown(#[from] QueueError),
    #[error("the dead-letter queue did not accept the message")]
    Publish(#[from] PublishError),
}

/// The attributes of a queue for its consumer.
#[derive(Debug)]
pub(super) struct Policy {
    /// How long a received message is invisible.
    pub(super) visibility: Duration,
    /// The dead-letter queue.
    pub(super) dead_letters: Option<DeadLetterTarget>,
}

/// The dead-letter queue of a redrive policy.
#[derive(Debug)]
pub(super) struct DeadLetterTarget {
    pub(super) queue: Queue,
    /// Maximum number of receives. After that, SQS itself moves a message, without a reason.
    receives_max: u32,
}

impl Policy {
    /// Whether SQS would move the message to the dead letters, without a reason, instead of delivering it again.
    pub(super) fn is_last_receive(&self, message: &Message) -> bool {
        self.dead_letters.as_ref().is_some_and(|dead| message.receives >= dead.receives_max)
    }

    /// Sends a message of `queue` to the dead-letter queue, without deleting it from `queue`.
    pub(super) async fn dead_letter(
        &self,
        queue: &Queue,
        message: &Message,
        letter: &DeadLetter,
    ) -> Result<(), DeadLetterError> {
        let no_queue = || DeadLetterError::NoQueue { queue: queue.url().to_owned() };
        let target = self.dead_letters.as_ref().ok_or_else(no_queue)?;
        let attributes = dead_letter::attributes(Some(letter), message);
        Ok(target.queue.send(&[Outgoing::new(&message.body, &attributes, &message.trace)]).await?)
    }

    /// Reads a queue's policy from SQS.
    pub(super) async fn of(queue: &Queue) -> Result<Self, QueueError> {
        const OPERATION: &str = "GetQueueAttributes";
        let names = [QueueAttributeName::VisibilityTimeout, QueueAttributeName::RedrivePolicy];
        let call = queue
            .client
            .get_queue_attributes()
            .queue_url(queue.url())
            .set_attribute_names(Some(names.to_vec()));
        let answer = in_time(queue.url(), OPERATION, CALL_TIME_MAX, call.send()).await?;
        let attributes = answer.attributes.unwrap_or_default();
        let unreadable = |attribute: &QueueAttributeName, value: &str| {
            let value = printable(value, VALUE_CHARS_MAX);
            let problem = format!("a {} that cannot be read: `{value}`", attribute.as_str());
            QueueError::NotSqs { queue: queue.url().to_owned(), operation: OPERATION, problem }
        };
        let [visibility, redrive] = &names;
        let seconds = attributes.get(visibility).map_or("30", String::as_str);
        let seconds = seconds.parse().map_err(|_| unreadable(visibility, seconds))?;
        let dead_letters = match attributes.get(redrive).filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => {
                let parts = redrive_policy(text).ok_or_else(|| unreadable(redrive, text))?;
                let (account, name, receives_max) = parts;
                let client = queue.client.clone();
                let url = url_of(&client, &name, Some(&account)).await?;
                Some(DeadLetterTarget { queue: Queue::at(client, url, queue.rng.clone()), receives_max })
            }
        };
        Ok(Self { visibility: Duration::from_secs(seconds), dead_letters })
    }
}

/// Account, name and maximum number of receives of a `RedrivePolicy`. The number may be a string, as it was set.
fn redrive_policy(text: &str) -> Option<(String, String, u32)> {
    let policy: Value = serde_json::from_str(text).ok()?;
    let mut arn = policy.get("deadLetterTargetArn")?.as_str()?.split(':').skip(4);
    let (account, name) = (arn.next()?.to_owned(), arn.next()?.to_owned());
    let receives_max = policy.get("maxReceiveCount")?;
    let receives_max = receives_max.as_str().map_or_else(|| receives_max.to_string(), str::to_owned);
    Some((account, name, receives_max.parse().ok()?))
}
