//! A broadcast in one process: the pipeline on the in-memory transport, for a terminal or a CI job.
//!
//! The first tasks are called while the others are still being discovered.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;
use wire::{Broadcast, ObserverMessage, PartId};

use super::memory::{self, Steps, Workers};
use super::{Ctx, discovery, notify};
use crate::base::text::{chain, printable};
use crate::deliver::{DeliveryJob, Next, Round};
use crate::fleet::{DiscoveryError, RecheckError};
use crate::ledger::{BroadcastRecord, LedgerError, PartRecord};
use crate::model::arn::service_name;
use crate::model::{Cause, Delivery, Endpoint, Fleet, Member, Outcome, ProgressEvent};
use crate::report::Report;

/// The most characters of a reason to cancel that an error repeats.
const REASON_CHARS_MAX: usize = 200;
/// Deliveries that wait between discovery and delivery; discovery waits while there are more.
const JOBS_WAITING_MAX: usize = 1_024;

/// Why a broadcast was not made, or not to every task.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The fleet cannot be found; no task was called.
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
    /// The ledger does not answer. Without it no task is called.
    #[error("the ledger cannot be used")]
    Ledger(#[from] LedgerError),
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
pub async fn send(
    ctx: &Arc<Ctx>,
    scope: &ObserverMessage,
    broadcast: &Broadcast,
    asked_by: Option<String>,
) -> Result<Report, SendError> {
    refuse_cancelled(ctx, broadcast).await?;
    let earlier = Earlier::load(ctx, broadcast).await?;
    let record = BroadcastRecord::new(scope, broadcast, ctx.clock.now(), asked_by);
    let (report, failed) = deliver(ctx, broadcast, |transport| {
        Discovery { ctx, scope, broadcast, record, earlier, transport, parts: Vec::new() }.run()
    })
    .await?;
    match failed {
        None => Ok(report),
        Some(source) => Err(SendError::Incomplete { report: Box::new(report), source }),
    }
}

pub(super) async fn refuse_cancelled(ctx: &Ctx, broadcast: &Broadcast) -> Result<(), SendError> {
    match ctx.ledger.cancelled(&broadcast.id).await? {
        Some(cancel) => Err(SendError::Cancelled { reason: cancel.reason }),
        None => Ok(()),
    }
}

/// Delivers what `hand_over` gives to the transport, and waits until each delivery has ended. Returns what became of them,
/// and the result of `hand_over`, which drops the transport when no other delivery can come.
pub(super) async fn deliver<F: Future<Output = Result<T, SendError>>, T>(
    ctx: &Arc<Ctx>,
    broadcast: &Broadcast,
    hand_over: impl FnOnce(Transport) -> F,
) -> Result<(Report, T), SendError> {
    let (jobs, waiting) = mpsc::channel(JOBS_WAITING_MAX);
    let deliveries =
        Deliveries { ctx: Arc::clone(ctx), broadcast: broadcast.clone(), done: Mutex::default() };
    let deliveries = Arc::new(deliveries);
    let options = ctx.deliverer.options();
    let workers = Workers { concurrency: options.concurrency, grace: options.grace, stop: ctx.stop.clone() };
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
    Ok((Report::new(broadcast.id.clone(), done), handed_over?))
}

/// The way from discovery to the workers, and what they have done.
pub(super) struct Transport {
    jobs: mpsc::Sender<DeliveryJob>,
    deliveries: Arc<Deliveries>,
}

impl Transport {
    /// Hands a delivery over, and waits while too many wait. One that the workers do not take any more, because they were
    /// interrupted, is recorded as such.
    pub(super) async fn send(&self, job: DeliveryJob) -> Result<(), LedgerError> {
        match self.jobs.send(job).await {
            Err(mpsc::error::SendError(job)) if self.deliveries.ctx.stop.is_cancelled() => {
                self.deliveries.settle(job.interrupted(false)).await
            }
            // The caller gets the error that ended the workers from them.
            _ => Ok(()),
        }
    }

    /// Adds a delivery that needs no call.
    pub(super) fn done(&self, delivery: Delivery) {
        self.deliveries.done().push(delivery);
    }
}

/// The deliveries of one broadcast, as the workers make them.
struct Deliveries {
    ctx: Arc<Ctx>,
    broadcast: Broadcast,
    done: Mutex<Vec<Delivery>>,
}

impl Deliveries {
    fn done(&self) -> MutexGuard<'_, Vec<Delivery>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steps for Deliveries {
    type Error = LedgerError;

    async fn advance(&self, job: &mut DeliveryJob) -> Result<Next, LedgerError> {
        notify::advance(&self.ctx, &self.broadcast, job, Round::default()).await
    }

    async fn settle(&self, delivery: Delivery) -> Result<(), LedgerError> {
        self.done().push(delivery.clone());
        notify::settle(&self.ctx, &self.broadcast, delivery).await
    }
}

/// The discovery side of one broadcast. The workers end when it is dropped, because no other delivery can come.
struct Discovery<'a> {
    ctx: &'a Ctx,
    scope: &'a ObserverMessage,
    broadcast: &'a Broadcast,
    record: BroadcastRecord,
    earlier: Earlier,
    transport: Transport,
    /// The parts that were recorded, with their services.
    parts: Vec<(PartId, String)>,
}

