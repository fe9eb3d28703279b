//! The stages as functions of one message, for the daemon and the Lambda functions.
//!
//! A stage reads a body, does its work, and returns the bodies for the next queue. It does not receive, publish or
//! delete messages.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use wire::event::Extension;
use wire::{Broadcast, BroadcastId, Draft, Event};

use crate::base::Clock;
use crate::base::trace::TraceContext;
use crate::deliver::{Deliverer, Unfinished};
use crate::fleet::registry::{Registry, RegistryError, SweepError, TaskEventError};
use crate::fleet::{Discovery, DiscoveryError};
use crate::ledger::{Ledger, LedgerError};
use crate::model::Outcome;
use crate::model::Progress;
use crate::queue::Message;
use crate::rollout::PaceError;
use crate::sources::{RouteError, SourceError};

mod alarms;
pub mod ask;
pub(crate) mod clusters;
mod coalesce;
mod discovery;
pub(crate) mod endpoint;
pub(crate) mod failure;
mod gate;
mod handler;
pub mod late;
pub mod memory;
mod notify;
mod observe;
mod output;
mod overdue;
mod part;
pub mod redrive;
mod register;
pub mod resend;
mod routing;
pub mod send;
mod senders;
pub mod spans;
mod stages;
mod untrusted;
mod work;

pub use alarms::{ALARMS_KEPT, AlarmReader};
pub use clusters::Plan;
pub use failure::{Failure, Retry};
pub use handler::{Handled, Handler, HandlerFunction};
pub use output::Output;
pub use overdue::is_overdue;
pub use routing::Routing;
pub use senders::Senders;
pub use stages::{QueueName, STAGES, Stage};
pub use work::{DEADLINE_SLACK, Disposition, FinalFailure, Work};

pub use crate::model::StageName;

/// The shared parts of the stages, created once per process.
#[derive(Debug)]
pub struct Ctx {
    /// Stages 1 and 2.
    pub discovery: Arc<Discovery>,
    /// Stage 3.
    pub deliverer: Deliverer,
    /// Records every outcome.
    pub ledger: Ledger,
    /// The registry of tasks, if there is one.
    pub registry: Option<Registry>,
    /// The alarms that stop broadcasts.
    pub alarms: AlarmReader,
    /// The rules that make broadcasts from records of sources.
    pub routes: Routing,
    /// Receives progress events.
    pub progress: Progress,
    /// The trusted senders of the inner queues.
    pub senders: Senders,
    /// The clock, for the age of messages.
    pub clock: Clock,
    /// When cancelled, [`send`] begins no attempt, and ends within a short grace.
    pub stop: CancellationToken,
    /// Number of messages so far from senders that are not trusted.
    untrusted: AtomicU64,
    /// The windows of events that coalesce.
    windows: coalesce::Windows,
}

impl Ctx {
    /// Time since a moment; `None` if it is later than now.
    fn age(&self, since: OffsetDateTime) -> Option<Duration> {
        Duration::try_from(self.clock.now() - since).ok()
    }

    /// The stages with these parts. `discovery` looks a task up before it is called again, and before its first call
    /// unless a [trusted sender](Self::senders) sent the message.
    pub fn new(
        discovery: Discovery,
        mut deliverer: Deliverer,
        ledger: Ledger,
        progress: Progress,
        clock: Clock,
    ) -> Self {
        let discovery = Arc::new(discovery);
        deliverer.discovery = Some(Arc::clone(&discovery));
        Self {
            discovery,
            deliverer,
            ledger,
            registry: None,
            alarms: AlarmReader::default(),
            routes: Routing::default(),
            progress,
            senders: Senders::default(),
            clock,
            stop: CancellationToken::new(),
            untrusted: AtomicU64::new(0),
            windows: coalesce::Windows::default(),
        }
    }
}

