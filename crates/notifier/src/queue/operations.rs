//! Batch operations on received messages: `DeleteMessageBatch` and `ChangeMessageVisibilityBatch`.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry};

use super::batch::{Answer, Entry};
use super::limits::{CALL_TIME_MAX, VISIBILITY_MAX};
use super::{Queue, QueueError, Receipt, in_time};

/// Deletes the message of a receipt.
impl Entry for &Receipt {
    async fn call(queue: &Queue, batch: Vec<(String, &Self)>) -> Result<Answer, QueueError> {
        const OPERATION: &str = "DeleteMessageBatch";
        let entry = |(id, receipt): (String, &Self)| {
            DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(receipt.handle()).build()
        };
        let entries = batch.into_iter().map(entry).collect::<Result<_, _>>();
        let entries = entries.map_err(QueueError::incomplete(queue.url(), OPERATION))?;
        let call = queue.client.delete_message_batch().queue_url(queue.url()).set_entries(Some(entries));
        let answer = in_time(queue.url(), OPERATION, CALL_TIME_MAX, call.send()).await?;
        let successful = answer.successful.into_iter().map(|entry| entry.id).collect();
        Ok(Answer { successful, failed: answer.failed })
    }
}

/// Gives a message a new visibility timeout, counted from now.
#[derive(Debug)]
pub(super) struct VisibilityChange {
    handle: Arc<str>,
    seconds: i32,
}

impl VisibilityChange {
    /// `timeout` is cut to whole seconds and to 12 hours.
    pub(super) fn new(handle: Arc<str>, timeout: Duration) -> Self {
        Self { handle, seconds: seconds(timeout.min(VISIBILITY_MAX)) }
    }
}

impl Entry for VisibilityChange {
    async fn call(queue: &Queue, batch: Vec<(String, &Self)>) -> Result<Answer, QueueError> {
        const OPERATION: &str = "ChangeMessageVisibilityBatch";
        let entry = |(id, change): (String, &Self)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(id)
                .receipt_handle(&*change.handle)
                .visibility_timeout(change.seconds)
                .build()
        };
        let entries = batch.into_iter().map(entry).collect::<Result<_, _>>();
        let entries = entries.map_err(QueueError::incomplete(queue.url(), OPERATION))?;
        let call =
            queue.client.change_message_visibility_batch().queue_url(queue.url()).set_entries(Some(entries));
        let answer = in_time(queue.url(), OPERATION, CALL_TIME_MAX, call.send()).await?;
        let successful = answer.successful.into_iter().map(|entry| entry.id).collect();
        Ok(Answer { successful, failed: answer.failed })
    }
}

pub(super) fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
