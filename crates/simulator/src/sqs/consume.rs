//! What a consumer does with a message that it received: deletes it, or changes how long it stays invisible.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Account;
use super::batch::{Batch, Results};
use super::errors;
use super::receipts::Receipt;
use super::request;
use super::settings::VISIBILITY_SECONDS_MAX;
use super::store::HideError;
use crate::error::AwsError;
use crate::faults::Faults;

/// The request of `DeleteMessage`.
#[derive(Debug, Deserialize)]
pub(super) struct Delete {
    #[serde(rename = "QueueUrl")]
    queue_url: Option<String>,
    #[serde(flatten)]
    entry: DeleteEntry,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteEntry {
    receipt_handle: Option<String>,
}

/// The request of `ChangeMessageVisibility`.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    #[serde(rename = "QueueUrl")]
    queue_url: Option<String>,
    #[serde(flatten)]
    entry: ChangeEntry,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeEntry {
    receipt_handle: Option<String>,
    visibility_timeout: Option<i64>,
}

impl Account {
    pub(super) fn delete_message(&mut self, ask: &Delete, now: Duration) -> Result<Value, AwsError> {
        self.delete(request::url(ask.queue_url.as_ref())?, &ask.entry, now)
    }

    pub(super) fn delete_message_batch(
        &mut self,
        ask: Batch<DeleteEntry>,
        faults: &Faults,
        now: Duration,
    ) -> Result<Value, AwsError> {
        let batch = ask.check("DeleteMessageBatchRequestEntry")?;
        self.queue(&batch.url, now)?;
        let mut results = Results::default();
        for (id, entry) in &batch.entries {
            let dropped = faults.drops_entry("DeleteMessageBatch", id);
            results.add(id, dropped.map_or_else(|| self.delete(&batch.url, entry, now), Err));
        }
        Ok(results.answer())
    }

    fn delete(&mut self, url: &str, entry: &DeleteEntry, now: Duration) -> Result<Value, AwsError> {
        let queue = self.queue(url, now)?;
        let handle = request::required(entry.receipt_handle.as_deref(), "ReceiptHandle")?;
        let receipt = Receipt::read(handle, queue.number)?;
        queue.store.delete(receipt.key, receipt.receive);
        Ok(json!({}))
    }

    pub(super) fn change_message_visibility(
        &mut self,
        ask: &Change,
        now: Duration,
    ) -> Result<Value, AwsError> {
        self.change(request::url(ask.queue_url.as_ref())?, &ask.entry, now)
    }

    pub(super) fn change_message_visibility_batch(
        &mut self,
        ask: Batch<ChangeEntry>,
        faults: &Faults,
        now: Duration,
    ) -> Result<Value, AwsError> {
        let batch = ask.check("ChangeMessageVisibilityBatchRequestEntry")?;
        self.queue(&batch.url, now)?;
        let mut results = Results::default();
        for (id, entry) in &batch.entries {
            let dropped = faults.drops_entry("ChangeMessageVisibilityBatch", id);
            results.add(id, dropped.map_or_else(|| self.change(&batch.url, entry, now), Err));
        }
        Ok(results.answer())
    }

    fn change(&mut self, url: &str, entry: &ChangeEntry, now: Duration) -> Result<Value, AwsError> {
        let queue = self.queue(url, now)?;
        let handle = request::required(entry.receipt_handle.as_deref(), "ReceiptHandle")?;
        let receipt = Receipt::read(handle, queue.number)?;
        let seconds = request::within(
            request::required(entry.visibility_timeout, "VisibilityTimeout")?,
            0..=VISIBILITY_SECONDS_MAX,
            "VisibilityTimeout",
            "Must be between 0 and 43200.",
        )?;
        queue.store.hide(receipt.key, now, Duration::from_secs(seconds)).map_err(|error| match error {
            HideError::Gone => errors::invalid_value(
                handle,
                "ReceiptHandle",
                "Message does not exist or is not available for visibility timeout change.",
            ),
            HideError::NotInFlight => errors::not_in_flight(),
            HideError::TooLong => errors::invalid_value(
                seconds,
                "VisibilityTimeout",
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].",
            ),
        })?;
        // Waiting receives look again: the message may be visible now, or sooner than they know.
        queue.wake.notify_waiters();
        Ok(json!({}))
    }
}
