//! Tasks that start while a broadcast is open, or while its event is retained.
//!
//! A broadcast is kept before its fleet is found. So a task that discovery does not find hears it in one of two ways: the
//! registry reports its start, or the sweep at the end of the time finds it. A task that is found twice has one delivery.

use std::collections::BTreeSet;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wire::event::Extension;
use wire::{Broadcast, CoverMessage, Draft, Message as _, ObserverMessage, PageMessage, Retain};

use super::{Ctx, Output, StageError, endpoint, part};
use crate::base::trace::TraceContext;
use crate::fleet::DiscoveryError;
use crate::fleet::registry::Seen;
use crate::ledger::{LedgerError, PartRecord, Standing, millis};
use crate::queue::limits::DELAY_MAX;
use crate::queue::{self, Delayed};

/// The extension attribute after which an event has no effect. Source: CloudEvents, "Expiry Time".
const EXPIRY_TIME: &str = "expirytime";

/// Why a broadcast cannot be kept for tasks that start later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum LateError {
    #[error("`cover` and `retain` need a ledger: set NOTIFIER_LEDGER")]
    NoLedger,
    #[error("`retain` needs the registry, which reports the start of tasks: set NOTIFIER_REGISTRY_CLUSTERS")]
    NoRegistry,
    #[error("`cover` is from 1 to {} seconds", ObserverMessage::COVER_MAX)]
    Cover,
    #[error(
        "`retain` needs a key of 1 to {} bytes and a time of 1 to {} seconds",
        Retain::KEY_BYTES_MAX,
        Retain::TTL_MAX
    )]
    Retain,
    #[error(
        "the event is too large to be kept for tasks that start later: at most {} bytes",
        crate::store::BODY_BYTES_MAX
    )]
    TooLarge,
}

