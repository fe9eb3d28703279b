//! Stages 1 and 2 on one message. The result is recorded before anything is queued.

use std::collections::BTreeSet;

use serde::Deserialize;
use tracing::info;
use wire::{
    Broadcast, BroadcastId, DeliveryId, Draft, Message as _, ObserverMessage, PAGE_TASKS_MAX, PartId,
    PartMessage,
};

use super::{Ctx, Output, StageError, broadcast, clusters, endpoint, gate, late, part, span, untrusted};
use crate::base::trace::TraceId;
use crate::ledger::{BroadcastRecord, PartRecord, Withheld};
use crate::model::{DiscoveryMethod, Fleet, Member, ProgressEvent};
use crate::queue::{self, Delayed};

/// Finds the services of the scope. Returns a body for each part that stage 2 scans; or, for a scope with several
/// clusters, a message for each of them.
pub(super) async fn services(
    ctx: &Ctx,
    mut message: ObserverMessage,
    folded: usize,
    received: &queue::Message,
) -> Result<Output, StageError> {
    late::check(ctx, &message)?;
    gate::check(ctx, &message)?;
    let broadcast = broadcast(message.event.take().unwrap_or_default(), received)?;
    let broadcast = late::expiring(broadcast, message.retain.as_ref(), received.sent)?;
    let trace = span(ctx, &broadcast.event, received);
    let mut record = BroadcastRecord { folded, ..record(&message, &broadcast, received) };
    match ctx.ledger.withheld(&broadcast.id).await? {
        Some(Withheld::Cancelled) => {
            ctx.ledger.broadcast(record, &[], &[]).await?;
            return Ok(Output::default());
        }
        Some(Withheld::Stopped) => {
            ctx.ledger.close(record).await?;
            return Ok(Output::default());
        }
        None => {}
    }
    if let Some(clusters) = clusters::named(ctx, &message).await? {
        let output = split(ctx, &message, &broadcast, trace.trace, record, clusters).await?;
        return Ok(Output { trace: Some(trace), ..output });
    }
    let cover = late::keep(ctx, &message, &broadcast, received.sent).await?;
    let mut found = ctx.discovery.services(&message, &broadcast).await?;
    found.messages = gate::closed(&message, found.messages);
    found.messages.extend(cover.map(PartMessage::Cover));
    let bodies = found.messages.iter().map(PartMessage::to_body).collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<_> = found.messages.iter().map(|part| (part.part(), part.service().to_owned())).collect();
    (record.not_targeted, record.found) = (found.not_targeted.len(), Some(found.found));
    log_method(&broadcast.id, trace.trace, found.found.method, parts.len());
    ctx.ledger.broadcast(record, &parts, &found.skips).await?;
    part::emit_skipped(ctx, &broadcast.id, trace.trace, found.skips);
    ctx.progress.emit(ProgressEvent::Services {
        broadcast: broadcast.id,
        trace: Some(trace.trace),
        parts: parts.into_iter().map(|(part, _)| part).collect(),
        not_targeted: found.not_targeted,
        age: (!message.split).then(|| ctx.age(received.sent)).flatten(),
    });
    Ok(Output { next: bodies, trace: Some(trace), ..Output::default() })
}

fn log_method(broadcast: &BroadcastId, trace_id: TraceId, method: DiscoveryMethod, parts: usize) {
    let (broadcast, method) = (broadcast.as_str(), method.as_str());
    info!(broadcast, %trace_id, method, parts, "Found the parts of broadcast {broadcast}");
}

/// Records the clusters of a broadcast, and returns a message for each: one cluster that cannot be reached does not delay
/// the others.
async fn split(
    ctx: &Ctx,
    message: &ObserverMessage,
    broadcast: &Broadcast,
    trace_id: TraceId,
    record: BroadcastRecord,
    clusters: Vec<String>,
) -> Result<Output, StageError> {
    let body = |cluster: &String| {
        let mut one = clusters::one(message, cluster);
        one.event = Some(Draft::from(broadcast.event.clone()));
        one.to_body().map(Delayed::now)
    };
    let again = clusters.iter().map(body).collect::<Result<Vec<_>, _>>()?;
    ctx.ledger.split(record, &clusters).await?;
    let id = broadcast.id.as_str();
    info!(
        broadcast = id,
        %trace_id,
        clusters = again.len(),
        "Split broadcast {id} into one message for each cluster"
    );
    Ok(Output { again, ..Output::default() })
}

/// Records that service discovery failed for a message. Records of a source are no broadcast yet.
pub(super) async fn no_services(
    ctx: &Ctx,
    received: &queue::Message,
    reason: &str,
) -> Result<(), StageError> {
    let Ok(mut message) = ObserverMessage::from_body(&received.body) else { return Ok(()) };
    let broadcast = broadcast(message.event.take().unwrap_or_default(), received)?;
    let failure = Some(reason.to_owned());
    let record = BroadcastRecord { failure, ..record(&message, &broadcast, received) };
    Ok(ctx.ledger.broadcast_unless_known(record, &[]).await?)
}

