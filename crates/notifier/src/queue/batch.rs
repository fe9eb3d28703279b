//! SQS batch operations: packs the entries, makes the calls, and retries failed entries.

use std::future::Future;
use std::sync::Arc;

use aws_sdk_sqs::types::BatchResultErrorEntry;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::Queue;
use super::error::QueueError;
use super::limits::{BATCH_BYTES_MAX, BATCHES_AT_ONCE, RETRY};
use super::pack::{Item, pack};
use crate::aws::AwsErrorKind;

/// One entry of one of SQS's batch operations.
pub(super) trait Entry: Send + Sync + Sized {
    /// Its share of the batch size.
    fn bytes(&self) -> usize {
        0
    }

    /// Calls SQS with at most ten entries. The `Id` of each is its index in the job.
    fn call(
        queue: &Queue,
        batch: Vec<(String, &Self)>,
    ) -> impl Future<Output = Result<Answer, QueueError>> + Send;
}

/// SQS's answer to a batch call that it accepted.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// `Id`s of the successful entries.
    pub(super) successful: Vec<String>,
    /// The failed entries.
    pub(super) failed: Vec<BatchResultErrorEntry>,
}

/// Why SQS did not accept one entry of a batch.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum EntryError {
    #[error("{bytes} bytes with attributes, but SQS accepts at most {max}", max = BATCH_BYTES_MAX)]
    TooLarge { bytes: usize },
    #[error("SQS answered {code}: {message}")]
    Entry {
        code: String,
        message: String,
        /// The entry itself is wrong.
        sender_fault: bool,
    },
    #[error("the call failed")]
    Call(#[source] Arc<QueueError>),
    #[error("the answer of SQS does not mention it")]
    Unmentioned,
}

impl EntryError {
    /// Whether the entry itself is wrong, so that it will never be accepted.
    pub fn is_final(&self) -> bool {
        match self {
            Self::TooLarge { .. } => true,
            Self::Entry { sender_fault, code, .. } => {
                *sender_fault && AwsErrorKind::of_code(code) != AwsErrorKind::Throttled
            }
            Self::Call(error) => error.is_about_content(),
            Self::Unmentioned => false,
        }
    }

    /// Whether a retry may succeed.
    fn is_passing(&self) -> bool {
        match self {
            Self::Call(error) => error.is_passing(),
            _ => !self.is_final(),
        }
    }
}

/// An entry that was not accepted.
#[derive(Debug)]
pub struct NotAccepted {
    /// Its index in the job, from 0.
    pub index: usize,
    /// Why.
    pub error: EntryError,
}

/// An entry for the next round, with its last error, which counts if no attempts are left.
struct Waiting {
    entry: NotAccepted,
    alone: bool,
}

/// Sends every entry until SQS accepts it, refuses it for good, or `tries` are used up. Returns the entries that were not
/// accepted, in their order.
pub(super) async fn run<E: Entry>(queue: &Queue, entries: &[E], tries: u32) -> Vec<NotAccepted> {
    let mut refused = Vec::new();
    let mut waiting = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match entry.bytes() {
            bytes if bytes > BATCH_BYTES_MAX => {
                refused.push(NotAccepted { index, error: EntryError::TooLarge { bytes } });
            }
            _ => waiting
                .push(Waiting { entry: NotAccepted { index, error: EntryError::Unmentioned }, alone: false }),
        }
    }
    for round in 0..tries {
        if waiting.is_empty() {
            break;
        }
        tokio::time::sleep(RETRY.full_jitter(round, queue.rng.fraction())).await;
        waiting = offer(queue, entries, waiting, &mut refused).await;
    }
    refused.extend(waiting.into_iter().map(|left| left.entry));
    refused.sort_unstable_by_key(|entry| entry.index);
    refused
}

/// One round. Returns the entries to retry.
async fn offer<E: Entry>(
    queue: &Queue,
    entries: &[E],
    waiting: Vec<Waiting>,
    refused: &mut Vec<NotAccepted>,
) -> Vec<Waiting> {
    let item = |Waiting { entry: NotAccepted { index, .. }, alone }| {
        let bytes = entries.get(index).map_or(0, Entry::bytes);
        Item { index, bytes, alone }
    };
    let answers = stream::iter(pack(waiting.into_iter().map(item))).map(async |batch| {
        let entries = batch.iter().filter_map(|&index| Some((index.to_string(), entries.get(index)?)));
        let answer = E::call(queue, entries.collect()).await;
        (batch, answer)
    });
    let mut answers = std::pin::pin!(answers.buffer_unordered(BATCHES_AT_ONCE));
    let mut again = Vec::new();
    while let Some((batch, answer)) = answers.next().await {
        for left in left_over(&batch, answer) {
            if left.alone || left.entry.error.is_passing() {
                again.push(left);
            } else {
                refused.push(left.entry);
            }
        }
    }
    again.sort_unstable_by_key(|left| left.entry.index);
    again
}

/// The entries of a batch that were not accepted. Pure.
///
/// If SQS refuses a whole batch because of its content, each entry gets a separate batch next, so that a wrong entry does
/// not block the others.
fn left_over(batch: &[usize], answer: Result<Answer, QueueError>) -> Vec<Waiting> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let alone = error.is_about_content() && batch.len() > 1;
            let error = Arc::new(error);
            let each = |&index| NotAccepted { index, error: EntryError::Call(Arc::clone(&error)) };
            return batch.iter().map(|index| Waiting { entry: each(index), alone }).collect();
        }
    };
    let left = batch.iter().filter_map(|&index| {
        let id = index.to_string();
        if answer.successful.contains(&id) {
            return None;
        }
        let error =
            answer.failed.iter().find(|failed| failed.id == id).map_or(EntryError::Unmentioned, |failed| {
                EntryError::Entry {
                    code: failed.code.clone(),
                    message: failed.message.clone().unwrap_or_default(),
                    sender_fault: failed.sender_fault,
                }
            });
        Some(Waiting { entry: NotAccepted { index, error }, alone: false })
    });
    left.collect()
}