/// Why a broadcast was not kept.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum KeepError {
    #[error(transparent)]
    Late(#[from] LateError),
    #[error(transparent)]
    Discover(#[from] DiscoveryError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Checks what a message asks for tasks that start later.
pub(super) fn check(ctx: &Ctx, message: &ObserverMessage) -> Result<(), LateError> {
    if message.cover.is_none() && message.retain.is_none() {
        return Ok(());
    }
    if !ctx.ledger.is_kept() {
        return Err(LateError::NoLedger);
    }
    if message.cover.is_some_and(|seconds| !(1..=ObserverMessage::COVER_MAX).contains(&seconds)) {
        return Err(LateError::Cover);
    }
    let Some(retain) = &message.retain else { return Ok(()) };
    let has_key = (1..=Retain::KEY_BYTES_MAX).contains(&retain.key.len());
    if !has_key || !(1..=Retain::TTL_MAX).contains(&retain.ttl) {
        return Err(LateError::Retain);
    }
    if ctx.discovery.registry().is_none() { Err(LateError::NoRegistry) } else { Ok(()) }
}

/// The broadcast with the time after which its event has no effect, if it is retained. A time of its publisher stays.
pub(super) fn expiring(
    broadcast: Broadcast,
    retain: Option<&Retain>,
    sent: OffsetDateTime,
) -> Result<Broadcast, wire::EventError> {
    let until = retain.map(|retain| sent + Duration::from_secs(retain.ttl.into()));
    let Some(until) = until.and_then(|until| until.format(&Rfc3339).ok()) else { return Ok(broadcast) };
    let mut draft = Draft::from(broadcast.event);
    draft.extensions.entry(EXPIRY_TIME.to_owned()).or_insert(Extension::Text(until));
    Ok(Broadcast::new(draft.complete(&broadcast.id, sent)?))
}

/// Keeps a broadcast to one cluster for tasks that start later, before its fleet is found. Returns the message that ends
/// the time for which it is open.
pub(super) async fn keep(
    ctx: &Ctx,
    message: &ObserverMessage,
    broadcast: &Broadcast,
    sent: OffsetDateTime,
) -> Result<Option<CoverMessage>, KeepError> {
    if message.cover.is_none() && message.retain.is_none() {
        return Ok(None);
    }
    let cluster = ctx.discovery.cluster_arn(&message.cluster).await?;
    let after = |seconds: u32| sent + Duration::from_secs(seconds.into());
    let stand = async |key: Option<String>, until: OffsetDateTime| {
        let standing = Standing::new(message, &cluster, key, broadcast.clone(), (sent, until));
        let is_kept = ctx.ledger.keep(&standing).await?;
        if is_kept { Ok(()) } else { Err(KeepError::Late(LateError::TooLarge)) }
    };
    if let Some(Retain { key, ttl, .. }) = &message.retain {
        stand(Some(key.clone()), after(*ttl)).await?;
    }
    let Some(cover) = message.cover else { return Ok(None) };
    let until = after(cover);
    stand(None, until).await?;
    let mut end = CoverMessage::new(&message.cluster, millis(until), broadcast.clone());
    end.services.clone_from(&message.services);
    end.standalone = message.standalone;
    Ok(Some(end))
}

/// The messages for a running task that may have just started: one for each broadcast that it hears, oldest first.
///
/// They come before the registry's row of the task is written, and again if the same statement arrives again: a repeat has
/// the same deliveries.
pub(super) async fn pages(ctx: &Ctx, seen: &Seen) -> Result<Vec<String>, StageError> {
    let task = &seen.task;
    let cluster = task.cluster.as_deref().unwrap_or_default();
    // Also without a broadcast: a new task definition is read now, and no broadcast has to wait for it.
    let is_opted_in = ctx.discovery.is_opted_in(cluster, task).await;
    let mut standing = ctx.ledger.standing(Some(cluster)).await?;
    // A broadcast may be open and retained.
    let mut broadcasts = BTreeSet::new();
    standing.retain(|one| {
        let id = one.broadcast.as_ref().map(|broadcast| broadcast.id.clone());
        one.includes(task.service()) && broadcasts.insert(id)
    });
    if standing.is_empty() || !is_opted_in? {
        return Ok(Vec::new());
    }
    let page = |one: Standing| {
        let mut page = PageMessage::new(one.named, vec![task.arn.clone()], one.broadcast?);
        (page.services, page.standalone) = (one.services, one.standalone);
        (page.registry, page.late) = (Some(cluster.to_owned()), true);
        Some(page.to_body().map_err(StageError::from))
    };
    standing.into_iter().filter_map(page).collect()
}

/// Ends the time for which a broadcast is open: finds the tasks that have started since, and were not found before.
pub(super) async fn end(
    ctx: &Ctx,
    cover: &CoverMessage,
    scope: &ObserverMessage,
    (broadcast, trace): (&Broadcast, TraceContext),
    record: PartRecord,
    received: &queue::Message,
) -> Result<Output, StageError> {
    let left = cover.covers_until.saturating_sub(millis(ctx.clock.now()));
    let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
    // Nobody may keep a message on the queue for ever.
    if left > Duration::from_secs(ObserverMessage::COVER_MAX.into()) {
        return Err(LateError::Cover.into());
    }
    if !left.is_zero() {
        let delay = left.min(DELAY_MAX).max(Duration::from_secs(1));
        let again = vec![Delayed { body: received.body.clone(), delay }];
        return Ok(Output { again, trace: Some(trace), ..Output::default() });
    }
    let recorded = ctx.ledger.read(&broadcast.id).await?;
    // What an earlier run for this message has found and not handed over is found again.
    let earlier = ctx.ledger.expected(&broadcast.id, &record.id).await?;
    let earlier: BTreeSet<&str> = earlier.iter().map(|delivery| delivery.member.task.as_str()).collect();
    let entries = recorded.iter().flat_map(|recorded| recorded.report.entries());
    let found =
        entries.filter(|entry| entry.outcome.is_some() || !earlier.contains(entry.member.task.as_str()));
    let known: BTreeSet<&str> = found.map(|entry| entry.member.task.as_str()).collect();
    let fleet = ctx.discovery.other_tasks(scope, |task| known.contains(task)).await?.late();
    let endpoints = part::record(ctx, (broadcast, trace), record, fleet, |_| false).await?;
    let bodies = endpoints.iter().map(|endpoint| endpoint::message(endpoint, broadcast).to_body());
    Ok(Output { next: bodies.collect::<Result<_, _>>()?, trace: Some(trace), ..Output::default() })
}
