//! Receives messages, which stay invisible to other consumers while they are processed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{Message as SdkMessage, MessageSystemAttributeName as System};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::warn;

use super::attributes::{MESSAGE_ID, SENDERS, SENT};
use super::limits::{BATCH_ENTRIES_MAX, CALL_TIME_MAX};
use super::message::Message;
use super::operations::seconds;
use super::visibility::{self, InWork};
use super::{Queue, QueueError, dead_letter, in_time, trace};

/// A message and its text attributes.
pub(super) type Received = (Message, HashMap<String, String>);

/// Receives the messages of one queue, and extends their visibility timeouts for as long as their receipts exist.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) queue: Queue,
    pub(super) in_work: Arc<InWork>,
    visibility: Duration,
    extender: AbortHandle,
}

impl Reader {
    /// Starts to extend messages, which are invisible for this long at a time. Must be called within a tokio runtime.
    pub(super) fn start(queue: Queue, visibility: Duration) -> Self {
        let in_work = Arc::new(InWork::default());
        let extender = tokio::spawn(visibility::extend(Arc::clone(&in_work), queue.clone(), visibility));
        Self { queue, in_work, visibility, extender: extender.abort_handle() }
    }

    /// Receives at most `most` messages, ten at most, and waits for the first.
    pub(super) async fn receive(&self, most: usize, wait_seconds: i32) -> Result<Vec<Received>, QueueError> {
        let system = [
            System::ApproximateReceiveCount,
            System::SentTimestamp,
            System::SenderId,
            System::AwsTraceHeader,
        ];
        let own = [trace::PARENT, trace::STATE, MESSAGE_ID, SENT, SENDERS];
        let names = own.into_iter().chain(dead_letter::NAMES).map(str::to_owned).collect();
        let call = self
            .queue
            .client
            .receive_message()
            .queue_url(self.queue.url())
            .max_number_of_messages(i32::try_from(most.clamp(1, BATCH_ENTRIES_MAX)).unwrap_or(1))
            .wait_time_seconds(wait_seconds)
            // In every call, because the queue's own timeout may be changed meanwhile.
            .visibility_timeout(seconds(self.visibility))
            .set_message_system_attribute_names(Some(system.into()))
            .set_message_attribute_names(Some(names));
        let limit = CALL_TIME_MAX + Duration::from_secs(wait_seconds.unsigned_abs().into());
        let answer = in_time(self.queue.url(), "ReceiveMessage", limit, call.send()).await?;
        let now = Instant::now();
        let messages = answer.messages.unwrap_or_default().into_iter();
        Ok(messages.filter_map(|message| self.read(message, now)).collect())
    }

    fn read(&self, message: SdkMessage, now: Instant) -> Option<Received> {
        let Some(handle) = message.receipt_handle.as_deref() else {
            let queue = self.queue.name();
            warn!(
                queue,
                "SQS delivered a message without a receipt handle, which can be neither deleted nor returned"
            );
            return None;
        };
        let receipt = self.in_work.add(handle, now);
        let system = message.attributes.unwrap_or_default().into_iter();
        let system = system.map(|(name, value)| (name.as_str().to_owned(), value)).collect();
        let text = message.message_attributes.unwrap_or_default().into_iter();
        let text = text.filter_map(|(name, value)| Some((name, value.string_value?))).collect();
        let (id, body) = (message.message_id.unwrap_or_default(), message.body.unwrap_or_default());
        Some((Message { receipt, ..Message::parse(id, body, &system, &text) }, text))
    }

    /// Stops the extensions.
    pub(super) fn stop(&self) {
        self.extender.abort();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
    }
}
