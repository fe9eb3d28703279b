//! The three stages as functions of one message: what the daemon and the Lambda functions have in common.
//!
//! A stage reads a body, does its work, and answers with the bodies for the next queue. Who received the message, who
//! publishes the answer and who acknowledges is not its business.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;
use wire::{Broadcast, BroadcastId, Draft, Message, ObserverMessage, ServiceMessage, TaskMessage};

use crate::deliver::{Deliverer, Unfinished};
use crate::discover::{DiscoverError, Discovery};
use crate::fleet::{Endpoint, Fleet};
use crate::outcome::{DeliveryResult, Outcome, Settled, Skipped};
use crate::progress::{Progress, Step};

mod endpoint;

/// Everything that the stages need; made once per process and shared.
#[derive(Debug)]
pub struct Ctx {
    /// Stages 1 and 2.
    pub discovery: Discovery,
    /// Stage 3.
    pub deliverer: Deliverer,
    /// Who is told what happens.
    pub progress: Progress,
}

/// One of the three stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageName {
    /// Stage 1, service discovery: reads the observer queue.
    Services,
    /// Stage 2, task discovery: reads the services queue.
    Tasks,
    /// Stage 3, notify: reads the tasks queue.
    Notify,
}

impl StageName {
    /// The stage's name in logs and settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Tasks => "tasks",
            Self::Notify => "notify",
        }
    }
}

/// One message as a stage receives it, from SQS or from a Lambda event.
#[derive(Clone, Debug)]
pub struct Received {
    /// The SQS message id. It stays the same when the message is delivered again.
    pub id: String,
    /// The body.
    pub body: String,
    /// When the message was sent.
    pub sent: OffsetDateTime,
    /// How often it has been received, from 1.
    pub receives: u32,
}

/// Why a stage did not finish a message.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The body is not what the stage's queue carries.
    #[error("the message cannot be read")]
    Body(#[from] wire::BodyError),
    /// The event cannot be told.
    #[error("the event cannot be told")]
    Event(#[from] wire::EventError),
    /// The broadcast's id cannot be made from the id of the message.
    #[error("the message id cannot be a broadcast's id")]
    Id(#[from] wire::IdError),
    /// A field of a message for the notify stage is wrong.
    #[error("the message names no endpoint that may be called: {0}")]
    Endpoint(String),
    /// AWS could not be asked, or said no.
    #[error("the fleet cannot be found")]
    Discover(#[from] DiscoverError),
    /// The task said no, or the tries are used up. The outcome has been reported.
    #[error("the task was not told: {}", reason.as_deref().unwrap_or(outcome.as_str()))]
    NotTold {
        /// [`Outcome::Rejected`] or [`Outcome::Failed`].
        outcome: Outcome,
        /// Why.
        reason: Option<String>,
    },
    /// The time ran out before the delivery ended.
    #[error("the delivery did not end in time")]
    Unfinished(#[source] Unfinished),
}

impl StageError {
    /// Whether the same message would fail again: it belongs into the dead letters, with the reason.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Body(_) | Self::Event(_) | Self::Id(_) | Self::Endpoint(_) | Self::NotTold { .. } => true,
            Self::Discover(error) => error.is_final(),
            Self::Unfinished(_) => false,
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
            Self::NotTold { outcome, .. } => outcome.as_str(),
            Self::Unfinished(_) => "unfinished",
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
    message: &Received,
    deadline: Option<Instant>,
) -> Result<Vec<String>, StageError> {
    match stage {
        StageName::Services => services(ctx, message).await,
        StageName::Tasks => tasks(ctx, message).await,
        StageName::Notify => notify(ctx, message, deadline).await.map(|()| Vec::new()),
    }
}

async fn services(ctx: &Ctx, received: &Received) -> Result<Vec<String>, StageError> {
    let mut message = ObserverMessage::from_body(&received.body)?;
    let broadcast = broadcast(message.event.take().unwrap_or_default(), received)?;
    let found = ctx.discovery.services(&message, &broadcast).await?;
    let bodies = found.messages.iter().map(Message::to_body).collect::<Result<Vec<_>, _>>()?;
    for skip in found.skips {
        ctx.progress.tell(Step::Skipped(Skipped { broadcast: broadcast.id.clone(), skip }));
    }
    ctx.progress.tell(Step::Services {
        broadcast: broadcast.id,
        parts: bodies.len(),
        bystanders: found.bystanders,
    });
    Ok(bodies)
}

async fn tasks(ctx: &Ctx, received: &Received) -> Result<Vec<String>, StageError> {
    let mut message = ServiceMessage::from_body(&received.body)?;
    let broadcast = match message.broadcast.take() {
        Some(broadcast) => broadcast,
        None => broadcast(Draft::default(), received)?,
    };
    let Fleet { endpoints, skips, bystanders } = ctx.discovery.tasks(&message).await?;
    let bodies = endpoints
        .iter()
        .map(|endpoint| endpoint::message(endpoint, &broadcast).to_body())
        .collect::<Result<Vec<_>, _>>()?;
    for skip in skips {
        ctx.progress.tell(Step::Skipped(Skipped { broadcast: broadcast.id.clone(), skip }));
    }
    let service = message.service;
    ctx.progress.tell(Step::Tasks { broadcast: broadcast.id, service, endpoints, bystanders });
    Ok(bodies)
}

async fn notify(ctx: &Ctx, received: &Received, deadline: Option<Instant>) -> Result<(), StageError> {
    let mut message = TaskMessage::from_body(&received.body)?;
    let broadcast = match message.broadcast.take() {
        Some(broadcast) => broadcast,
        None => broadcast(Draft::default(), received)?,
    };
    let endpoint: Endpoint = endpoint::endpoint(message).map_err(StageError::Endpoint)?;
    let result = ctx
        .deliverer
        .deliver(&broadcast, &endpoint, &ctx.progress, deadline)
        .await
        .map_err(StageError::Unfinished)?;
    let DeliveryResult { outcome, reason, .. } = result.clone();
    ctx.progress.tell(Step::Settled(Settled { broadcast: broadcast.id, endpoint, result }));
    if outcome.is_told() { Ok(()) } else { Err(StageError::NotTold { outcome, reason }) }
}

/// The broadcast that a message asks for. What its event does not say comes from the message itself, which is the same
/// when it is received again.
fn broadcast(draft: Draft, received: &Received) -> Result<Broadcast, StageError> {
    let id = BroadcastId::try_from(received.id.clone())?;
    let event = draft.complete(&id, received.sent)?;
    Ok(Broadcast { id: event.id().clone(), event })
}
