//! Messages to send: `SendMessageBatch`.

use std::time::Duration;

use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde::Deserialize;

use super::attributes::Attributes;
use super::batch::{self, Answer, Entry, NotAccepted};
use super::limits::{CALL_TIME_MAX, DELAY_MAX, GROUP_CHARS_MAX, TRIES_MAX};
use super::trace::Trace;
use super::{Queue, QueueError, in_time, operations};

/// A message that the queue holds back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delayed {
    /// The body.
    pub body: String,
    /// How long: whole seconds, at most [`DELAY_MAX`].
    pub delay: Duration,
}

impl Delayed {
    /// A message that is not held back.
    pub fn now(body: String) -> Self {
        Self { body, delay: Duration::ZERO }
    }
}

/// Some messages were not accepted; all others are on the queue.
#[derive(Debug, thiserror::Error)]
#[error("queue {queue} did not accept {} of {offered} messages; message {}", refused.len(), first(refused))]
pub struct PublishError {
    /// URL of the queue.
    pub queue: String,
    /// Number of messages to publish.
    pub offered: usize,
    /// Those that were not accepted, in their order; never empty.
    pub refused: Vec<NotAccepted>,
}

fn first(refused: &[NotAccepted]) -> String {
    refused.first().map_or_else(String::new, |NotAccepted { index, error }| {
        format!("{}: {}", index + 1, crate::base::text::chain(error))
    })
}

impl PublishError {
    /// Whether one of the messages would always be refused.
    pub fn is_final(&self) -> bool {
        self.refused.iter().any(|one| one.error.is_final())
    }
}

impl Queue {
    /// Sends every body as a separate message, in concurrent batches.
    ///
    /// Messages of one broadcast share a message group, so that the queue can serve small broadcasts beside a large one.
    ///
    /// After a transient failure, a message is retried, with five attempts in all and backoff. A call whose answer was lost
    /// may have succeeded: then a message is duplicated, as standard queues allow.
    ///
    /// # Errors
    ///
    /// [`PublishError`] has exactly the bodies that were not accepted. All others are on the queue.
    pub async fn publish(&self, bodies: &[String], trace: &Trace) -> Result<(), PublishError> {
        let attributes = trace.attributes();
        let entries: Vec<_> = bodies.iter().map(|body| Outgoing::new(body, &attributes, trace)).collect();
        self.send(&entries).await
    }

    /// The same for bodies that the queue holds back, each for its own time.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish).
    pub async fn publish_delayed(&self, messages: &[Delayed], trace: &Trace) -> Result<(), PublishError> {
        let attributes = trace.attributes();
        let entries = messages.iter().map(|message| {
            let delay_seconds = operations::seconds(message.delay.min(DELAY_MAX));
            Outgoing { delay_seconds, ..Outgoing::new(&message.body, &attributes, trace) }
        });
        self.send(&entries.collect::<Vec<_>>()).await
    }

    /// Sends one body, and returns the message id from SQS.
    ///
    /// For interactive callers: a refusal is returned at once.
    ///
    /// # Errors
    ///
    /// [`QueueError`], after the client's retries; the message may still be on the queue if an answer was lost. An answer
    /// without a message id is an error too.
    pub async fn publish_one(&self, body: &str, trace: &Trace) -> Result<String, QueueError> {
        const OPERATION: &str = "SendMessage";
        let incomplete = QueueError::incomplete(self.url(), OPERATION);
        let attributes = trace.attributes();
        let call = self
            .client
            .send_message()
            .queue_url(self.url())
            .message_body(body)
            .set_message_attributes(attributes.to_sdk().map_err(&incomplete)?)
            .set_message_system_attributes(trace.to_sdk().map_err(&incomplete)?);
        let answer = Box::pin(in_time(self.url(), OPERATION, CALL_TIME_MAX, call.send())).await?;
        let message_id = answer.message_id.filter(|id| !id.is_empty());
        message_id.ok_or_else(|| QueueError::without(self.url(), OPERATION, "message id"))
    }

