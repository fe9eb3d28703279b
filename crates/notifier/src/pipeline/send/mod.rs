//! A broadcast in one process: the pipeline on the in-memory transport, for a terminal or a CI job.
//!
//! The first tasks are called while the others are still being discovered.
//!
//! | file | what it does |
//! | --- | --- |
//! | `mod` | hands deliveries to the workers, and collects what became of them |
//! | `discover` | discovers and records one cluster |
//! | `several` | the clusters of a broadcast, side by side |
//! | `waves` | hands a fleet over in waves, and decides after each |
//! | `earlier` | what an earlier run of the same broadcast has recorded |

mod discover;
mod earlier;
mod several;
mod waves;

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;
use wire::{Broadcast, ObserverMessage};

use super::ask::Asking;
use super::clusters::{self, Resolved};
use super::late::{self, KeepError, LateError};
use super::memory::{self, Steps, Workers};
use super::{Ctx, notify, trace_of};
use crate::base::spans::{Span, SpanKind};
use crate::base::text::printable;
use crate::base::trace::TraceContext;
use crate::deliver::{DeliveryJob, Next, Round};
use crate::fleet::{DiscoveryError, RecheckError};
use crate::ledger::{BroadcastRecord, LedgerError};
use crate::model::{Delivery, Found};
use crate::report::{Counts, Report};
use crate::rollout::{PaceError, Stopped};
use discover::{Discovery, Recipients};
use earlier::Earlier;
pub(super) use waves::Waves;

/// The most characters of a reason to cancel that an error repeats.
const REASON_CHARS_MAX: usize = 200;
/// Deliveries that wait between discovery and delivery; discovery waits while there are more.
const JOBS_WAITING_MAX: usize = 1_024;

