//! Stages 1 and 2 on one message: whom to tell, recorded before anybody is asked to tell them.

use std::collections::BTreeSet;

use serde::Deserialize;
use wire::{Broadcast, BroadcastId, DeliveryId, Draft, Message, ObserverMessage, PartId, ServiceMessage};

use super::{Ctx, Received, StageError, broadcast, endpoint, untrusted};
use crate::ledger::{BroadcastRecord, PartRecord};
use crate::model::Delivery;
use crate::model::Step;
use crate::model::{Fleet, Member, Skip, SkipReason};

/// Finds the services of the scope: a body for each part that stage 2 looks at.
pub(super) async fn services(ctx: &Ctx, received: &Received) -> Result<Vec<String>, StageError> {
    let mut message = ObserverMessage::from_body(&received.body)?;
    let broadcast = broadcast(message.event.take().unwrap_or_default(), received)?;
    let mut record = record(&message, &broadcast, received);
    if ctx.ledger.is_cancelled(&broadcast.id).await? {
        ctx.ledger.broadcast(record, &[], &[]).await?;
        return Ok(Vec::new());
    }
    let found = ctx.discovery.services(&message, &broadcast).await?;
    let bodies = found.messages.iter().map(Message::to_body).collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<_> = found.messages.iter().map(|part| (part.part(), part.service.clone())).collect();
    let skips: Vec<_> = found.skips.iter().map(Delivery::from).collect();
    record.not_targeted = found.not_targeted.len();
    ctx.ledger.broadcast(record, &parts, &skips).await?;
    ctx.progress.skipped(&broadcast.id, found.skips);
    ctx.progress.tell(Step::Services {
        broadcast: broadcast.id,
        parts: parts.into_iter().map(|(part, _)| part).collect(),
        not_targeted: found.not_targeted,
    });
    Ok(bodies)
}

/// Records that the scope of a message could not be looked at.
pub(super) async fn no_services(ctx: &Ctx, received: &Received, reason: &str) -> Result<(), StageError> {
    let mut message = ObserverMessage::from_body(&received.body)?;
    let broadcast = broadcast(message.event.take().unwrap_or_default(), received)?;
    let failure = Some(reason.to_owned());
    let record = BroadcastRecord { failure, ..record(&message, &broadcast, received) };
    Ok(ctx.ledger.broadcast_unless_known(record, &[]).await?)
}

/// Finds the tasks of one part of the scope: a body for each endpoint that has not been told.
pub(super) async fn tasks(ctx: &Ctx, received: &Received) -> Result<Vec<String>, StageError> {
    let (message, broadcast) = read(ctx, received).await?;
    let part = message.part();
    let record = part_record(&message, &part, None);
    if ctx.ledger.is_cancelled(&broadcast.id).await? {
        let members = ctx.ledger.cancel_part(&broadcast.id, &record).await?;
        let skip = |member| Skip { member, reason: SkipReason::Cancelled };
        ctx.progress.skipped(&broadcast.id, members.into_iter().map(skip).collect());
        tell(ctx, broadcast, part, message.service, Fleet::default());
        return Ok(Vec::new());
    }
    let Fleet { mut endpoints, skips, not_targeted } = ctx.discovery.tasks(&message).await?;
    let expected: Vec<_> = endpoints.iter().map(Delivery::from).collect();
    let skipped: Vec<_> = skips.iter().map(Delivery::from).collect();
    let mut untold = ctx.ledger.part(&broadcast.id, &record, &expected, &skipped).await?.into_iter();
    endpoints.retain(|_| untold.next().unwrap_or(true));
    // Only a run before this one can have queued anything.
    let queued = match received.receives {
        0 | 1 => BTreeSet::new(),
        _ => ctx.ledger.queued(&broadcast.id, &part, &received.message_id).await?,
    };
    let is_queued = |member: &Member| {
        !queued.is_empty()
            && queued.contains(DeliveryId::derive(&broadcast.id, &member.task, &member.container).as_str())
    };
    let bodies = endpoints
        .iter()
        .filter(|endpoint| !is_queued(&endpoint.member))
        .map(|endpoint| endpoint::message(endpoint, &broadcast).to_body())
        .collect::<Result<Vec<_>, _>>()?;
    ctx.progress.skipped(&broadcast.id, skips);
    tell(ctx, broadcast, part, message.service, Fleet { endpoints, not_targeted, ..Fleet::default() });
    Ok(bodies)
}

