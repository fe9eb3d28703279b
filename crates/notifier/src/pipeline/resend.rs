//! Sends a broadcast again, to the containers that were not notified.
//!
//! The broadcast and its deliveries keep their ids. A receiver that accepted a delivery whose answer was lost recognises
//! the repeat. One report has both rounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use wire::{Broadcast, ObserverMessage, PartId};

use super::clusters::{self, Resolved};
use super::send::{self, SendError};
use super::{Ctx, part};
use crate::base::text::chain;
use crate::base::trace::TraceId;
use crate::deliver::DeliveryJob;
use crate::fleet::Recheck;
use crate::ledger::{BroadcastRecord, Ledger, LedgerError, PartRecord, Recorded};
use crate::model::{Cause, Delivery, Endpoint, Fleet, Member, Outcome, ProgressEvent};
use crate::report::Report;

/// Concurrent lookups of tasks.
const LOOKUPS_AT_ONCE: usize = 400;

/// Whether a delivery is repeated: it failed, was rejected, or has no outcome. Dropped, cancelled and stopped deliveries are not.
pub fn is_due(entry: &Delivery) -> bool {
    let may_be = matches!(entry.outcome, None | Some(Outcome::Failed | Outcome::Rejected));
    may_be && !matches!(entry.cause, Some(Cause::Dropped | Cause::Cancelled | Cause::Stopped))
}

/// Refuses a broadcast in waves that has not ended: among the containers that it has not notified are those of waves to
/// come.
///
/// # Errors
///
/// [`SendError::InWaves`].
pub fn check(record: &BroadcastRecord, recorded: &Recorded) -> Result<(), SendError> {
    if record.pace.is_some() && !recorded.is_complete { Err(SendError::InWaves) } else { Ok(()) }
}

/// The scope of a broadcast, narrowed to the services with a delivery that is due: one for each cluster, none when no
/// delivery is due.
///
/// For messages to the observer queue, which name services. With a ledger, notified containers are not called again.
pub fn scopes(record: &BroadcastRecord, report: &Report) -> Vec<ObserverMessage> {
    let mut due = BTreeMap::<&str, BTreeSet<&str>>::new();
    for entry in report.entries().iter().filter(|entry| is_due(entry)) {
        let cluster = if record.is_several() { &entry.member.cluster } else { &record.cluster };
        due.entry(cluster).or_default().insert(&entry.member.service);
    }
    due.into_iter().map(|(cluster, services)| scope(record, cluster, &services)).collect()
}

fn scope(record: &BroadcastRecord, cluster: &str, services: &BTreeSet<&str>) -> ObserverMessage {
    let mut scope = ObserverMessage::new(cluster);
    if record.is_several() {
        scope = clusters::one(&record.scope(), cluster);
    }
    // A message cannot name the groups of standalone tasks.
    let is_named = |service: &&str| !service.is_empty() && !service.contains(':');
    if services.iter().all(is_named) {
        scope.services = services.iter().map(|&service| service.to_owned()).collect();
    } else {
        scope.services.clone_from(&record.services);
        scope.standalone = record.standalone;
    }
    scope
}

/// Records the due deliveries as pending, before their message is published: so no outcome of the new round is
/// overwritten, and a wait for the end of the broadcast includes them.
pub async fn expect(ledger: &Ledger, report: &Report) -> Result<(), LedgerError> {
    let pending = due_tasks(report).map(|entry| Delivery {
        outcome: None,
        reason: Some("requested again".to_owned()),
        cause: None,
        status: None,
        ..entry.clone()
    });
    try_join_all(pending.map(|entry| ledger.settle(report.broadcast(), entry))).await.map(drop)
}

/// Reverts [`expect`] after the message could not be published.
pub async fn expect_no_more(ledger: &Ledger, report: &Report) -> Result<(), LedgerError> {
    let before = due_tasks(report).cloned();
    try_join_all(before.map(|entry| ledger.settle(report.broadcast(), entry))).await.map(drop)
}

fn due_tasks(report: &Report) -> impl Iterator<Item = &Delivery> {
    report.entries().iter().filter(|entry| is_due(entry) && !entry.member.task.is_empty())
}

