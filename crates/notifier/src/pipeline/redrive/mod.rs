//! Sends dead letters back to their queues, or drops them.
//!
//! A message is sent to its source queue before it is deleted from the dead-letter queue: a crash in between makes a
//! duplicate with the same id, and never a loss. The ledger is written before that, so that no outcome of the new attempt
//! is overwritten.
//!
//! | file | job |
//! | --- | --- |
//! | `mod` | reads every dead letter of a stage once |
//! | `filter` | filters dead letters, and counts them by kind (pure) |
//! | `run` | settles each match in the ledger and on its queue |

mod filter;
mod run;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

pub use filter::{Filter, Inventory};

use self::run::Run;
use crate::ledger::Ledger;
use crate::model::{DeadLetter, Delivery, StageName};
use crate::queue::{DeadLetterError, DeadLetterQueue, Queue, QueueError};

/// Dead letters that one run reads.
pub const DEAD_LETTERS_MAX: usize = 10_000;
/// How long one run reads dead letters.
pub const TIME_MAX: Duration = Duration::from_mins(15);
/// SQS may return no message although there are some. After this number of empty receives in a row, the queue is empty.
const EMPTY_RECEIVES_MAX: u32 = 2;

/// What to do with the dead letters that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Only list them.
    List,
    /// Send them to their source queue.
    Redrive,
    /// Delete them.
    Drop {
        /// Why, for the report.
        reason: String,
    },
}

/// A dead letter that matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The dead letter.
    pub letter: DeadLetter,
    /// Its delivery in the ledger, if there is a ledger.
    pub state: Option<Delivery>,
    /// What was done with it.
    pub status: LetterStatus,
}

/// What was done with a dead letter that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LetterStatus {
    /// It was only listed.
    Listed,
    /// It is back on its source queue.
    Redriven,
    /// It was deleted.
    Dropped,
    /// Its container had been notified in the meantime, so it was only deleted.
    AlreadyNotified,
    /// It is still in the dead-letter queue, for this reason.
    Failed(String),
}

/// The result of a run.
#[derive(Debug)]
pub struct Redrive {
    /// Every dead letter that matched.
    pub found: Vec<Match>,
    /// How many were read. A message that failed again in the meantime counts once.
    pub seen: usize,
    /// Their kinds.
    pub inventory: Inventory,
    /// Whether there may be more dead letters: [`DEAD_LETTERS_MAX`] or [`TIME_MAX`] was reached.
    pub is_cut: bool,
    /// The error that ended the run early.
    pub error: Option<QueueError>,
}

/// Reads every dead letter of a stage's queue once, and takes the action on those that match. All others are invisible to
/// other readers in the meantime, and visible again at the end.
///
/// A failure of one dead letter is in its [`LetterStatus`] and does not stop the run.
///
/// # Errors
///
/// [`DeadLetterError`], if the dead-letter queue cannot be opened.
pub async fn run(
    stage: StageName,
    source: Queue,
    filter: &Filter,
    action: &Action,
    ledger: &Ledger,
) -> Result<Redrive, DeadLetterError> {
    let queue = &DeadLetterQueue::open(stage, source).await?;
    let mut run = Run { stage, queue, action, ledger, found: Vec::new(), kept: Vec::new() };
    let until = Instant::now() + TIME_MAX;
    let (mut ids, mut seen, mut inventory) = (HashSet::new(), 0, Inventory::default());
    let (mut read, mut empty, mut error, mut is_cut) = (0, 0, None, false);
    while empty < EMPTY_RECEIVES_MAX {
        if read >= DEAD_LETTERS_MAX || Instant::now() >= until {
            is_cut = true;
            break;
        }
        let batch = match queue.receive().await {
            Ok(batch) => batch,
            Err(failed) => {
                error = Some(failed);
                break;
            }
        };
        empty = if batch.is_empty() { empty + 1 } else { 0 };
        read += batch.len();
        let states = join_all(batch.iter().map(|(message, _)| run.state(message))).await;
        let mut matches = Vec::new();
        for ((message, letter), state) in batch.into_iter().zip(states) {
            let found = Match::new(letter, state);
            // A message that failed again in the meantime is left for another run.
            let is_new = message.id.is_empty() || ids.insert(message.id.clone());
            if is_new {
                seen += 1;
                inventory.add(&found);
            }
            if is_new && filter.matches(&found) {
                matches.push((found, message));
            } else {
                run.keep(message);
            }
        }
        run.settle(matches).await;
    }
    let Run { found, kept, .. } = run;
    queue.return_all(kept).await;
    Ok(Redrive { found, seen, inventory, is_cut, error })
}