/// Why a stage did not finish a message.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum StageError {
    #[error("the message cannot be read")]
    Body(#[from] wire::BodyError),
    #[error("the message cannot be read")]
    Source(#[from] SourceError),
    #[error("no routes are set, so the event of another source is not broadcast: set NOTIFIER_ROUTES")]
    NoRoutes,
    #[error("route `{rule}` cannot make an event")]
    Route { rule: String, source: RouteError },
    #[error("the event is not valid")]
    Event(#[from] wire::EventError),
    #[error("the message id is not valid as a broadcast id")]
    Id(#[from] wire::IdError),
    #[error("the message names {named} tasks, but a page has at most {}", wire::PAGE_TASKS_MAX)]
    Page { named: usize },
    #[error(transparent)]
    Late(#[from] late::LateError),
    #[error(transparent)]
    Pace(#[from] PaceError),
    #[error("the message has no valid endpoint: {0}")]
    Endpoint(String),
    #[error("the fleet cannot be found")]
    Discover(#[from] DiscoveryError),
    /// The task rejected the event, or no attempts are left. The outcome is recorded.
    #[error("the task was not notified: {}", reason.as_deref().unwrap_or(outcome.as_str()))]
    NotNotified { outcome: Outcome, reason: Option<String> },
    #[error(transparent)]
    Unfinished(Unfinished),
    /// The ledger is not available. Some results may not be recorded, so the message stays on its queue.
    #[error("the ledger cannot be used")]
    Ledger(#[from] LedgerError),
    #[error("the message cannot be read")]
    TaskEvent(#[from] TaskEventError),
    #[error(
        "no registry is set, so events of tasks are not kept: set NOTIFIER_REGISTRY_CLUSTERS and NOTIFIER_LEDGER"
    )]
    NoRegistry,
    #[error("the registry cannot be used")]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Sweep(#[from] SweepError),
}

impl StageError {
    /// Whether the same message would fail again: it becomes a dead letter, with the reason.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Body(_)
            | Self::Source(_)
            | Self::NoRoutes
            | Self::Route { .. }
            | Self::Event(_)
            | Self::Id(_)
            | Self::Page { .. }
            | Self::Late(_)
            | Self::Pace(_)
            | Self::Endpoint(_)
            | Self::NotNotified { .. }
            | Self::TaskEvent(_)
            | Self::NoRegistry
            | Self::Sweep(SweepError::NotRegistered(_)) => true,
            Self::Discover(error) | Self::Sweep(SweepError::Discovery(error)) => error.is_final(),
            Self::Unfinished(_) | Self::Ledger(_) | Self::Registry(_) | Self::Sweep(_) => false,
        }
    }

    /// A stable word for the kind of error, for scripts and alarms.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Body(_) | Self::Page { .. } => "body",
            Self::Source(_) => "source",
            Self::NoRoutes => "no-routes",
            Self::Route { .. } => "route",
            Self::Event(_) => "event",
            Self::Id(_) => "id",
            Self::Endpoint(_) => "endpoint",
            Self::Discover(error) | Self::Sweep(SweepError::Discovery(error)) => error.code(),
            Self::TaskEvent(_) => "task-event",
            Self::NoRegistry => "no-registry",
            Self::Sweep(SweepError::NotRegistered(_)) => "not-registered",
            Self::Sweep(SweepError::NotDescribed { .. }) => "not-described",
            Self::Late(_) => "late",
            Self::Pace(_) => "pace",
            Self::NotNotified { outcome, .. } => outcome.as_str(),
            Self::Unfinished(_) => "unfinished",
            Self::Ledger(_) | Self::Registry(_) | Self::Sweep(_) => "ledger",
        }
    }
}

impl From<late::KeepError> for StageError {
    fn from(error: late::KeepError) -> Self {
        match error {
            late::KeepError::Late(error) => Self::Late(error),
            late::KeepError::Discover(error) => Self::Discover(error),
            late::KeepError::Ledger(error) => Self::Ledger(error),
        }
    }
}

/// Runs one message through one stage, and returns the messages that follow; notify returns none.
///
/// A repeated run of the same message creates the same ids, so every receiver recognises the repeat. Work that would
/// exceed the `deadline` ends with [`StageError::Unfinished`].
///
/// # Errors
///
/// [`StageError`]; [`StageError::is_final`] says whether a retry is useless.
pub async fn run(
    ctx: &Ctx,
    stage: StageName,
    message: &Message,
    deadline: Option<Instant>,
) -> Result<Output, StageError> {
    if is_keep_warm(&message.body) {
        debug!(
            stage = stage.as_str(),
            message.id = message.id,
            trace_id = message.trace_id().map(display),
            "Keep-warm message"
        );
        let next: Vec<_> = stage.stage().next.map(|_| message.body.clone()).into_iter().collect();
        return Ok(next.into());
    }
    (stage.stage().run)(ctx, message, deadline).await
}

/// The span of the work that this message asks for, in the trace of its event, else of the message, else in a new one.
fn span(ctx: &Ctx, event: &Event, received: &Message) -> TraceContext {
    let known = TraceContext::of_event_or_message(trace_of(event), received.trace_context());
    let start = || TraceContext::start(received.queued.unix_timestamp(), ctx.deliverer.rng());
    let known = known.unwrap_or_else(start);
    received.processing(known).unwrap_or_else(|| known.hop(ctx.deliverer.rng()))
}

/// The trace that an event started in: its extension attribute `traceparent`.
fn trace_of(event: &Event) -> Option<TraceContext> {
    match event.extensions().get("traceparent") {
        Some(Extension::Text(text)) => TraceContext::from_traceparent(text),
        _ => None,
    }
}

/// The broadcast that a message requests. Missing attributes of the event come from the message, so they are the same
/// after another receive.
fn broadcast(draft: Draft, message: &Message) -> Result<Broadcast, StageError> {
    complete(draft, &message.id, message.sent)
}

/// The broadcast of a message with this id, sent at this time.
fn complete(draft: Draft, id: &str, sent: OffsetDateTime) -> Result<Broadcast, StageError> {
    let id = BroadcastId::try_from(id.to_owned())?;
    Ok(Broadcast::new(draft.complete(&id, sent)?))
}

/// The whole body of the keep-warm message, which passes through all stages of an idle installation without any work:
/// Lambda makes a function in a VPC inactive after weeks without a call, and the first call afterwards fails. An object
/// with other fields is an ordinary message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepWarm {
    keep_warm: bool,
}

/// Whether a body is the keep-warm message, on any queue.
fn is_keep_warm(body: &str) -> bool {
    serde_json::from_str(body).is_ok_and(|KeepWarm { keep_warm }| keep_warm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_keep_warm_message_is_one() {
        assert!(is_keep_warm(r#"{"keep_warm":true}"#) && is_keep_warm(" { \"keep_warm\" : true }\n"));
        for body in [
            "",
            "true",
            "{}",
            r#"{"keep_warm":false}"#,
            r#"{"keep_warm":"true"}"#,
            r#"{"cluster":"prod"}"#,
            r#"{"keep_warm":true,"cluster":"prod"}"#,
            r#"[{"keep_warm":true}]"#,
        ] {
            assert!(!is_keep_warm(body), "{body}");
        }
    }
}
