//! The dead letters of a queue: each stays in the dead-letter queue until it is redriven or deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::batch::{self, Entry};
use super::dead_letter;
use super::limits::{BATCH_ENTRIES_MAX, TRIES_MAX, VISIBILITY_MAX};
use super::message::Message;
use super::operations::VisibilityChange;
use super::policy::{DeadLetterError, Policy};
use super::publish::Outgoing;
use super::reader::{Reader, Received};
use super::{Queue, QueueError};
use crate::base::text::chain;
use crate::model::{DeadLetter, StageName};

/// Wait of a receive, in seconds: with any wait, SQS queries all its servers.
const WAIT_SECONDS: i32 = 1;
/// The shortest visibility timeout of a receive.
const VISIBILITY_MIN: Duration = Duration::from_secs(30);

/// The dead-letter queue of a stage's queue.
#[derive(Debug)]
pub(crate) struct DeadLetterQueue {
    stage: StageName,
    source: Queue,
    reader: Reader,
}

/// Why messages could not be settled, by their index in the request.
pub(crate) type Failures = BTreeMap<usize, String>;

impl DeadLetterQueue {
    /// The dead-letter queue in the redrive policy of `source`, the queue of this stage.
    pub(crate) async fn open(stage: StageName, source: Queue) -> Result<Self, DeadLetterError> {
        let Some(target) = Policy::of(&source).await?.dead_letters else {
            return Err(DeadLetterError::NoQueue { queue: source.url().to_owned() });
        };
        let visibility = Policy::of(&target.queue).await?.visibility.clamp(VISIBILITY_MIN, VISIBILITY_MAX);
        Ok(Self { stage, source, reader: Reader::start(target.queue, visibility) })
    }

    /// Receives up to ten visible messages; none if the queue is empty, as far as SQS knows at this moment. They have the
    /// id and time that they had on their source queue.
    pub(crate) async fn receive(&self) -> Result<Vec<(Message, DeadLetter)>, QueueError> {
        let received = self.reader.receive(BATCH_ENTRIES_MAX, WAIT_SECONDS).await?;
        let read = |(message, text): Received| {
            let letter = dead_letter::read(self.stage, &message, &text);
            (message, letter)
        };
        Ok(received.into_iter().map(read).collect())
    }

    /// Sends messages to their source queue, without deleting them here.
    pub(crate) async fn redrive(&self, messages: &[Message]) -> Failures {
        let attributes: Vec<_> =
            messages.iter().map(|message| dead_letter::attributes(None, message)).collect();
        let outgoing = messages.iter().zip(&attributes);
        let outgoing: Vec<_> = outgoing
            .map(|(message, attributes)| Outgoing::new(&message.body, attributes, &message.trace))
            .collect();
        run(&self.source, &outgoing).await
    }

    /// Deletes messages.
    pub(crate) async fn delete(&self, messages: &[Message]) -> Failures {
        let receipts: Vec<_> = messages.iter().map(|message| &message.receipt).collect();
        run(&self.reader.queue, &receipts).await
    }

    /// Makes messages visible again at once. After a failed call, a message becomes visible after its timeout.
    pub(crate) async fn return_all(&self, messages: Vec<Message>) {
        let change = |message: &Message| VisibilityChange::new(message.receipt.shared(), Duration::ZERO);
        let changes: Vec<_> = messages.iter().map(change).collect();
        drop(messages); // Not extended from here on.
        self.reader.in_work.between_rounds().await;
        run(&self.reader.queue, &changes).await;
    }
}

async fn run<E: Entry>(queue: &Queue, entries: &[E]) -> Failures {
    let refused = batch::run(queue, entries, TRIES_MAX).await;
    refused.into_iter().map(|one| (one.index, chain(&one.error))).collect()
}