impl Discovery<'_> {
    /// Discovers the scope, records it part by part, and hands the endpoints to the workers. Returns the error that ended
    /// discovery after some tasks had been found.
    async fn run(mut self) -> Result<Option<DiscoveryError>, SendError> {
        let (found, chunks) = mpsc::channel(1);
        let (ctx, scope) = (self.ctx, self.scope);
        let scanning = async {
            tokio::select! {
                scanned = ctx.discovery.scan(scope, found) => scanned.map(|()| true),
                () = ctx.stop.cancelled() => Ok(false),
            }
        };
        let handing = async {
            let (mut chunks, mut all) = (chunks, Fleet::default());
            while let Some(chunk) = chunks.recv().await {
                if self.earlier.is_empty() {
                    self.hand_over(chunk).await?;
                } else {
                    // An earlier run may have recorded the same tasks in other parts: all are compared at once.
                    all.extend(chunk);
                }
            }
            Ok::<_, LedgerError>(all)
        };
        let (scanned, all) = tokio::join!(scanning, handing);
        let all = all?;
        // A task that is missing from a part of the fleet has not stopped.
        if !self.earlier.is_empty() && matches!(scanned, Ok(true)) {
            let stopped = self.earlier.stopped(self.scope, &all);
            self.hand_over(all).await?;
            try_join_all(stopped.map(|delivery| async {
                self.transport.done(delivery.clone());
                notify::settle(ctx, self.broadcast, delivery).await
            }))
            .await?;
        }
        match scanned {
            Ok(true) => {
                self.begin(&[]).await?;
                self.end(None).await?;
                Ok(None)
            }
            Ok(false) => {
                let missing = self.missing("interrupted before its tasks were found");
                self.transport.done(Delivery { cause: Some(Cause::Interrupted), ..missing });
                Ok(None)
            }
            Err(error) if self.parts.is_empty() => Err(error.into()),
            Err(error) => {
                let reason = chain(&error);
                let (outcome, cause) = (Some(Outcome::Failed), Some(Cause::Discovery));
                self.transport.done(Delivery { outcome, cause, ..self.missing(&reason) });
                self.end(Some(reason)).await?;
                Ok(Some(error))
            }
        }
    }

    /// The entry for the tasks of the scope that were not found.
    fn missing(&self, reason: &str) -> Delivery {
        Delivery::of_service(&self.scope.cluster, "", reason)
    }

    /// Records what was found of each service, and hands the endpoints that still need a call to the workers.
    async fn hand_over(&mut self, fleet: Fleet) -> Result<(), LedgerError> {
        let chunk = self.parts.len();
        let parts: Vec<_> = services(fleet)
            .into_iter()
            .map(|((cluster, service), fleet)| {
                let id = PartId::derive([&cluster, &service, "direct", &chunk.to_string()]);
                (PartRecord { id, cluster, service, failure: None }, fleet)
            })
            .collect();
        let ids: Vec<_> = parts.iter().map(|(part, _)| (part.id.clone(), part.service.clone())).collect();
        self.begin(&ids).await?;
        self.parts.extend(ids);
        for (part, fleet) in parts {
            self.record.not_targeted += fleet.not_targeted.len();
            for skip in &fleet.skips {
                self.transport.done(skip.clone());
            }
            let expected: Vec<_> = fleet.endpoints.iter().map(|endpoint| endpoint.member.clone()).collect();
            let is_notified = |member: &Member| self.earlier.get(member).is_some_and(Delivery::is_notified);
            let due = discovery::record_part(self.ctx, self.broadcast, part, fleet, is_notified).await?;
            self.report_notified(expected, &due);
            for endpoint in due {
                let requests = self.earlier.get(&endpoint.member).map_or(0, Delivery::requests);
                self.transport.send(DeliveryJob::new(endpoint).after_requests(requests)).await?;
            }
        }
        Ok(())
    }

    /// Reports the containers that an earlier run has notified.
    fn report_notified(&self, expected: Vec<Arc<Member>>, due: &[Endpoint]) {
        if due.len() == expected.len() {
            return;
        }
        let due: BTreeSet<_> = due.iter().map(|endpoint| &endpoint.member).collect();
        for member in expected.into_iter().filter(|member| !due.contains(&member)) {
            if let Some(known) = self.earlier.get(&member) {
                self.transport.done(known.clone());
            }
        }
    }

    /// Records the broadcast and notifies the listeners, before its first part. Until the end, the record names parts that
    /// were not looked at, one for each named service: a run that is killed leaves a broadcast that is not complete.
    async fn begin(&self, parts: &[(PartId, String)]) -> Result<(), LedgerError> {
        if !self.parts.is_empty() {
            return Ok(());
        }
        let open = |service: &str| {
            (PartId::derive([self.broadcast.id.as_str(), "direct", service]), service.to_owned())
        };
        let open: Vec<_> = match self.scope.services.as_slice() {
            [] => vec![open("")],
            services => services.iter().map(|service| open(service_name(service))).collect(),
        };
        self.ctx.ledger.broadcast(self.record.clone(), &open, &[]).await?;
        let (broadcast, parts) =
            (self.broadcast.id.clone(), parts.iter().map(|(id, _)| id.clone()).collect());
        self.ctx.progress.emit(ProgressEvent::Services { broadcast, parts, not_targeted: Vec::new() });
        Ok(())
    }

    /// Records what the whole scope has come to.
    async fn end(&self, failure: Option<String>) -> Result<(), LedgerError> {
        let record = BroadcastRecord { failure, ..self.record.clone() };
        self.ctx.ledger.broadcast(record, &self.parts, &[]).await
    }
}

