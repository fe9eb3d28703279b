//! The three stages as functions of one message: what the daemon and the Lambda functions have in common.
//!
//! A stage reads a body, does its work, and answers with the bodies for the next queue. Who received the message, who
//! publishes the answer and who acknowledges is not its business.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use wire::{Broadcast, BroadcastId, Draft};

use crate::base::Clock;
use crate::deliver::{Deliverer, Unfinished};
use crate::fleet::{Discovery, DiscoveryError};
use crate::ledger::{Ledger, LedgerError};
use crate::model::Outcome;
use crate::model::Progress;
use crate::queue::Message;

mod discovery;
pub(crate) mod endpoint;
pub(crate) mod failure;
mod handler;
mod keep_warm;
pub mod memory;
mod notify;
mod overdue;
pub mod redrive;
pub mod resend;
pub mod send;
mod senders;
mod stages;
mod untrusted;
mod work;

pub use failure::{Failure, Retry};
pub use handler::{Handled, Handler, HandlerFunction};
pub use overdue::is_overdue;
pub use senders::Senders;
pub use stages::{QueueName, STAGES, Stage};
pub use work::{DEADLINE_SLACK, Disposition, FinalFailure, Work};

pub use crate::model::StageName;

/// Waits before a record of what was given up is tried again.
const NOTE_AGAIN_AFTER: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// Everything that the stages need; made once per process and shared.
#[derive(Debug)]
pub struct Ctx {
    /// Stages 1 and 2.
    pub discovery: Arc<Discovery>,
    /// Stage 3.
    pub deliverer: Deliverer,
    /// Where every outcome is kept.
    pub ledger: Ledger,
    /// Receives what happens.
    pub progress: Progress,
    /// The trusted senders of the inner queues.
    pub senders: Senders,
    /// Tells how old messages are.
    pub clock: Clock,
    /// When cancelled, [`send`] begins no attempt.
    pub stop: CancellationToken,
    /// Messages so far from senders that are not trusted.
    untrusted: AtomicU64,
}

impl Ctx {
    /// The stages on these parts. A task is looked up by `discovery` before it is called again, and before its first call
    /// when no [trusted sender](Self::trusting) sent the message.
    #[must_use]
    pub fn new(
        discovery: Discovery,
        deliverer: Deliverer,
        ledger: Ledger,
        progress: Progress,
        clock: Clock,
    ) -> Self {
        let discovery = Arc::new(discovery);
        let deliverer = deliverer.rechecking(Arc::clone(&discovery));
        Self {
            discovery,
            deliverer,
            ledger,
            progress,
            senders: Senders::default(),
            clock,
            stop: CancellationToken::new(),
            untrusted: AtomicU64::new(0),
        }
    }

    /// Trusts what these send to the inner queues.
    #[must_use]
    pub fn trusting(mut self, senders: Senders) -> Self {
        self.senders = senders;
        self
    }

