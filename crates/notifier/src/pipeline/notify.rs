//! Stage 3 on one message: one delivery, asked of the ledger before and recorded after.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};
use wire::{Broadcast, Draft, Message, ObserverMessage, TaskMessage};

use super::{Ctx, Received, StageError, broadcast, discovery, endpoint, untrusted};
use crate::base::text::chain;
use crate::deliver::{Round, Unfinished};
use crate::model::Delivery;
use crate::model::Step;
use crate::model::{DeliveryResult, Outcome, Skipped};
use crate::model::{Endpoint, Skip, SkipReason};

/// An address that ECS named longer ago may be another task's by now.
const ADDRESS_FRESH: Duration = Duration::from_secs(60);

/// Makes the delivery that a message asks for, unless the ledger says that it was made.
pub(super) async fn notify(
    ctx: &Ctx,
    received: &Received,
    deadline: Option<Instant>,
) -> Result<(), StageError> {
    let age = Duration::try_from(ctx.clock.now() - received.queued).unwrap_or_default();
    let more = age < ctx.deliverer.horizon();
    let Job { endpoint, broadcast, looked_up } = read(ctx, received, !more).await?;
    let standing = ctx.ledger.standing(&broadcast.id, &endpoint.member).await?;
    if let Some(outcome) = standing.told {
        let (broadcast, task) = (broadcast.id.as_str(), endpoint.member.task.as_str());
        debug!(broadcast, task, outcome = outcome.as_str(), "Told before; not called again");
        return Ok(());
    }
    if ctx.ledger.is_cancelled(&broadcast.id).await? {
        return cancelled(ctx, broadcast, endpoint, standing.attempts()).await;
    }
    let again = match looked_up {
        LookedUp::Found => false,
        LookedUp::Nowhere => true,
        LookedUp::No => {
            received.receives > 1
                || received.queued > received.sent
                || standing.attempts() > 0
                || age > ADDRESS_FRESH
        }
    };
    let round = Round { again, more, deadline };
    match ctx.deliverer.deliver(&broadcast, &endpoint, &ctx.progress, round).await {
        Ok(mut settled) => {
            settled.result.attempts += standing.attempts();
            ctx.ledger.settle(&broadcast.id, Delivery::from(&settled)).await?;
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
    let Job { endpoint, broadcast, .. } = read(ctx, received, true).await?;
    Ok(ctx.ledger.give_up(&broadcast.id, Delivery::from(&endpoint), reason).await?)
}

/// What a message asks for.
struct Job {
    endpoint: Endpoint,
    broadcast: Broadcast,
    looked_up: LookedUp,
}

/// Whether ECS was asked for the endpoint just now.
enum LookedUp {
    /// No: the previous stage said where it is.
    No,
    /// Yes, and it is there.
    Found,
    /// Yes, and ECS knows none, or could not be asked.
    Nowhere,
}

/// A message of the tasks queue and its broadcast. One of the proof of concept carries none, and is its own.
///
/// Of a sender that is not believed, the endpoint is what ECS says. When ECS cannot be asked, the message waits, unless
/// this is its `last` chance.
async fn read(ctx: &Ctx, received: &Received, last: bool) -> Result<Job, StageError> {
    let mut message = TaskMessage::from_body(&received.body)?;
    let carried = message.broadcast.take();
    let mut endpoint = endpoint::endpoint(message).map_err(StageError::Endpoint)?;
    if ctx.senders.believe(received) {
        let broadcast = match carried {
            Some(broadcast) => broadcast,
            None => own(ctx, received, &endpoint, broadcast(Draft::default(), received)?).await?,
        };
        return Ok(Job { endpoint, broadcast, looked_up: LookedUp::No });
    }
    untrusted::tell(ctx, received);
    endpoint = untrusted::unproven(endpoint)?;
    let found = match untrusted::find(ctx, &endpoint).await {
        Err(error) if !last => return Err(StageError::Unfinished(Unfinished::lost(error))),
        found => found.unwrap_or_default(),
    };
    let is_found = found.is_some();
    let looked_up = if is_found { LookedUp::Found } else { LookedUp::Nowhere };
    endpoint = found.unwrap_or(endpoint);
    let claims = untrusted::claims(carried.as_ref(), received)?;
    let broadcast = match untrusted::with_member(ctx, claims, &endpoint.member, is_found).await? {
        Some(known) => known,
        None => own(ctx, received, &endpoint, untrusted::own(carried.as_ref(), received)?).await?,
    };
    Ok(Job { endpoint, broadcast, looked_up })
}

/// Records a broadcast that is one message's alone.
async fn own(
    ctx: &Ctx,
    received: &Received,
    endpoint: &Endpoint,
    broadcast: Broadcast,
) -> Result<Broadcast, StageError> {
    let scope = ObserverMessage { cluster: endpoint.member.cluster.clone(), ..ObserverMessage::default() };
    ctx.ledger.broadcast_unless_known(discovery::record(&scope, &broadcast, received), &[]).await?;
    Ok(broadcast)
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
    ctx.ledger.settle(&broadcast.id, Delivery { address, attempts, ..Delivery::from(&skip) }).await?;
    ctx.progress.tell(Step::Skipped(Skipped { broadcast: broadcast.id, skip }));
    Ok(())
}

/// Records how a delivery stands that is to be tried again; only a report would miss it.
async fn later(ctx: &Ctx, broadcast: &Broadcast, endpoint: Endpoint, attempts: u32, unfinished: &Unfinished) {
    let Some(last) = &unfinished.last else { return };
    let reason = last.reason();
    let attempts = attempts + unfinished.attempts;
    let entry = Delivery {
        reason: Some(reason.clone()),
        cause: Some(last.cause()),
        attempts: Some(attempts),
        status: last.status().map(|status| status.as_u16()),
        ..Delivery::from(&endpoint)
    };
    if let Err(error) = ctx.ledger.settle(&broadcast.id, entry).await {
        let (broadcast, error) = (broadcast.id.as_str(), chain(&error));
        warn!(broadcast, error, "The ledger did not take note of a try");
    }
    let wait = unfinished.retry_after().unwrap_or_default();
    let broadcast = broadcast.id.clone();
    ctx.progress.tell(Step::Retrying { broadcast, endpoint, attempt: attempts, reason, wait });
}
