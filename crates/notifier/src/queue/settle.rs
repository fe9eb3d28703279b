//! Messages that are done with, gathered over time so that ten share one call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, warn};

use super::batch::{self, Answer, Call, EntryError};
use super::limits::{BATCH_ENTRIES_MAX, BATCHES_AT_ONCE, LINGER, SETTLED_WAITING_MAX, TRIES_MAX};
use super::visibility::{Change, ChangeVisibility, InWork, Receipt};
use super::{Queue, QueueError};

/// A message to settle. While its lease is there it is kept invisible, however long SQS cannot be reached.
type Item<E> = (E, Option<Receipt>);

/// Settles messages by one batch operation, in the background.
#[derive(Debug)]
pub(super) struct Collector<E> {
    sender: Mutex<Option<mpsc::Sender<Item<E>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<E: Send + Sync + 'static> Collector<E> {
    pub(super) fn start<C: Call<Entry = E> + Settle + 'static>(call: C) -> Self {
        let (sender, receiver) = mpsc::channel(SETTLED_WAITING_MAX);
        let task = tokio::spawn(collect(Arc::new(call), receiver));
        Self { sender: Mutex::new(Some(sender)), task: Mutex::new(Some(task)) }
    }

    /// Takes a message over; waits while too many are waiting already. After [`close`](Self::close) it is let go, and
    /// comes back when its visibility ends.
    pub(super) async fn add(&self, entry: E, lease: Option<Receipt>) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sender) = sender {
            // It fails only when the task is gone, and then the message comes back by itself.
            let _ = sender.send((entry, lease)).await;
        }
    }

    /// Settles what is waiting, without lingering; whether that was done within `limit`.
    pub(super) async fn close(&self, limit: Duration) -> bool {
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        match task {
            Some(mut task) => {
                let ended = timeout(limit, &mut task).await.is_ok();
                task.abort();
                ended
            }
            None => true,
        }
    }
}

/// What a batch operation does to messages, in words.
pub(super) trait Settle {
    /// The queue that it works on.
    fn queue(&self) -> &Queue;

    /// What happens to a message that it could not settle.
    const OTHERWISE: &'static str;
}

async fn collect<C: Call + Settle + 'static>(call: Arc<C>, mut receiver: mpsc::Receiver<Item<C::Entry>>) {
    let mut jobs = JoinSet::new();
    while let Some(first) = receiver.recv().await {
        let batch = gather(first, &mut receiver).await;
        while jobs.len() >= BATCHES_AT_ONCE {
            jobs.join_next().await;
        }
        while jobs.try_join_next().is_some() {}
        jobs.spawn(settle(Arc::clone(&call), batch));
    }
    while jobs.join_next().await.is_some() {}
}

async fn gather<E>(first: Item<E>, receiver: &mut mpsc::Receiver<Item<E>>) -> Vec<Item<E>> {
    let until = Instant::now() + LINGER;
    let mut batch = vec![first];
    while batch.len() < BATCH_ENTRIES_MAX {
        match timeout_at(until, receiver.recv()).await {
            Ok(Some(item)) => batch.push(item),
            Ok(None) | Err(_) => break,
        }
    }
    batch
}

async fn settle<C: Call + Settle>(call: Arc<C>, batch: Vec<Item<C::Entry>>) {
    let (entries, leases): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let queue = call.queue();
    for one in batch::run(&*call, &entries, TRIES_MAX, queue.rng()).await {
        let error = crate::base::text::chain(&one.error);
        if is_stale(&one.error) {
            debug!(queue = queue.name(), error, "A message was settled too late: it is not ours any more");
        } else {
            warn!(queue = queue.name(), error, "A message {}", C::OTHERWISE);
        }
    }
    drop(leases);
}

/// Whether SQS says that the message has gone to somebody else, or is gone.
fn is_stale(error: &EntryError) -> bool {
    matches!(error, EntryError::Entry { code, .. }
        if code.ends_with("ReceiptHandleIsInvalid") || code.ends_with("MessageNotInflight"))
}

/// `DeleteMessageBatch`.
pub(super) struct Delete(pub(super) Queue);

impl Settle for Delete {
    const OTHERWISE: &'static str = "is done but was not deleted; it will be delivered again";

    fn queue(&self) -> &Queue {
        &self.0
    }
}

impl Call for Delete {
    type Entry = Arc<str>;

    fn bytes(&self, _: &Arc<str>) -> usize {
        0
    }

    async fn call(&self, batch: Vec<(String, &Arc<str>)>) -> Result<Answer, QueueError> {
        const OPERATION: &str = "DeleteMessageBatch";
        let Self(queue) = self;
        let entry = |(id, receipt): (String, &Arc<str>)| {
            DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(&**receipt).build()
        };
        let entries = batch.into_iter().map(entry).collect::<Result<_, _>>();
        let entries = entries.map_err(|error| QueueError::incomplete(queue.url(), OPERATION, error))?;
        let call = queue.client().delete_message_batch().queue_url(queue.url()).set_entries(Some(entries));
        let answer = queue.call(OPERATION, call.send()).await?;
        let successful = answer.successful.into_iter().map(|entry| entry.id).collect();
        Ok(Answer { successful, failed: answer.failed })
    }
}

/// Makes messages visible again, now or a little later.
pub(super) struct HandBack {
    pub(super) change: ChangeVisibility,
    pub(super) in_work: Arc<InWork>,
}

impl Settle for HandBack {
    const OTHERWISE: &'static str = "could not be handed back; it comes back when its visibility ends";

    fn queue(&self) -> &Queue {
        &self.change.0
    }
}

impl Call for HandBack {
    type Entry = Change;

    fn bytes(&self, change: &Change) -> usize {
        self.change.bytes(change)
    }

    async fn call(&self, batch: Vec<(String, &Change)>) -> Result<Answer, QueueError> {
        // An extension that is still under way would hide the message again.
        drop(self.in_work.round.lock().await);
        self.change.call(batch).await
    }
}
