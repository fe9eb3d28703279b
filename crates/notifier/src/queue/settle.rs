//! Deletes and returns received messages in the background, in batches of ten.

use std::sync::Arc;

use tracing::{debug, warn};

use super::Queue;
use super::batch::{self, EntryError, NotAccepted};
use super::limits::{BATCH_ENTRIES_MAX, BATCHES_AT_ONCE, LINGER, SETTLED_WAITING_MAX, TRIES_MAX};
use super::operations::VisibilityChange;
use super::visibility::{InWork, Receipt};
use crate::base::batcher::{BatchLimits, Batcher};
use crate::base::text::chain;

const LIMITS: BatchLimits = BatchLimits {
    items_max: BATCH_ENTRIES_MAX,
    at_once_max: BATCHES_AT_ONCE,
    linger: LINGER,
    waiting_max: SETTLED_WAITING_MAX,
};

/// Deletes messages. Each stays invisible until its delete succeeds, however long SQS cannot be reached.
pub(super) fn deletes(queue: Queue) -> Batcher<Receipt> {
    Batcher::new(LIMITS, move |receipts: Vec<Receipt>| {
        let queue = queue.clone();
        async move {
            let failed = batch::run(&queue, &receipts.iter().collect::<Vec<_>>(), TRIES_MAX).await;
            log(&queue, &failed, "A message is done but was not deleted; it will be delivered again");
        }
    })
}

/// Makes messages visible again, now or a little later.
pub(super) fn returns(queue: Queue, in_work: Arc<InWork>) -> Batcher<VisibilityChange> {
    Batcher::new(LIMITS, move |changes: Vec<VisibilityChange>| {
        let (queue, in_work) = (queue.clone(), Arc::clone(&in_work));
        async move {
            in_work.between_rounds().await;
            let failed = batch::run(&queue, &changes, TRIES_MAX).await;
            log(&queue, &failed, "A message comes back only when its visibility timeout ends");
        }
    })
}

fn log(queue: &Queue, failed: &[NotAccepted], what: &str) {
    for NotAccepted { error, .. } in failed {
        let (queue, text) = (queue.name(), chain(error));
        if is_stale(error) {
            debug!(
                queue,
                error = text,
                "A message was settled too late: another consumer has it, or it was deleted"
            );
        } else {
            warn!(queue, error = text, "{what}");
        }
    }
}

/// Whether the message was delivered again meanwhile, or no longer exists.
fn is_stale(error: &EntryError) -> bool {
    matches!(error, EntryError::Entry { code, .. }
        if code.ends_with("ReceiptHandleIsInvalid") || code.ends_with("MessageNotInflight"))
}