    /// Begins no attempt once `stop` is cancelled: [`send`] then ends within a short grace.
    #[must_use]
    pub fn until(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// Counts a message from a sender that is not trusted, from 1.
    fn count_untrusted(&self) -> u64 {
        self.untrusted.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Why a stage did not finish a message.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum StageError {
    #[error("the message cannot be read")]
    Body(#[from] wire::BodyError),
    #[error("the event cannot be told")]
    Event(#[from] wire::EventError),
    #[error("the message id cannot be a broadcast's id")]
    Id(#[from] wire::IdError),
    #[error("the message names no endpoint that may be called: {0}")]
    Endpoint(String),
    #[error("the fleet cannot be found")]
    Discover(#[from] DiscoveryError),
    /// The task said no, or the tries are used up. The outcome has been reported.
    #[error("the task was not notified: {}", reason.as_deref().unwrap_or(outcome.as_str()))]
    NotNotified { outcome: Outcome, reason: Option<String> },
    #[error(transparent)]
    Unfinished(Unfinished),
    /// The ledger does not answer. What happened may not be recorded, so the message stays.
    #[error("the ledger cannot be used")]
    Ledger(#[from] LedgerError),
}

impl StageError {
    /// Whether the same message would fail again: it belongs into the dead letters, with the reason.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Body(_) | Self::Event(_) | Self::Id(_) | Self::Endpoint(_) | Self::NotNotified { .. } => {
                true
            }
            Self::Discover(error) => error.is_final(),
            Self::Unfinished(_) | Self::Ledger(_) => false,
        }
    }

    /// When trying again makes sense, if the error tells.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unfinished(unfinished) => unfinished.retry_after(),
            _ => None,
        }
    }

    /// A stable word for the kind of error, for scripts and alarms.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Body(_) => "body",
            Self::Event(_) => "event",
            Self::Id(_) => "id",
            Self::Endpoint(_) => "endpoint",
            Self::Discover(error) => error.code(),
            Self::NotNotified { outcome, .. } => outcome.as_str(),
            Self::Unfinished(_) => "unfinished",
            Self::Ledger(_) => "ledger",
        }
    }
}

/// Runs one message through one stage; the answer is the bodies for the next stage's queue, none after notify.
///
/// Running the same message again gives the same ids, so a repeat is recognisable all the way to the task. With a
/// `deadline`, work that would pass it is handed back as [`StageError::Unfinished`].
///
/// # Errors
///
/// [`StageError`]; [`StageError::is_final`] tells a message that will never work from one to try again.
pub async fn run(
    ctx: &Ctx,
    stage: StageName,
    message: &Message,
    deadline: Option<Instant>,
) -> Result<Vec<String>, StageError> {
    if keep_warm::is_keep_warm(&message.body) {
        debug!(stage = stage.as_str(), message.id = message.id, "A message that keeps the stages warm");
        return Ok(stage.stage().next.map(|_| message.body.clone()).into_iter().collect());
    }
    (stage.stage().run)(ctx, message, deadline).await
}

/// Records that these bodies, which followed from a message, are on the next queue: when the same message is received
/// again, because its process was killed before it could be deleted, they are not queued a second time.
///
/// # Errors
///
/// When the ledger does not answer. Then they may be queued again.
pub async fn published(
    ctx: &Ctx,
    stage: StageName,
    message: &Message,
    bodies: &[&str],
) -> Result<(), StageError> {
    match stage.stage().published {
        Some(published) if ctx.ledger.is_kept() => published(ctx, message, bodies).await,
        _ => Ok(()),
    }
}

/// Records that a message was given up, before it goes to the dead letters: whoever it was for was not told.
///
/// Tried a few times: nobody comes back to record it later, and a report would wait for it for ever.
pub async fn given_up(
    ctx: &Ctx,
    stage: StageName,
    message: &Message,
    reason: &str,
) -> Result<(), StageError> {
    if !ctx.ledger.is_kept() {
        return Ok(());
    }
    let mut waits = NOTE_AGAIN_AFTER.into_iter();
    loop {
        let noted = (stage.stage().given_up)(ctx, message, reason).await;
        match (&noted, waits.next()) {
            (Err(StageError::Ledger(error)), Some(wait)) if !error.is_final() => sleep(wait).await,
            _ => return noted,
        }
    }
}

/// The broadcast that a message asks for. What its event does not say comes from the message itself, which is the same
/// when it is received again.
fn broadcast(draft: Draft, message: &Message) -> Result<Broadcast, StageError> {
    complete(draft, &message.id, message.sent)
}

/// The broadcast of a message with this id, sent at this time.
fn complete(draft: Draft, id: &str, sent: OffsetDateTime) -> Result<Broadcast, StageError> {
    let id = BroadcastId::try_from(id.to_owned())?;
    Ok(Broadcast::new(draft.complete(&id, sent)?))
}