    pub(super) async fn send(&self, messages: &[Outgoing<'_>]) -> Result<(), PublishError> {
        let refused = batch::run(self, messages, TRIES_MAX).await;
        if refused.is_empty() {
            return Ok(());
        }
        Err(PublishError { queue: self.url().to_owned(), offered: messages.len(), refused })
    }
}

/// A message to send.
pub(super) struct Outgoing<'a> {
    body: &'a str,
    attributes: &'a Attributes,
    /// The trace with the X-Ray header.
    trace: &'a Trace,
    /// Its broadcast as the message group. Standard queues serve a group with few messages before one with many ("fair
    /// queues"), and have no order within a group.
    group: Option<String>,
    /// How long the queue holds it back.
    delay_seconds: i32,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(body: &'a str, attributes: &'a Attributes, trace: &'a Trace) -> Self {
        let group = broadcast(body).filter(|id| is_group(id));
        let group = group.map(|id| id.chars().take(GROUP_CHARS_MAX).collect());
        Self { body, attributes, trace, group, delay_seconds: 0 }
    }

    fn to_sdk(&self, id: String) -> Result<SendMessageBatchRequestEntry, BuildError> {
        SendMessageBatchRequestEntry::builder()
            .id(id)
            .message_body(self.body)
            .set_message_group_id(self.group.clone())
            .set_delay_seconds((self.delay_seconds > 0).then_some(self.delay_seconds))
            .set_message_attributes(self.attributes.to_sdk()?)
            .set_message_system_attributes(self.trace.to_sdk()?)
            .build()
    }
}

/// The fields with the broadcast in a body.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    broadcast: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    id: Option<String>,
}

/// The id of the broadcast in a body of an inner queue.
fn broadcast(body: &str) -> Option<String> {
    serde_json::from_str::<Body>(body).ok()?.broadcast?.id
}

/// Whether SQS accepts the start of this text as a message group.
fn is_group(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Entry for Outgoing<'_> {
    fn bytes(&self) -> usize {
        self.body.len() + self.attributes.bytes()
    }

    async fn call(queue: &Queue, batch: Vec<(String, &Self)>) -> Result<Answer, QueueError> {
        const OPERATION: &str = "SendMessageBatch";
        let entries = batch.into_iter().map(|(id, message)| message.to_sdk(id)).collect::<Result<_, _>>();
        let entries = entries.map_err(QueueError::incomplete(queue.url(), OPERATION))?;
        let call = queue.client.send_message_batch().queue_url(queue.url()).set_entries(Some(entries));
        let answer = in_time(queue.url(), OPERATION, CALL_TIME_MAX, call.send()).await?;
        let successful = answer.successful.into_iter().map(|entry| entry.id).collect();
        Ok(Answer { successful, failed: answer.failed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_broadcast_are_a_group() {
        let (none, trace) = (Attributes::default(), Trace::default());
        let group = |body: &str| Outgoing::new(body, &none, &trace).group;
        assert_eq!(
            group(r#"{"notify_task_arn":"arn:t","broadcast":{"id":"b-1","event":{}}}"#),
            Some("b-1".to_owned())
        );
        let long = format!(r#"{{"broadcast":{{"id":"{}"}}}}"#, "x".repeat(256));
        assert_eq!(group(&long), Some("x".repeat(128)));
        // Without a broadcast, or with an id that SQS does not accept, the message has its own group.
        for body in [
            r#"{"cluster":"prod","event":{"id":"e-1"}}"#,
            r#"{"broadcast":{"id":""}}"#,
            r#"{"broadcast":{"id":"a b"}}"#,
            r#"{"broadcast":{"id":"ä"}}"#,
            r#"{"broadcast":7}"#,
            "not json",
        ] {
            assert_eq!(group(body), None, "{body}");
        }
    }
}
