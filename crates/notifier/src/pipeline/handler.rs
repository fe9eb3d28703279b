//! Processes a message: with a stage, or with a function.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};
use tracing::field::display;
use tracing::warn;

use super::{Ctx, Failure, Output, StageError, StageName};
use crate::base::text::chain;
use crate::queue::Message;

/// Waits between the attempts to record that a message was given up.
const NOTE_AGAIN_AFTER: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// The result of the work on a message: the messages that follow.
pub type Handled = Result<Output, Failure>;

/// How a message is processed.
pub enum Handler {
    /// By its stage, with records in the ledger.
    Stage(Arc<Ctx>),
    /// By this function, until the deadline.
    Function(Box<HandlerFunction>),
}

/// A function of a message and a deadline.
pub type HandlerFunction = dyn for<'a> Fn(&'a Message, Instant) -> BoxFuture<'a, Handled> + Send + Sync;

impl Handler {
    pub(super) async fn run(&self, stage: StageName, message: &Message, deadline: Instant) -> Handled {
        match self {
            Self::Stage(ctx) => Ok(super::run(ctx, stage, message, Some(deadline)).await?),
            Self::Function(function) => function(message, deadline).await,
        }
    }

    /// Records that the bodies that result from a message are on the next queue. Without the record, a repeated run
    /// publishes them again, so an unavailable ledger is not a failure.
    pub(super) async fn published(&self, stage: StageName, message: &Message, bodies: &[&str]) {
        let Self::Stage(ctx) = self else { return };
        let Some(published) = stage.stage().published.filter(|_| ctx.ledger.is_kept()) else { return };
        if let Err(error) = published(ctx, message, bodies).await {
            let (stage, id, error) = (stage.as_str(), message.message_id.as_str(), chain(&error));
            let trace_id = message.trace_id().map(display);
            warn!(stage, message.id = id, trace_id, error, "The ledger did not record what was queued");
        }
    }

    /// Records that a message was given up before it becomes a dead letter, unless the ledger has its outcome.
    ///
    /// Retries a few times: no later step would record it, and reports would show the containers as pending for ever.
    pub(super) async fn given_up(&self, stage: StageName, message: &Message, failure: &Failure) {
        let Self::Stage(ctx) = self else { return };
        if failure.is_recorded || !ctx.ledger.is_kept() {
            return;
        }
        let mut waits = NOTE_AGAIN_AFTER.into_iter();
        while let Err(error) = (stage.stage().given_up)(ctx, message, &failure.reason).await {
            match (&error, waits.next()) {
                (StageError::Ledger(ledger), Some(wait)) if !ledger.is_final() => sleep(wait).await,
                _ => {
                    let (stage, id, error) = (stage.as_str(), message.id.as_str(), chain(&error));
                    warn!(
                        stage,
                        message.id = id,
                        trace_id = message.trace_id().map(display),
                        error,
                        "The ledger did not record that the message was given up"
                    );
                    return;
                }
            }
        }
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage(ctx) => f.debug_tuple("Stage").field(ctx).finish(),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}
