//! The number of messages on a queue.

use aws_sdk_sqs::types::QueueAttributeName as Name;

use super::limits::CALL_TIME_MAX;
use super::policy::Policy;
use super::{Queue, QueueError, in_time};

/// The messages of a queue, as SQS counts them: approximately, and up to a minute late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Ready to be received.
    pub visible: u64,
    /// Received, and neither deleted nor returned.
    pub in_flight: u64,
    /// Held back for a time.
    pub delayed: u64,
}

impl Queue {
    /// The dead-letter queue of its redrive policy; `None` if it has none.
    ///
    /// # Errors
    ///
    /// [`QueueError`], after the client's retries.
    pub async fn dead_letters(&self) -> Result<Option<Self>, QueueError> {
        Ok(Policy::of(self).await?.dead_letters.map(|target| target.queue))
    }

    /// Asks SQS how many messages are on the queue.
    ///
    /// # Errors
    ///
    /// [`QueueError`], after the client's retries.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        const OPERATION: &str = "GetQueueAttributes";
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
            Name::ApproximateNumberOfMessagesDelayed,
        ];
        let call = self
            .client
            .get_queue_attributes()
            .queue_url(self.url())
            .set_attribute_names(Some(names.to_vec()));
        let answer = in_time(self.url(), OPERATION, CALL_TIME_MAX, call.send()).await?;
        let attributes = answer.attributes.unwrap_or_default();
        let [visible, in_flight, delayed] =
            names.map(|name| attributes.get(&name).and_then(|n| n.parse().ok()));
        let all = visible.zip(in_flight).zip(delayed);
        let without = || QueueError::without(self.url(), OPERATION, "number of messages");
        let ((visible, in_flight), delayed) = all.ok_or_else(without)?;
        Ok(Depth { visible, in_flight, delayed })
    }
}
