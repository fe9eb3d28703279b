//! The three stages as one call, for a terminal or a CI job: no queue stands between them.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use wire::{Broadcast, ObserverMessage, PartId};

use super::Ctx;
use crate::base::text::printable;
use crate::fleet::{DiscoveryError, RecheckError};
use crate::ledger::{BroadcastRecord, LedgerError, PartRecord};
use crate::model::Delivery;
use crate::model::{Endpoint, Fleet, Member};
use crate::model::{Progress, Step};
use crate::report::Report;

/// The most characters of a reason to cancel that an error repeats.
const REASON_CHARS_MAX: usize = 200;
/// Outcomes that are recorded together.
const RECORDS_AT_ONCE: usize = 500;

/// Why a broadcast was not made, or is not known to have been made.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The fleet cannot be found; nobody was called.
    #[error(transparent)]
    Discover(#[from] DiscoveryError),
    /// ECS cannot tell where the tasks of an earlier round are by now; nobody was called.
    #[error("the tasks that were not told cannot be found")]
    Locate(#[source] RecheckError),
    /// The broadcast was cancelled, so nobody was called.
    #[error("the broadcast was cancelled{}, so nobody was called", because(reason))]
    Cancelled {
        /// Why, as whoever cancelled it said; may be empty.
        reason: String,
    },
    /// The ledger does not answer. Without it nobody is called.
    #[error("the ledger cannot be used")]
    Ledger(#[from] LedgerError),
}

/// Whom a broadcast to this scope would call now, and whom not and why. Nobody is called.
///
/// # Errors
///
/// [`DiscoveryError`] when AWS cannot be asked, or has no such cluster.
pub async fn plan(ctx: &Ctx, scope: &ObserverMessage) -> Result<Fleet, DiscoveryError> {
    ctx.discovery.fleet(scope).await
}

/// Calls every endpoint of the scope and waits until each delivery has ended: what became of each container.
///
/// Whom the ledger knows to have been told of this broadcast is not called again, but reported.
///
/// # Errors
///
/// [`SendError`] when the fleet cannot be found or the ledger not be used.
pub async fn send(
    ctx: &Ctx,
    scope: &ObserverMessage,
    broadcast: &Broadcast,
    asked_by: Option<String>,
) -> Result<Report, SendError> {
    refuse_cancelled(ctx, broadcast).await?;
    let fleet = ctx.discovery.fleet(scope).await?;
    let parts = parts(fleet);
    let not_targeted = parts.iter().map(|part| part.fleet.not_targeted.len()).sum();
    let record =
        BroadcastRecord { not_targeted, ..BroadcastRecord::new(scope, broadcast, ctx.clock.now(), asked_by) };
    let listed: Vec<_> = parts.iter().map(|part| (part.id.clone(), part.service.clone())).collect();
    ctx.ledger.broadcast(record, &listed, &[]).await?;
    let parts_told = listed.into_iter().map(|(part, _)| part).collect();
    let broadcast_id = broadcast.id.clone();
    ctx.progress.tell(Step::Services {
        broadcast: broadcast_id,
        parts: parts_told,
        not_targeted: Vec::new(),
    });
    let mut entries = Vec::new();
    let mut endpoints = Vec::new();
    for part in parts {
        endpoints.extend(part.announce(ctx, scope, broadcast, &mut entries).await?);
    }
    entries.extend(deliver(ctx, broadcast, endpoints, &BTreeMap::new()).await?);
    Ok(Report::new(broadcast.id.clone(), entries))
}

/// Calls every endpoint, and records what has ended as it ends. `before` holds the requests of earlier rounds.
///
/// When it is [to stop](Ctx::until), those without an outcome are recorded and reported as interrupted.
pub(crate) async fn deliver(
    ctx: &Ctx,
    broadcast: &Broadcast,
    endpoints: Vec<Endpoint>,
    before: &BTreeMap<Member, u32>,
) -> Result<Vec<Delivery>, LedgerError> {
    let (ended, endings) = mpsc::unbounded_channel();
    let ended = ctx.ledger.is_kept().then_some(ended);
    let (settling, told) = (ended.clone(), ctx.progress.clone());
    let progress = Progress::new(move |step| {
        if let (Step::Settled(settled), Some(ended)) = (&step, &settling) {
            // It fails only when the recorder has, which is reported in the end.
            let _ = ended.send(Delivery::from(settled));
        }
        told.tell(step);
    });
    let (entries, written) = tokio::join!(
        async {
            // The recorder ends when nobody can tell it anything any more.
            let (progress, ended) = (progress, ended);
            let (settled, unsettled) =
                ctx.deliverer.deliver_until(broadcast, endpoints, &progress, &ctx.stop).await;
            if let Some(ended) = ended {
                for entry in &unsettled {
                    let _ = ended.send(entry.clone());
                }
            }
            settled.iter().map(Delivery::from).chain(unsettled).collect()
        },
        record(ctx, broadcast, before, endings)
    );
    written?;
    Ok(entries)
}

pub(crate) async fn refuse_cancelled(ctx: &Ctx, broadcast: &Broadcast) -> Result<(), SendError> {
    match ctx.ledger.cancelled(&broadcast.id).await? {
        Some(cancel) => Err(SendError::Cancelled { reason: cancel.reason }),
        None => Ok(()),
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({})", printable(reason, REASON_CHARS_MAX)) }
}

/// Records what has ended, until nobody can tell of anything any more.
async fn record(
    ctx: &Ctx,
    broadcast: &Broadcast,
    before: &BTreeMap<Member, u32>,
    mut endings: mpsc::UnboundedReceiver<Delivery>,
) -> Result<(), LedgerError> {
    let mut some = Vec::new();
    while endings.recv_many(&mut some, RECORDS_AT_ONCE).await > 0 {
        let settled = some.drain(..).map(|entry: Delivery| {
            let earlier = before.get(&entry.member).copied();
            let attempts = match (entry.attempts, earlier) {
                (Some(attempts), Some(earlier)) => Some(attempts + earlier),
                (attempts, earlier) => attempts.or(earlier),
            };
            ctx.ledger.settle(&broadcast.id, Delivery { attempts, ..entry })
        });
        try_join_all(settled).await?;
    }
    Ok(())
}

/// What was found of one service.
struct Part {
    id: PartId,
    service: String,
    fleet: Fleet,
}

/// The fleet, service by service.
fn parts(fleet: Fleet) -> Vec<Part> {
    let mut services = BTreeMap::new();
    for endpoint in fleet.endpoints {
        of_service(&mut services, &endpoint.member).endpoints.push(endpoint);
    }
    for skip in fleet.skips {
        of_service(&mut services, &skip.member).skips.push(skip);
    }
    for not_targeted in fleet.not_targeted {
        of_service(&mut services, &not_targeted.member).not_targeted.push(not_targeted);
    }
    let part = |((cluster, service), fleet): (Service, Fleet)| Part {
        id: PartId::derive([&cluster, &service, "direct"]),
        service,
        fleet,
    };
    services.into_iter().map(part).collect()
}

/// A cluster and the name of a service.
type Service = (String, String);

fn of_service<'a>(services: &'a mut BTreeMap<Service, Fleet>, member: &Member) -> &'a mut Fleet {
    services.entry((member.cluster.clone(), member.service.clone())).or_default()
}

impl Part {
    /// Records the part and tells of it; whom to call is the answer. Whoever is not called goes to `entries`.
    async fn announce(
        self,
        ctx: &Ctx,
        scope: &ObserverMessage,
        broadcast: &Broadcast,
        entries: &mut Vec<Delivery>,
    ) -> Result<Vec<Endpoint>, LedgerError> {
        let Self { id, service, fleet: Fleet { mut endpoints, skips, not_targeted } } = self;
        let record = PartRecord {
            id: id.clone(),
            cluster: scope.cluster.clone(),
            service: service.clone(),
            failure: None,
        };
        let expected: Vec<_> = endpoints.iter().map(Delivery::from).collect();
        let skipped: Vec<_> = skips.iter().map(Delivery::from).collect();
        let untold = ctx.ledger.part(&broadcast.id, &record, &expected, &skipped).await?;
        for (entry, untold) in expected.into_iter().zip(&untold) {
            if !untold {
                let told = ctx.ledger.standing(&broadcast.id, &entry.member).await?.told;
                entries.push(Delivery { outcome: told, ..entry });
            }
        }
        let mut untold = untold.into_iter();
        endpoints.retain(|_| untold.next().unwrap_or(true));
        entries.extend(skipped);
        ctx.progress.skipped(&broadcast.id, skips);
        ctx.progress.tell(Step::Tasks {
            broadcast: broadcast.id.clone(),
            part: id,
            service,
            endpoints: endpoints.clone(),
            not_targeted,
        });
        Ok(endpoints)
    }
}