/// Calls the containers of a broadcast that were not notified, at their current addresses, and waits until each delivery
/// has ended. Returns the report of these deliveries.
pub async fn send(
    ctx: &Arc<Ctx>,
    record: &BroadcastRecord,
    recorded: &Recorded,
    broadcast: &Broadcast,
) -> Result<Report, SendError> {
    send::refuse_ended(ctx, broadcast).await?;
    check(record, recorded)?;
    let (tasks, parts): (Vec<&Delivery>, Vec<&Delivery>) = recorded
        .report
        .entries()
        .iter()
        .filter(|delivery| is_due(delivery))
        .partition(|delivery| !delivery.member.task.is_empty());
    // A list of futures: with a lazy stream, this future would not be `Send`.
    let lookups: Vec<_> =
        tasks.iter().map(|delivery| ctx.discovery.recheck(&delivery.member, None)).collect();
    let found = stream::iter(lookups).buffered(LOOKUPS_AT_ONCE).map(|found| match found {
        // One cluster of several that cannot be reached does not stop the others.
        Err(error) if record.is_several() => Ok(Recheck::Nowhere(chain(&error))),
        found => found.map_err(SendError::Recheck),
    });
    let found: Vec<Recheck> = found.try_collect().await?;
    let Unseen { fleet: unseen, unreached } = unseen(ctx, record, &recorded.report, &parts).await?;
    let trace = send::trace(ctx, broadcast);
    let (report, ()) = send::deliver(ctx, broadcast, trace, |transport| async move {
        let mut jobs = Vec::new();
        for (delivery, found) in tasks.into_iter().zip(found) {
            let (outcome, reason, cause) = match found {
                // A starting container is looked up again before it is called.
                Recheck::At(endpoint) => {
                    jobs.push(DeliveryJob::new(endpoint).after_requests(delivery.requests()));
                    continue;
                }
                Recheck::Stopped(why) => (Some(Outcome::Gone), Some(why), Some(Cause::Stopped)),
                Recheck::Nowhere(why) => (Some(Outcome::Failed), Some(why), Some(Cause::Nowhere)),
            };
            let ended = Delivery { outcome, reason, cause, ..delivery.clone() };
            ctx.ledger.settle(&broadcast.id, ended.clone()).await?;
            transport.done(ended);
        }
        unseen.skips.iter().cloned().chain(unreached).for_each(|ended| transport.done(ended));
        part::emit_skipped(ctx, &broadcast.id, trace.trace, unseen.skips);
        jobs.extend(unseen.endpoints.into_iter().map(DeliveryJob::new));
        announce(ctx, broadcast, trace.trace, &jobs);
        for job in jobs {
            transport.send(job).await?;
        }
        Ok(())
    })
    .await?;
    Ok(report)
}

/// What is found of the services whose tasks are not recorded.
#[derive(Default)]
struct Unseen {
    /// Their containers, without recorded ones.
    fleet: Fleet,
    /// Clusters that still cannot be reached.
    unreached: Vec<Delivery>,
}

/// Discovers and records the services whose tasks are not recorded.
async fn unseen(
    ctx: &Ctx,
    record: &BroadcastRecord,
    report: &Report,
    parts: &[&Delivery],
) -> Result<Unseen, SendError> {
    let parts = parts.iter().map(|entry| (*entry).clone()).collect();
    // An entry for a whole service without known tasks is not a container.
    let is_known =
        |entry: &&Delivery| !entry.member.task.is_empty() || entry.outcome == Some(Outcome::Skipped);
    let recorded = report.entries().iter().filter(is_known).map(|entry| place(&entry.member));
    let recorded: BTreeSet<_> = recorded.collect();
    let mut unseen = Unseen::default();
    for scope in scopes(record, &Report::new(record.id.clone(), parts)) {
        let (clusters, mut failed) = match clusters::resolve(ctx, &scope).await? {
            Resolved::One => (vec![scope], Vec::new()),
            Resolved::Several { scopes, failed } => {
                let names: Vec<_> = scopes.iter().map(|scope| scope.cluster.clone()).collect();
                let pattern = BroadcastRecord { failure: None, ..record.of_cluster(&scope.cluster) };
                if !names.is_empty() {
                    ctx.ledger.split(pattern, &names).await?;
                }
                (scopes, failed)
            }
        };
        for scope in clusters {
            let mut fleet = match ctx.discovery.fleet(&scope).await {
                Err(error) if scope.split => {
                    failed.push((scope, error));
                    continue;
                }
                fleet => fleet?,
            };
            fleet.endpoints.retain(|endpoint| !recorded.contains(&place(&endpoint.member)));
            fleet.skips.retain(|skip| !recorded.contains(&place(&skip.member)));
            let of_cluster = if scope.split { record.of_cluster(&scope.cluster) } else { record.clone() };
            record_unseen(ctx, of_cluster, report, &fleet).await?;
            unseen.fleet.extend(fleet);
        }
        let failed = failed.into_iter();
        unseen.unreached.extend(
            failed.map(|(scope, error)| Delivery::not_discovered(&scope.cluster, "", &chain(&error))),
        );
    }
    Ok(unseen)
}