/// What a body of the tasks queue says of its delivery.
#[derive(Deserialize)]
struct Queued {
    #[serde(rename = "notify_task_arn")]
    task: String,
    #[serde(default)]
    container: String,
    broadcast: QueuedBroadcast,
}

#[derive(Deserialize)]
struct QueuedBroadcast {
    id: BroadcastId,
}

/// Records that these bodies of a message are on the tasks queue.
pub(super) async fn queued(ctx: &Ctx, received: &Received, bodies: &[&str]) -> Result<(), StageError> {
    // Our own bodies: all of one broadcast, or the message that keeps functions ready.
    let bodies: Vec<Queued> = bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect();
    let Some(broadcast) = bodies.first().map(|body| body.broadcast.id.clone()) else { return Ok(()) };
    let part = ServiceMessage::from_body(&received.body)?.part();
    let ids = bodies.iter().map(|body| DeliveryId::derive(&broadcast, &body.task, &body.container));
    let ids: Vec<_> = ids.collect();
    Ok(ctx.ledger.note_queued(&broadcast, &part, &received.message_id, &ids).await?)
}

/// Tells that a part was looked at, and whom it has.
fn tell(ctx: &Ctx, broadcast: Broadcast, part: PartId, service: String, fleet: Fleet) {
    let Fleet { endpoints, not_targeted, .. } = fleet;
    ctx.progress.tell(Step::Tasks { broadcast: broadcast.id, part, service, endpoints, not_targeted });
}

/// Records that a part of the scope could not be looked at.
pub(super) async fn no_tasks(ctx: &Ctx, received: &Received, reason: &str) -> Result<(), StageError> {
    let (message, broadcast) = read(ctx, received).await?;
    let record = part_record(&message, &message.part(), Some(reason.to_owned()));
    Ok(ctx.ledger.part_unless_known(&broadcast.id, &record).await?)
}

/// A message of the services queue and its broadcast. One of the proof of concept carries none, and is its own.
///
/// Of a sender that is not believed, the broadcast is only what the ledger knows too. Whom it has comes from ECS anyway.
async fn read(ctx: &Ctx, received: &Received) -> Result<(ServiceMessage, Broadcast), StageError> {
    let mut message = ServiceMessage::from_body(&received.body)?;
    let carried = message.broadcast.take();
    let own = if ctx.senders.believe(received) {
        if let Some(broadcast) = carried {
            return Ok((message, broadcast));
        }
        broadcast(Draft::default(), received)?
    } else {
        untrusted::tell(ctx, received);
        let claims = untrusted::claims(carried.as_ref(), received)?;
        if let Some(known) = untrusted::with_part(ctx, claims, &message).await? {
            return Ok((message, known));
        }
        untrusted::own(carried.as_ref(), received)?
    };
    let scope = ObserverMessage {
        cluster: message.cluster.clone(),
        services: vec![message.service.clone()],
        standalone: message.standalone,
        event: None,
    };
    let parts = [(message.part(), message.service.clone())];
    ctx.ledger.broadcast_unless_known(record(&scope, &own, received), &parts).await?;
    Ok((message, own))
}

fn part_record(message: &ServiceMessage, part: &PartId, failure: Option<String>) -> PartRecord {
    let (cluster, service) = (message.cluster.clone(), message.service.clone());
    PartRecord { id: part.clone(), cluster, service, failure }
}

/// What the ledger keeps of the broadcast that a message asks for.
pub(super) fn record(scope: &ObserverMessage, broadcast: &Broadcast, received: &Received) -> BroadcastRecord {
    BroadcastRecord::new(scope, broadcast, received.sent, received.sender.clone())
}
