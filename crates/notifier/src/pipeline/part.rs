//! The result for one part of a broadcast: its record in the ledger, and the events for the listeners.

use std::collections::BTreeSet;

use wire::{Broadcast, BroadcastId};

use super::Ctx;
use crate::base::trace::{TraceContext, TraceId};
use crate::ledger::{LedgerError, PartRecord};
use crate::model::{Delivery, Endpoint, Fleet, Member, ProgressEvent};

/// Records the result for one part of a broadcast, and notifies the listeners. Returns the endpoints that still need a
/// call: those that are notified neither in the ledger nor by `is_notified`.
pub(super) async fn record(
    ctx: &Ctx,
    (broadcast, trace): (&Broadcast, TraceContext),
    part: PartRecord,
    fleet: Fleet,
    is_notified: impl Fn(&Member) -> bool,
) -> Result<Vec<Endpoint>, LedgerError> {
    let Fleet { mut endpoints, skips, not_targeted } = fleet;
    if ctx.ledger.is_kept() {
        let expected: Vec<_> = endpoints.iter().map(Delivery::from).collect();
        let due = ctx.ledger.part(&broadcast.id, &part, &expected, &skips).await?;
        let due: BTreeSet<_> = due.into_iter().map(|delivery| delivery.member).collect();
        endpoints.retain(|endpoint| due.contains(&endpoint.member) && !is_notified(&endpoint.member));
    }
    emit_skipped(ctx, &broadcast.id, trace.trace, skips);
    let found = Fleet { endpoints: endpoints.clone(), skips: Vec::new(), not_targeted };
    emit_tasks(ctx, &broadcast.id, trace.trace, part, found);
    Ok(endpoints)
}

/// Notifies the listeners of the result for a part.
pub(super) fn emit_tasks(ctx: &Ctx, broadcast: &BroadcastId, trace: TraceId, part: PartRecord, found: Fleet) {
    let PartRecord { id: part, service, .. } = part;
    let Fleet { endpoints, not_targeted, .. } = found;
    let (broadcast, trace) = (broadcast.clone(), Some(trace));
    ctx.progress.emit(ProgressEvent::Tasks { broadcast, trace, part, service, endpoints, not_targeted });
}

/// Notifies the listeners of skipped containers.
pub(super) fn emit_skipped(
    ctx: &Ctx,
    broadcast: &BroadcastId,
    trace: TraceId,
    skipped: impl IntoIterator<Item = Delivery>,
) {
    for delivery in skipped {
        let (broadcast, trace) = (broadcast.clone(), Some(trace));
        ctx.progress.emit(ProgressEvent::Skipped { broadcast, trace, delivery });
    }
}