/// Records the containers of a cluster that no earlier run found, and that its discovery is complete.
async fn record_unseen(
    ctx: &Ctx,
    record: BroadcastRecord,
    report: &Report,
    unseen: &Fleet,
) -> Result<(), LedgerError> {
    let is_of_cluster = |entry: &&Delivery| !record.split || entry.member.cluster == record.cluster;
    let (tasks, others): (Vec<&Delivery>, Vec<&Delivery>) =
        report.entries().iter().filter(is_of_cluster).partition(|delivery| !delivery.member.task.is_empty());
    // The number of known tasks makes the id unique for every resend that finds a new container.
    let id = PartId::derive([record.id.as_str(), "again", &tasks.len().to_string(), &record.cluster]);
    let (cluster, service) = (record.cluster.clone(), String::new());
    let part = PartRecord { id: id.clone(), cluster, service: service.clone(), failure: None };
    let expected: Vec<_> = unseen.endpoints.iter().map(Delivery::from).collect();
    ctx.ledger.part(&record.id, &part, &expected, &unseen.skips).await?;
    // Skipped services stay recorded.
    let skips: Vec<_> =
        others.into_iter().filter(|other| other.outcome == Some(Outcome::Skipped)).cloned().collect();
    ctx.ledger.broadcast(BroadcastRecord { failure: None, ..record }, &[(id, service)], &skips).await
}

fn place(member: &Member) -> (&str, &str, &str, &str) {
    (&member.cluster, &member.service, &member.task, &member.container)
}

/// Notifies the listeners of the expected deliveries.
fn announce(ctx: &Ctx, broadcast: &Broadcast, trace: TraceId, jobs: &[DeliveryJob]) {
    let mut services = BTreeMap::<&str, Vec<Endpoint>>::new();
    for endpoint in jobs.iter().map(DeliveryJob::endpoint) {
        services.entry(&endpoint.member.service).or_default().push(endpoint.clone());
    }
    let part = |service: &str| PartId::derive([service, "again"]);
    let parts = services.keys().map(|service| part(service)).collect();
    let (broadcast, trace) = (&broadcast.id, Some(trace));
    ctx.progress.emit(ProgressEvent::Services {
        broadcast: broadcast.clone(),
        trace,
        parts,
        not_targeted: vec![],
        age: None,
    });
    for (service, endpoints) in services {
        let (part, service) = (part(service), service.to_owned());
        let (broadcast, not_targeted) = (broadcast.clone(), vec![]);
        ctx.progress.emit(ProgressEvent::Tasks { broadcast, trace, part, service, endpoints, not_targeted });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(entries: &[(&str, Option<Outcome>, Option<Cause>)]) -> Report {
        let entry = |(service, outcome, cause): &(&str, Option<Outcome>, Option<Cause>)| Delivery {
            member: Arc::new(Member {
                service: (*service).to_owned(),
                task: "arn:t".to_owned(),
                ..Member::default()
            }),
            outcome: *outcome,
            cause: *cause,
            ..Delivery::default()
        };
        Report::new("b-1".to_owned().try_into().unwrap(), entries.iter().map(entry).collect())
    }

    /// The services that are named; `None` if no message is sent.
    fn again(entries: &[(&str, Option<Outcome>, Option<Cause>)]) -> Option<Vec<String>> {
        let message = ObserverMessage::new("prod");
        let id = wire::BroadcastId::try_from("b-1".to_owned()).unwrap();
        let event = wire::Draft::default().complete(&id, time::OffsetDateTime::UNIX_EPOCH).unwrap();
        let broadcast = Broadcast::new(event);
        let record = BroadcastRecord::new(&message, &broadcast, time::OffsetDateTime::UNIX_EPOCH, None);
        let [message] = <[_; 1]>::try_from(scopes(&record, &report(entries))).ok()?;
        Some(message.services)
    }

    #[test]
    fn only_services_with_somebody_to_call_are_asked_for_again() {
        let delivered = ("delivered", Some(Outcome::Delivered), None);
        let (gone, skipped) =
            (("gone", Some(Outcome::Gone), None), ("skipped", Some(Outcome::Skipped), None));
        let dropped = ("dropped", Some(Outcome::Failed), Some(Cause::Dropped));
        assert_eq!(again(&[delivered, gone, skipped, dropped]), None);
        let failed = ("failed", Some(Outcome::Failed), Some(Cause::TimedOut));
        let (rejected, pending) = (("rejected", Some(Outcome::Rejected), None), ("pending", None, None));
        assert_eq!(
            again(&[delivered, failed, rejected, pending]).unwrap(),
            ["failed", "pending", "rejected"]
        );
        let standalone = ("family:migrate", Some(Outcome::Failed), None);
        assert_eq!(again(&[failed, standalone]), Some(Vec::new()), "the whole scope");
    }
}