/// Why a broadcast was not made, or not to every task.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The fleet cannot be found; no task was called. Of several clusters, the first error.
    #[error(transparent)]
    Discover(#[from] DiscoveryError),
    /// The rest of the fleet cannot be found. The tasks that were found before have been called.
    #[error("only a part of the fleet was found and called")]
    Incomplete {
        /// What became of the tasks that were found, and that the others are missing.
        report: Box<Report>,
        /// Why the others were not found.
        source: DiscoveryError,
    },
    /// The tasks of an earlier round cannot be looked up; no task was called.
    #[error("the tasks that were not notified cannot be found")]
    Recheck(#[source] RecheckError),
    /// The broadcast was cancelled, so no task was called.
    #[error("the broadcast was cancelled{}, so no task was called", because(reason))]
    Cancelled {
        /// The reason that was given; may be empty.
        reason: String,
    },
    /// The broadcast cannot be kept for tasks that start later; no task was called.
    #[error(transparent)]
    Late(#[from] LateError),
    /// The broadcast was stopped before, so no task was called.
    #[error("the broadcast was stopped {} ({}), so no task was called", .0.place(), printable(&.0.reason, REASON_CHARS_MAX))]
    Stopped(Stopped),
    /// It goes through its fleet in waves, and there are waves to come; no task was called.
    #[error(
        "the broadcast goes through its fleet in waves and has not ended: a container would be called before its wave"
    )]
    InWaves,
    /// The fleet cannot be called in these waves; no task was called.
    #[error(transparent)]
    Pace(#[from] PaceError),
    /// The event cannot be completed; no task was called.
    #[error("the event is not valid")]
    Event(#[from] wire::EventError),
    /// The ledger does not answer. Without it no task is called.
    #[error("the ledger cannot be used")]
    Ledger(#[from] LedgerError),
}

impl From<KeepError> for SendError {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Late(error) => Self::Late(error),
            KeepError::Discover(error) => Self::Discover(error),
            KeepError::Ledger(error) => Self::Ledger(error),
        }
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({})", printable(reason, REASON_CHARS_MAX)) }
}

/// Calls every endpoint of the scope, and waits until each delivery has ended.
///
/// A container that was notified of this broadcast before, as far as the ledger knows, is reported and not called again.
///
/// # Errors
///
/// [`SendError`] when the fleet cannot be found or the ledger not be used.
///
/// With [`cover`](ObserverMessage::cover) it stays open, and at the end of that time calls the tasks that have started
/// meanwhile.
pub async fn send(
    ctx: &Arc<Ctx>,
    scope: &ObserverMessage,
    broadcast: &Broadcast,
    asked_by: Option<String>,
) -> Result<Report, SendError> {
    send_as(ctx, scope, broadcast, asked_by, None).await
}

/// The same as a question, if so `asking`: the outcomes are there, and the report is empty.
pub(super) async fn send_as(
    ctx: &Arc<Ctx>,
    scope: &ObserverMessage,
    broadcast: &Broadcast,
    asked_by: Option<String>,
    asking: Option<Arc<Asking>>,
) -> Result<Report, SendError> {
    refuse_ended(ctx, broadcast).await?;
    late::check(ctx, scope)?;
    let is_open = scope.cover.is_some() || scope.retain.is_some();
    let waves = Waves::of(ctx, scope.pace.as_ref(), is_open)?.map(Arc::new);
    let broadcast = &late::expiring(broadcast.clone(), scope.retain.as_ref(), ctx.clock.now())?;
    let earlier = Earlier::load(ctx, broadcast).await?;
    let record = BroadcastRecord::new(scope, broadcast, ctx.clock.now(), asked_by);
    let resolved = clusters::resolve(ctx, scope).await?;
    if let Resolved::Several { scopes, .. } = &resolved
        && scopes.len() > 1
        && waves.as_ref().is_some_and(|waves| waves.plan.by_zone)
    {
        return Err(PaceError::Zones.into());
    }
    let trace = trace(ctx, broadcast);
    let (report, failed) = deliver_as(ctx, broadcast, trace, (waves, asking), |transport| async move {
        let to = Recipients { ctx, broadcast, trace, earlier: &earlier, transport: &transport };
        // Boxed: the types of nested futures would be too deep for the compiler.
        let failed = match resolved {
            Resolved::One => Discovery::new(to, scope, record).run().boxed().await,
            Resolved::Several { scopes, failed } => {
                several::discover(to, &record, scopes, failed).boxed().await
            }
        }?;
        if let Some(waves) = transport.waves() {
            waves.release(to).boxed().await?;
        }
        Ok(failed)
    })
    .await?;
    match failed {
        None => Ok(report),
        Some(source) => Err(SendError::Incomplete { report: Box::new(report), source }),
    }
}

/// The span of a broadcast in this process, in the trace of its event, else in a new one.
pub(super) fn trace(ctx: &Ctx, broadcast: &Broadcast) -> TraceContext {
    let rng = ctx.deliverer.rng();
    let start = || TraceContext::start(ctx.clock.unix_seconds(), rng);
    trace_of(&broadcast.event).unwrap_or_else(start).hop(rng)
}

/// Refuses a broadcast that was cancelled or stopped.
pub(super) async fn refuse_ended(ctx: &Ctx, broadcast: &Broadcast) -> Result<(), SendError> {
    if let Some(cancel) = ctx.ledger.cancelled(&broadcast.id).await? {
        return Err(SendError::Cancelled { reason: cancel.reason });
    }
    ctx.ledger.stopped(&broadcast.id).await?.map_or(Ok(()), |stopped| Err(SendError::Stopped(stopped)))
}

/// Delivers what `hand_over` gives to the transport, and waits until each delivery has ended. Returns what became of them,
/// and the result of `hand_over`, which drops the transport when no other delivery can come.
pub(super) async fn deliver<F: Future<Output = Result<T, SendError>>, T>(
    ctx: &Arc<Ctx>,
    broadcast: &Broadcast,
    trace: TraceContext,
    hand_over: impl FnOnce(Transport) -> F,
) -> Result<(Report, T), SendError> {
    deliver_as(ctx, broadcast, trace, (None, None), hand_over).await
}

async fn deliver_as<F: Future<Output = Result<T, SendError>>, T>(
    ctx: &Arc<Ctx>,
    broadcast: &Broadcast,
    trace: TraceContext,
    how: (Option<Arc<Waves>>, Option<Arc<Asking>>),
    hand_over: impl FnOnce(Transport) -> F,
) -> Result<(Report, T), SendError> {
    let (jobs, waiting) = mpsc::channel(JOBS_WAITING_MAX);
    let (waves, asking) = how;
    let deliveries = Deliveries {
        ctx: Arc::clone(ctx),
        broadcast: broadcast.clone(),
        trace,
        waves: waves.clone(),
        done: Mutex::default(),
        found: OnceLock::new(),
        asking,
    };
    let deliveries = Arc::new(deliveries);
    let options = ctx.deliverer.options();
    let workers = Workers { concurrency: options.concurrency, grace: options.grace, stop: ctx.stop.clone() };
    let (began, asked) = (ctx.clock.now(), tokio::time::Instant::now());
    // As a task, it runs on the threads of its workers: on the caller's thread, each of their messages would wake another one.
    let delivering = tokio::spawn(memory::run(workers, waiting, Arc::clone(&deliveries)));
    let delivering = AbortOnDropHandle::new(delivering);
    let transport = Transport { jobs, deliveries: Arc::clone(&deliveries) };
    let (handed_over, delivered) = tokio::join!(hand_over(transport), delivering);
    match delivered.map_err(JoinError::try_into_panic) {
        Ok(delivered) => delivered?,
        Err(Ok(panic)) => resume_unwind(panic),
        // The runtime ends, and this future with it.
        Err(Err(_)) => {}
    }
    let done = std::mem::take(&mut *deliveries.done());
    let stopped = waves.and_then(|waves| waves.stopped());
    let report = Report::new(broadcast.id.clone(), done).with_found(deliveries.found.get().copied());
    let (report, handed_over) = (report.with_stop(stopped), handed_over?);
    let counts = deliveries.asking.as_ref().map_or_else(|| report.counts(), |asking| asking.counts());
    record(ctx, broadcast, trace, counts, (began, asked.elapsed()));
    Ok((report, handed_over))
}

/// Records the span of a broadcast.
fn record(
    ctx: &Ctx,
    broadcast: &Broadcast,
    context: TraceContext,
    counts: Counts,
    (started, took): (OffsetDateTime, Duration),
) {
    let is_failed = counts.notified() < counts.total();
    let make = || Span {
        context,
        parent: trace_of(&broadcast.event).and_then(|event| event.span),
        is_parent_remote: true,
        links: Vec::new(),
        name: "broadcast".to_owned(),
        kind: SpanKind::Internal,
        started,
        took,
        attributes: vec![("ecs_task_notifier.broadcast", broadcast.id.as_str().into())],
        failure: is_failed
            .then(|| format!("{} of {} containers were notified", counts.notified(), counts.total())),
    };
    ctx.deliverer.spans().end(context, None, is_failed, make);
}

/// The way from discovery to the workers, and what they have done.
pub(super) struct Transport {
    jobs: mpsc::Sender<DeliveryJob>,
    deliveries: Arc<Deliveries>,
}

impl Transport {
    /// The waves of the broadcast, if it has some.
    pub(super) fn waves(&self) -> Option<&Waves> {
        self.deliveries.waves.as_deref()
    }

    /// Whether the workers take no delivery any more: they were interrupted, or the ledger has failed.
    fn is_closed(&self) -> bool {
        self.jobs.is_closed()
    }

    /// Waits until the workers take no delivery any more.
    async fn closed(&self) {
        self.jobs.closed().await;
    }

    /// Hands a delivery over, or keeps it for its wave.
    pub(super) async fn send(&self, job: DeliveryJob) -> Result<(), LedgerError> {
        match self.waves() {
            Some(waves) => {
                waves.stage(job);
                Ok(())
            }
            None => self.hand_over(job).await,
        }
    }

    /// Hands a delivery over, and waits while too many wait. One that the workers do not take any more, because they were
    /// interrupted, is recorded as such.
    async fn hand_over(&self, mut job: DeliveryJob) -> Result<(), LedgerError> {
        if let Some(asking) = &self.deliveries.asking {
            job = match asking.prepare(job) {
                Ok(job) => job,
                Err(skipped) => return self.deliveries.settle(*skipped).await,
            };
        }
        match self.jobs.send(job.in_trace(self.deliveries.trace)).await {
            Err(mpsc::error::SendError(job)) if self.deliveries.ctx.stop.is_cancelled() => {
                self.deliveries.settle(job.interrupted(false)).await
            }
            // The caller gets the error that ended the workers from them.
            _ => Ok(()),
        }
    }

    /// Takes note of how the tasks of the only cluster were found.
    pub(super) fn found(&self, found: Found) {
        // Nothing sets it twice.
        let _ = self.deliveries.found.set(found);
    }

    /// Adds a delivery that needs no call.
    pub(super) fn done(&self, delivery: Delivery) {
        self.deliveries.ended(delivery);
    }
}

/// The deliveries of one broadcast, as the workers make them.
struct Deliveries {
    ctx: Arc<Ctx>,
    broadcast: Broadcast,
    trace: TraceContext,
    waves: Option<Arc<Waves>>,
    done: Mutex<Vec<Delivery>>,
    /// How the tasks of the only cluster were found.
    found: OnceLock<Found>,
    /// Takes the outcomes instead, if the broadcast is a question.
    asking: Option<Arc<Asking>>,
}

impl Deliveries {
    fn done(&self) -> MutexGuard<'_, Vec<Delivery>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, delivery: Delivery) {
        match &self.asking {
            Some(asking) => asking.settled(delivery),
            None => self.done().push(delivery),
        }
    }
}

impl Steps for Deliveries {
    type Error = LedgerError;

    async fn advance(&self, job: &mut DeliveryJob) -> Result<Next, LedgerError> {
        if let Some(asking) = &self.asking {
            return Ok(asking.advance(&self.ctx, job).await);
        }
        if let Some(withheld) = self.waves.as_ref().and_then(|waves| waves.withheld(job)) {
            return Ok(Next::Settle(withheld));
        }
        notify::advance(&self.ctx, &self.broadcast, job, Round::default()).await
    }

    async fn settle(&self, delivery: Delivery) -> Result<(), LedgerError> {
        self.ended(delivery.clone());
        let settled = notify::settle(&self.ctx, &self.broadcast, self.trace.trace, delivery.clone()).await;
        if let Some(waves) = &self.waves {
            waves.settled(&delivery);
        }
        settled
    }
}
