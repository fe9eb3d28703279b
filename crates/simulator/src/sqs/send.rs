//! Sending messages, one or up to ten at a time.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::account::Account;
use super::batch::{Batch, Results};
use super::content::{Accepted, Draft};
use super::errors;
use super::request;
use super::settings::MESSAGE_BYTES_MAX;
use super::store::Message;
use crate::error::AwsError;
use crate::faults::Faults;

#[derive(Debug, Deserialize)]
pub(super) struct Send {
    #[serde(rename = "QueueUrl")]
    queue_url: Option<String>,
    #[serde(flatten)]
    draft: Draft,
}

impl Account {
    pub(super) fn send_message(&mut self, ask: Send, sender: &str, now: Duration) -> Result<Value, AwsError> {
        let url = request::url(ask.queue_url.as_ref())?;
        let accepted = ask.draft.check(sender)?;
        self.enqueue(url, accepted, "are invalid", now)
    }

    pub(super) fn send_message_batch(
        &mut self,
        ask: Batch<Draft>,
        sender: &str,
        faults: &Faults,
        now: Duration,
    ) -> Result<Value, AwsError> {
        let batch = ask.check("SendMessageBatchRequestEntry")?;
        self.queue(&batch.url, now)?;
        if let Some(place) = batch.entries.iter().position(|(_, draft)| !draft.has_body()) {
            let parameter = format!("SendMessageBatchRequestEntry.{}.MessageBody", place + 1);
            return Err(errors::missing(parameter));
        }
        let entries: Vec<_> =
            batch.entries.into_iter().map(|(id, draft)| (id, draft.check(sender))).collect();
        let most = usize::try_from(MESSAGE_BYTES_MAX).unwrap_or(usize::MAX);
        let bytes =
            entries.iter().filter_map(|(_, draft)| draft.as_ref().ok()).map(|it| it.content.size()).sum();
        if bytes > most {
            return Err(errors::batch_too_long(most, bytes));
        }
        let mut results = Results::default();
        for (id, accepted) in entries {
            let result = match faults.drops_entry("SendMessageBatch", &id) {
                Some(error) => Err(error),
                None => accepted.and_then(|it| self.enqueue(&batch.url, it, "cannot be validated", now)),
            };
            results.add(&id, result);
        }
        Ok(results.answer())
    }

    /// Puts a message into its queue; `fault` is what AWS says of the parameters of one that is too large.
    fn enqueue(
        &mut self,
        url: &str,
        accepted: Accepted,
        fault: &str,
        now: Duration,
    ) -> Result<Value, AwsError> {
        let id = self.new_id();
        let queue = self.queue(url, now)?;
        let most = queue.settings.message_bytes_max;
        if u64::try_from(accepted.content.size()).is_ok_and(|bytes| bytes > most) {
            return Err(errors::invalid_parameter(format!(
                "One or more parameters {fault}. Reason: Message must be shorter than {most} bytes."
            )));
        }
        let content = Arc::new(accepted.content);
        let delay = Duration::from_secs(accepted.delay_s.unwrap_or(queue.settings.delay_s));
        queue.push(Message::new(&id, Arc::clone(&content), now), now, delay);
        let mut answer = Map::new();
        answer.insert("MessageId".to_owned(), json!(id));
        answer.insert("MD5OfMessageBody".to_owned(), json!(content.body_md5));
        let digests = [
            ("MD5OfMessageAttributes", content.attributes.md5()),
            ("MD5OfMessageSystemAttributes", content.system_md5.clone()),
        ];
        for (name, digest) in digests {
            if let Some(digest) = digest {
                answer.insert(name.to_owned(), json!(digest));
            }
        }
        Ok(answer.into())
    }
}
