//! Stage 3: one delivery. The ledger is read before the delivery and written after it.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;
use tracing::{debug, warn};
use wire::{Broadcast, Draft, Message, ObserverMessage, TaskMessage};

use super::{Ctx, StageError, broadcast, endpoint, span, untrusted};
use crate::base::text::chain;
use crate::base::trace::TraceId;
use crate::deliver::{AttemptError, DeliveryJob, Next, Round, Unfinished};
use crate::ledger::{BroadcastRecord, LedgerError, Withheld};
use crate::model::{Cause, Delivery, Endpoint, Outcome, ProgressEvent};
use crate::queue;

/// After this time, the address may belong to another task.
const ADDRESS_FRESH: Duration = Duration::from_secs(60);

/// Makes the delivery of a message, unless the ledger has its outcome.
pub(super) async fn notify(
    ctx: &Ctx,
    received: &queue::Message,
    deadline: Option<Instant>,
) -> Result<(), StageError> {
    let age = Duration::try_from(ctx.clock.now() - received.queued).unwrap_or_default();
    let more = age < ctx.deliverer.options().horizon;
    let Job { endpoint, broadcast, is_found } = read(ctx, received, !more).await?;
    let trace = span(ctx, &broadcast.event, received);
    let trace_id = trace.trace;
    let state = ctx.ledger.state(&broadcast.id, &endpoint.member).await?;
    if let Some(outcome) = state.as_ref().filter(|state| state.is_notified()).and_then(|state| state.outcome)
    {
        let (broadcast, task) = (broadcast.id.as_str(), endpoint.member.task.as_str());
        debug!(broadcast, %trace_id, task, outcome = outcome.as_str(), "Already notified; not called again");
        return Ok(());
    }
    let requests = state.as_ref().map_or(0, Delivery::requests);
    let mut job = DeliveryJob::new(endpoint).after_requests(requests).in_trace(trace);
    job.rechecks = !is_found.unwrap_or_else(|| {
        received.receives <= 1 && received.queued <= received.sent && requests == 0 && age <= ADDRESS_FRESH
    });
    let delivered = match withheld(ctx, &broadcast, &job).await? {
        Some(skipped) if skipped.cause == Some(Cause::Stopped) && received.receives > 1 => {
            Ok(skipped.withheld_after_a_receive())
        }
        Some(skipped) => Ok(skipped),
        None => ctx.deliverer.deliver(&broadcast, &mut job, &ctx.progress, Round { more, deadline }).await,
    };
    match delivered {
        Ok(delivery) => {
            settle(ctx, &broadcast, trace_id, delivery.clone()).await?;
            let Delivery { outcome, reason, .. } = delivery;
            match outcome {
                // A container that stays without a health status is skipped, as at discovery.
                Some(outcome @ (Outcome::Rejected | Outcome::Failed)) => {
                    Err(StageError::NotNotified { outcome, reason })
                }
                _ => Ok(()),
            }
        }
        Err(unfinished) => {
            later(ctx, &broadcast, &job, &unfinished).await;
            Err(StageError::Unfinished(unfinished))
        }
    }
}

/// Makes the next attempt of a delivery, unless its broadcast was cancelled or stopped. A lookup may take longer than the cache of
/// the ledger is valid, so the ledger is checked again after a lookup.
pub(super) async fn advance(
    ctx: &Ctx,
    broadcast: &Broadcast,
    job: &mut DeliveryJob,
    round: Round,
) -> Result<Next, LedgerError> {
    let mut skipped = withheld(ctx, broadcast, job).await?;
    if skipped.is_none() && ctx.deliverer.look_up(job).await {
        skipped = withheld(ctx, broadcast, job).await?;
    }
    match skipped {
        Some(skipped) => Ok(Next::Settle(skipped)),
        None => Ok(ctx.deliverer.advance(broadcast, job, &ctx.progress, round).await),
    }
}

/// The delivery as skipped, if its broadcast was cancelled, or stopped before the first call.
async fn withheld(
    ctx: &Ctx,
    broadcast: &Broadcast,
    job: &DeliveryJob,
) -> Result<Option<Delivery>, LedgerError> {
    let delivery = || Delivery::from(job.endpoint());
    let requests = || job.pending().requests();
    Ok(match ctx.ledger.withheld(&broadcast.id).await? {
        Some(Withheld::Cancelled) => Some(delivery().cancelled(requests())),
        // What has begun ends.
        Some(Withheld::Stopped) if requests() == 0 => Some(delivery().withheld()),
        Some(Withheld::Stopped) | None => None,
    })
}