/// The deliveries that an earlier run of the same broadcast has recorded, by task and container.
#[derive(Default)]
struct Earlier(BTreeMap<(String, String), Delivery>);

impl Earlier {
    async fn load(ctx: &Ctx, broadcast: &Broadcast) -> Result<Self, LedgerError> {
        if ctx.ledger.asked(&broadcast.id).await?.is_none() {
            return Ok(Self::default());
        }
        let recorded = ctx.ledger.read(&broadcast.id).await?;
        let deliveries = recorded.iter().flat_map(|recorded| recorded.report.entries());
        let of_tasks = deliveries.filter(|delivery| !delivery.member.task.is_empty());
        Ok(Self(of_tasks.map(|delivery| (container(&delivery.member), delivery.clone())).collect()))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, member: &Member) -> Option<&Delivery> {
        if self.0.is_empty() { None } else { self.0.get(&container(member)) }
    }

    /// Deliveries of the scope that were expected, and whose tasks are not found any more.
    fn stopped(&self, scope: &ObserverMessage, found: &Fleet) -> impl Iterator<Item = Delivery> + use<> {
        let endpoints = found.endpoints.iter().map(|endpoint| container(&endpoint.member));
        let found: BTreeSet<_> =
            endpoints.chain(found.skips.iter().map(|skip| container(&skip.member))).collect();
        let services: BTreeSet<&str> = scope.services.iter().map(|service| service_name(service)).collect();
        let is_meant = |member: &Member| services.is_empty() || services.contains(member.service.as_str());
        let stopped = self.0.iter().filter(|(key, delivery)| {
            delivery.outcome.is_none() && !found.contains(*key) && is_meant(&delivery.member)
        });
        stopped.map(|(_, delivery)| delivery.clone().stopped()).collect::<Vec<_>>().into_iter()
    }
}

fn container(member: &Member) -> (String, String) {
    (member.task.clone(), member.container.clone())
}

/// The fleet, by cluster and service.
fn services(fleet: Fleet) -> BTreeMap<(String, String), Fleet> {
    let mut services = BTreeMap::<(String, String), Fleet>::new();
    for endpoint in fleet.endpoints {
        of_service(&mut services, &endpoint.member).endpoints.push(endpoint);
    }
    for skip in fleet.skips {
        of_service(&mut services, &skip.member).skips.push(skip);
    }
    for other in fleet.not_targeted {
        of_service(&mut services, &other.member).not_targeted.push(other);
    }
    services
}

fn of_service<'a>(services: &'a mut BTreeMap<(String, String), Fleet>, member: &Member) -> &'a mut Fleet {
    services.entry((member.cluster.clone(), member.service.clone())).or_default()
}