/// Finds the tasks of one part of the scope. Returns a body for each endpoint that has not been notified.
pub(super) async fn tasks(ctx: &Ctx, received: &queue::Message) -> Result<Output, StageError> {
    let (message, broadcast) = read(ctx, received).await?;
    let trace = span(ctx, &broadcast.event, received);
    let part = message.part();
    let record = part_record(&message, &part, None);
    if ctx.ledger.is_cancelled(&broadcast.id).await? {
        let skipped = ctx.ledger.cancel_part(&broadcast.id, &record).await?;
        part::emit_skipped(ctx, &broadcast.id, trace.trace, skipped);
        part::emit_tasks(ctx, &broadcast.id, trace.trace, record, Fleet::default());
        return Ok(Output::default());
    }
    let fleet = match &message {
        PartMessage::Gate(gate) => {
            let passage = gate::Passage { ctx, gate, broadcast: &broadcast, trace, record };
            return passage.pass().await;
        }
        PartMessage::Cover(cover) => {
            return late::end(ctx, cover, &scope(&message), (&broadcast, trace), record, received).await;
        }
        PartMessage::Page(page) if page.late => ctx.discovery.tasks(&message).await?.late(),
        _ => ctx.discovery.tasks(&message).await?,
    };
    let endpoints = part::record(ctx, (&broadcast, trace), record, fleet, |_| false).await?;
    // Only an earlier run for this message can have queued bodies.
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
    Ok(Output { next: bodies, trace: Some(trace), ..Output::default() })
}

/// The delivery's fields in a body of the tasks queue.
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
pub(super) async fn queued(ctx: &Ctx, received: &queue::Message, bodies: &[&str]) -> Result<(), StageError> {
    // Bodies of this process: all of one broadcast, or the keep-warm message.
    let bodies: Vec<Queued> = bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect();
    let Some(broadcast) = bodies.first().map(|body| body.broadcast.id.clone()) else { return Ok(()) };
    let message = PartMessage::from_body(&received.body)?;
    let run = match &message {
        PartMessage::Gate(gate) => gate::run(gate),
        _ => received.message_id.clone(),
    };
    let part = message.part();
    let ids = bodies.iter().map(|body| DeliveryId::derive(&broadcast, &body.task, &body.container));
    let ids: Vec<_> = ids.collect();
    Ok(ctx.ledger.note_queued(&broadcast, &part, &run, &ids).await?)
}

/// Records that task discovery failed for a part of the scope.
pub(super) async fn no_tasks(ctx: &Ctx, received: &queue::Message, reason: &str) -> Result<(), StageError> {
    let (message, broadcast) = read(ctx, received).await?;
    let record = part_record(&message, &message.part(), Some(reason.to_owned()));
    Ok(ctx.ledger.part_unless_known(&broadcast.id, &record).await?)
}

/// A message of the services queue and its broadcast. A message of the proof of concept carries no broadcast, and is one
/// itself.
///
/// For an untrusted sender, only a broadcast in the ledger counts. The tasks come from ECS in any case.
async fn read(ctx: &Ctx, received: &queue::Message) -> Result<(PartMessage, Broadcast), StageError> {
    let mut message = PartMessage::from_body(&received.body)?;
    if let PartMessage::Page(page) = &message
        && page.tasks.len() > PAGE_TASKS_MAX
    {
        return Err(StageError::Page { named: page.tasks.len() });
    }
    let own = if ctx.senders.is_trusted(received) {
        if let Some(broadcast) = message.broadcast() {
            let broadcast = broadcast.clone();
            return Ok((message, broadcast));
        }
        broadcast(Draft::default(), received)?
    } else {
        untrusted::log(ctx, received);
        if let PartMessage::Page(page) = &mut message {
            (page.registry, page.late) = (None, false);
        }
        let unverified = untrusted::unverified(message.broadcast(), received)?;
        if let Some(known) = untrusted::with_part(ctx, unverified, &message).await? {
            return Ok((message, known));
        }
        untrusted::own(message.broadcast(), received)?
    };
    let parts = [(message.part(), message.service().to_owned())];
    ctx.ledger.broadcast_unless_known(record(&scope(&message), &own, received), &parts).await?;
    Ok((message, own))
}

/// The scope of a message that is a broadcast of its own.
fn scope(message: &PartMessage) -> ObserverMessage {
    let mut scope = ObserverMessage::new(message.cluster());
    match message {
        PartMessage::Service(message) => {
            scope.services = vec![message.service.clone()];
            scope.standalone = message.standalone;
        }
        PartMessage::Gate(gate) => {
            scope.services = vec![gate.part.service.clone()];
            scope.standalone = gate.part.standalone;
            scope.pace = Some(gate.pace.clone());
        }
        PartMessage::Page(page) => {
            scope.services.clone_from(&page.services);
            scope.standalone = page.standalone;
        }
        PartMessage::Cover(cover) => {
            scope.services.clone_from(&cover.services);
            scope.standalone = cover.standalone;
        }
    }
    scope
}

fn part_record(message: &PartMessage, part: &PartId, failure: Option<String>) -> PartRecord {
    let (cluster, service) = (message.cluster().to_owned(), message.service().to_owned());
    PartRecord { id: part.clone(), cluster, service, failure }
}

/// The ledger's record of the broadcast that a message requests.
fn record(scope: &ObserverMessage, broadcast: &Broadcast, received: &queue::Message) -> BroadcastRecord {
    BroadcastRecord::new(scope, broadcast, received.sent, received.sender.clone())
}