/// Records a delivery that has ended or was interrupted, and notifies the listeners of its end.
pub(super) async fn settle(
    ctx: &Ctx,
    broadcast: &Broadcast,
    trace: TraceId,
    delivery: Delivery,
) -> Result<(), LedgerError> {
    ctx.ledger.settle(&broadcast.id, delivery.clone()).await?;
    let age = event_age(ctx, broadcast);
    let (broadcast, trace) = (broadcast.id.clone(), Some(trace));
    match delivery.outcome {
        Some(Outcome::Skipped) if delivery.latency.is_none() => {
            ctx.progress.emit(ProgressEvent::Skipped { broadcast, trace, delivery });
        }
        Some(_) => ctx.progress.emit(ProgressEvent::Settled { broadcast, trace, delivery, age }),
        None => {}
    }
    Ok(())
}

/// Records that a delivery was given up.
pub(super) async fn given_up(ctx: &Ctx, received: &queue::Message, reason: &str) -> Result<(), StageError> {
    let Job { endpoint, broadcast, .. } = read(ctx, received, true).await?;
    let given_up = ctx.ledger.give_up(&broadcast.id, Delivery::from(&endpoint), reason).await?;
    if let Some(delivery) = given_up {
        let (trace, age) = (received.trace_id(), event_age(ctx, &broadcast));
        ctx.progress.emit(ProgressEvent::Settled { broadcast: broadcast.id, trace, delivery, age });
    }
    Ok(())
}

/// Time since the event of a broadcast, by the event's own `time`.
fn event_age(ctx: &Ctx, broadcast: &Broadcast) -> Option<Duration> {
    let since = OffsetDateTime::parse(broadcast.event.time(), &Rfc3339).ok()?;
    ctx.age(since)
}

/// The delivery of a message.
struct Job {
    endpoint: Endpoint,
    broadcast: Broadcast,
    /// Whether ECS has just named the endpoint; `None` if it was not asked, because the message is trusted.
    is_found: Option<bool>,
}

/// A message of the tasks queue and its broadcast. A message of the proof of concept carries no broadcast, and is one
/// itself.
///
/// For an untrusted sender, the endpoint comes from ECS. If ECS does not answer, the message waits, unless this is its
/// `last` receive.
async fn read(ctx: &Ctx, received: &queue::Message, last: bool) -> Result<Job, StageError> {
    let mut message = TaskMessage::from_body(&received.body)?;
    let carried = message.broadcast.take();
    let mut endpoint = endpoint::endpoint(message).map_err(StageError::Endpoint)?;
    if ctx.senders.is_trusted(received) {
        let broadcast = match carried {
            Some(broadcast) => broadcast,
            None => own(ctx, received, &endpoint, broadcast(Draft::default(), received)?).await?,
        };
        return Ok(Job { endpoint, broadcast, is_found: None });
    }
    untrusted::log(ctx, received);
    endpoint = untrusted::without_unverified(endpoint)?;
    let found = match untrusted::find(ctx, &endpoint).await {
        Err(error) if !last => {
            let last = Some(AttemptError::Lost(error));
            return Err(StageError::Unfinished(Unfinished { attempts: 0, retry_after: None, last }));
        }
        found => found.unwrap_or_default(),
    };
    let is_found = found.is_some();
    endpoint = found.unwrap_or(endpoint);
    let unverified = untrusted::unverified(carried.as_ref(), received)?;
    let broadcast = match untrusted::with_member(ctx, unverified, &endpoint.member, is_found).await? {
        Some(known) => known,
        None => own(ctx, received, &endpoint, untrusted::own(carried.as_ref(), received)?).await?,
    };
    Ok(Job { endpoint, broadcast, is_found: Some(is_found) })
}

/// Records a broadcast that consists of one message.
async fn own(
    ctx: &Ctx,
    received: &queue::Message,
    endpoint: &Endpoint,
    broadcast: Broadcast,
) -> Result<Broadcast, StageError> {
    let scope = ObserverMessage::new(&endpoint.member.cluster);
    let record = BroadcastRecord::new(&scope, &broadcast, received.sent, received.sender.clone());
    ctx.ledger.broadcast_unless_known(record, &[]).await?;
    Ok(broadcast)
}

/// Records the state of a delivery that goes back to the queue. Only reports need this record, so errors are logged.
async fn later(ctx: &Ctx, broadcast: &Broadcast, job: &DeliveryJob, unfinished: &Unfinished) {
    if unfinished.last.is_none() {
        return;
    }
    let trace = job.trace.map(|context| context.trace);
    let delivery = Delivery { outcome: None, latency: None, ..job.failed(unfinished) };
    if let Err(error) = ctx.ledger.settle(&broadcast.id, delivery.clone()).await {
        let (broadcast, error) = (broadcast.id.as_str(), chain(&error));
        warn!(broadcast, trace_id = trace.map(display), error, "The ledger did not record an attempt");
    }
    let wait = unfinished.retry_after.unwrap_or_default();
    let (age, latency) = (event_age(ctx, broadcast), job.requested());
    let broadcast = broadcast.id.clone();
    ctx.progress.emit(ProgressEvent::Retrying { broadcast, trace, delivery, wait, latency, age });
}
