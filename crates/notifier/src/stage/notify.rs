//! Stage 3 on one message: one delivery, asked of the ledger before and recorded after.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};
use wire::{Broadcast, Draft, Message, ObserverMessage, TaskMessage};

use super::{Ctx, Received, StageError, broadcast, endpoint, find};
use crate::deliver::{Round, Unfinished};
use crate::fleet::{Endpoint, Skip, SkipReason};
use crate::outcome::{DeliveryResult, Outcome, Skipped};
use crate::progress::Step;
use crate::queue::chain;
use crate::report::Entry;

/// An address that ECS named longer ago may be another task's by now.
const ADDRESS_FRESH: Duration = Duration::from_secs(60);

/// Makes the delivery that a message asks for, unless the ledger says that it was made.
pub(super) async fn notify(
    ctx: &Ctx,
    received: &Received,
    deadline: Option<Instant>,
) -> Result<(), StageError> {
    let (endpoint, broadcast) = read(ctx, received).await?;
    let standing = ctx.ledger.standing(&broadcast.id, &endpoint.member).await?;
    if let Some(outcome) = standing.told {
        let (broadcast, task) = (broadcast.id.as_str(), endpoint.member.task.as_str());
        debug!(broadcast, task, outcome = outcome.as_str(), "Told before; not called again");
        return Ok(());
    }
    if ctx.ledger.is_cancelled(&broadcast.id).await? {
        return cancelled(ctx, broadcast, endpoint, standing.attempts()).await;
    }
    let age = Duration::try_from(ctx.clock.now() - received.queued).unwrap_or_default();
    let round = Round {
        again: received.receives > 1
            || received.queued > received.sent
            || standing.attempts() > 0
            || age > ADDRESS_FRESH,
        more: age < ctx.deliverer.horizon(),
        deadline,
    };
    match ctx.deliverer.deliver(&broadcast, &endpoint, &ctx.progress, round).await {
        Ok(mut settled) => {
            settled.result.attempts += standing.attempts();
            ctx.ledger.settle(&broadcast.id, Entry::from(&settled)).await?;
            let DeliveryResult { outcome, reason, .. } = settled.result.clone();
            ctx.progress.tell(Step::Settled(settled));
            // A container that stays without a health status is skipped as at discovery: nothing to send back.
            let has_ended = outcome.is_told() || outcome == Outcome::Skipped;
            if has_ended { Ok(()) } else { Err(StageError::NotTold { outcome, reason }) }
        }
        Err(unfinished) => {
            later(ctx, &broadcast, endpoint, standing.attempts(), &unfinished).await;
            Err(StageError::Unfinished(unfinished))
        }
    }
}

/// Records that a delivery was given up.
pub(super) async fn not_told(ctx: &Ctx, received: &Received, reason: &str) -> Result<(), StageError> {
    let (endpoint, broadcast) = read(ctx, received).await?;
    Ok(ctx.ledger.give_up(&broadcast.id, Entry::from(&endpoint), reason).await?)
}

/// A message of the tasks queue and its broadcast. One of the proof of concept carries none, and is its own.
async fn read(ctx: &Ctx, received: &Received) -> Result<(Endpoint, Broadcast), StageError> {
    let mut message = TaskMessage::from_body(&received.body)?;
    let carried = message.broadcast.take();
    let endpoint = endpoint::endpoint(message).map_err(StageError::Endpoint)?;
    if let Some(broadcast) = carried {
        return Ok((endpoint, broadcast));
    }
    let broadcast = broadcast(Draft::default(), received)?;
    let scope = ObserverMessage { cluster: endpoint.member.cluster.clone(), ..ObserverMessage::default() };
    ctx.ledger.broadcast_unless_known(find::record(&scope, &broadcast, received), &[]).await?;
    Ok((endpoint, broadcast))
}

/// Nobody is called any more.
async fn cancelled(
    ctx: &Ctx,
    broadcast: Broadcast,
    endpoint: Endpoint,
    attempts: u32,
) -> Result<(), StageError> {
    let address = Some(endpoint.address);
    let skip = Skip { member: endpoint.member, reason: SkipReason::Cancelled };
    let attempts = (attempts > 0).then_some(attempts);
    ctx.ledger.settle(&broadcast.id, Entry { address, attempts, ..Entry::from(&skip) }).await?;
    ctx.progress.tell(Step::Skipped(Skipped { broadcast: broadcast.id, skip }));
    Ok(())
}

/// Records how a delivery stands that is to be tried again; only a report would miss it.
async fn later(ctx: &Ctx, broadcast: &Broadcast, endpoint: Endpoint, attempts: u32, unfinished: &Unfinished) {
    let Some(last) = &unfinished.last else { return };
    let reason = last.reason();
    let attempts = attempts + unfinished.attempts;
    let entry = Entry {
        reason: Some(reason.clone()),
        cause: Some(last.cause()),
        attempts: Some(attempts),
        status: last.status().map(|status| status.as_u16()),
        ..Entry::from(&endpoint)
    };
    if let Err(error) = ctx.ledger.settle(&broadcast.id, entry).await {
        let (broadcast, error) = (broadcast.id.as_str(), chain(&error));
        warn!(broadcast, error, "The ledger did not take note of a try");
    }
    let wait = unfinished.retry_after().unwrap_or_default();
    let broadcast = broadcast.id.clone();
    ctx.progress.tell(Step::Retrying { broadcast, endpoint, attempt: attempts, reason, wait });
}
