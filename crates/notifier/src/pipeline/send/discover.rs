//! Discovers one cluster, records it part by part, and hands the endpoints to the workers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use wire::{Broadcast, ObserverMessage, PartId};

use super::earlier::Earlier;
use super::{SendError, Transport};
use crate::base::text::chain;
use crate::base::trace::TraceContext;
use crate::deliver::DeliveryJob;
use crate::fleet::DiscoveryError;
use crate::ledger::{BroadcastRecord, LedgerError, PartRecord};
use crate::model::arn::service_name;
use crate::model::{Cause, Delivery, Endpoint, Fleet, Member, Outcome, ProgressEvent};
use crate::pipeline::{Ctx, late, notify, part};

/// What the discoveries of all clusters of one broadcast share.
#[derive(Clone, Copy)]
pub(super) struct Recipients<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) broadcast: &'a Broadcast,
    pub(super) trace: TraceContext,
    pub(super) earlier: &'a Earlier,
    pub(super) transport: &'a Transport,
}

/// The discovery of one cluster.
pub(super) struct Discovery<'a> {
    to: Recipients<'a>,
    scope: &'a ObserverMessage,
    record: BroadcastRecord,
    /// The parts that were recorded, with their services.
    parts: Vec<(PartId, String)>,
    /// The tasks that were found, if others are looked for later.
    known: Option<HashSet<String>>,
}

impl<'a> Discovery<'a> {
    pub(super) fn new(to: Recipients<'a>, scope: &'a ObserverMessage, record: BroadcastRecord) -> Self {
        let known = scope.cover.map(|_| HashSet::new());
        Self { to, scope, record, parts: Vec::new(), known }
    }

    /// Discovers the scope, records it part by part, and hands the endpoints to the workers. Returns the error that ended
    /// discovery after some tasks had been found.
    pub(super) async fn run(mut self) -> Result<Option<DiscoveryError>, SendError> {
        let (found, chunks) = mpsc::channel(1);
        let (Recipients { ctx, broadcast, trace, earlier, transport }, scope) = (self.to, self.scope);
        let begun = Instant::now();
        late::keep(ctx, scope, broadcast, ctx.clock.now()).await?;
        let scanning = async {
            tokio::select! {
                scanned = ctx.discovery.scan(scope, found) => scanned.map(Some),
                () = ctx.stop.cancelled() => Ok(None),
            }
        };
        let handing = async {
            let (mut chunks, mut all) = (chunks, Fleet::default());
            while let Some(chunk) = chunks.recv().await {
                // Waves need the size of each service.
                if earlier.is_empty() && transport.waves().is_none() {
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
        // A task that is missing from a part of the fleet has not stopped; and waves need the whole fleet.
        if (!earlier.is_empty() || transport.waves().is_some()) && matches!(scanned, Ok(Some(_))) {
            let stopped = earlier.stopped(scope, &all);
            self.hand_over(all).await?;
            try_join_all(stopped.map(|delivery| async {
                transport.done(delivery.clone());
                notify::settle(ctx, broadcast, trace.trace, delivery).await
            }))
            .await?;
        }
        match scanned {
            Ok(Some(found)) => {
                self.record.found = Some(found);
                if !self.record.split {
                    transport.found(found);
                }
                self.begin(&[]).await?;
                let covered = self.cover(begun).await?;
                self.end(covered.as_ref().map(|error| chain(error))).await?;
                Ok(covered)
            }
            Ok(None) => {
                let missing = self.missing("interrupted before its tasks were found");
                transport.done(Delivery { cause: Some(Cause::Interrupted), ..missing });
                Ok(None)
            }
            Err(error) if self.parts.is_empty() => Err(error.into()),
            Err(error) => {
                let reason = chain(&error);
                let (outcome, cause) = (Some(Outcome::Failed), Some(Cause::Discovery));
                transport.done(Delivery { outcome, cause, ..self.missing(&reason) });
                self.end(Some(reason)).await?;
                Ok(Some(error))
            }
        }
    }

    /// Waits until the end of the time for which the broadcast is open, and hands over the tasks that have started since.
    /// Returns the error of their discovery.
    async fn cover(&mut self, begun: Instant) -> Result<Option<DiscoveryError>, LedgerError> {
        let (Some(seconds), Some(known)) = (self.scope.cover, self.known.take()) else { return Ok(None) };
        let Recipients { ctx, transport, .. } = self.to;
        tokio::select! {
            () = sleep_until(begun + Duration::from_secs(seconds.into())) => {}
            () = ctx.stop.cancelled() => return Ok(None),
        }
        match ctx.discovery.other_tasks(self.scope, |task| known.contains(task)).await {
            Ok(fleet) => self.hand_over(fleet.late()).await.map(|()| None),
            Err(error) => {
                let (outcome, cause) = (Some(Outcome::Failed), Some(Cause::Discovery));
                transport.done(Delivery { outcome, cause, ..self.missing(&chain(&error)) });
                Ok(Some(error))
            }
        }
    }

    /// The entry for the tasks of the scope that were not found.
    fn missing(&self, reason: &str) -> Delivery {
        Delivery::of_service(&self.scope.cluster, "", reason)
    }

    /// Records what was found of each service, and hands the endpoints that still need a call to the workers.
    async fn hand_over(&mut self, mut fleet: Fleet) -> Result<(), LedgerError> {
        let Recipients { ctx, broadcast, trace, earlier, transport } = self.to;
        if let Some(waves) = transport.waves() {
            fleet.in_waves(&waves.of_tasks(&broadcast.id, &fleet));
            for endpoint in &fleet.endpoints {
                if let (Some(wave), Some(known)) = (endpoint.wave, earlier.get(&endpoint.member)) {
                    waves.resume(wave, known);
                }
            }
        }
        if let Some(known) = &mut self.known {
            known.extend(fleet.endpoints.iter().map(|endpoint| endpoint.member.task.clone()));
            known.extend(fleet.skips.iter().map(|skip| skip.member.task.clone()));
        }
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
                transport.done(skip.clone());
            }
            let expected: Vec<_> = fleet.endpoints.iter().map(|endpoint| endpoint.member.clone()).collect();
            let is_notified = |member: &Member| earlier.get(member).is_some_and(Delivery::is_notified);
            let due = part::record(ctx, (broadcast, trace), part, fleet, is_notified).await?;
            self.report_notified(expected, &due);
            for endpoint in due {
                let requests = earlier.get(&endpoint.member).map_or(0, Delivery::requests);
                transport.send(DeliveryJob::new(endpoint).after_requests(requests)).await?;
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
            if let Some(known) = self.to.earlier.get(&member) {
                self.to.transport.done(known.clone());
            }
        }
    }

    /// Records the broadcast and notifies the listeners, before its first part. Until the end, the record names parts that
    /// were not looked at, one for each named service: a run that is killed leaves a broadcast that is not complete.
    async fn begin(&self, parts: &[(PartId, String)]) -> Result<(), LedgerError> {
        if !self.parts.is_empty() {
            return Ok(());
        }
        let Recipients { ctx, broadcast, trace, .. } = self.to;
        let cluster = if self.record.split { self.record.cluster.as_str() } else { "" };
        let open = |service: &str| {
            (PartId::derive([broadcast.id.as_str(), "direct", service, cluster]), service.to_owned())
        };
        let open: Vec<_> = match self.scope.services.as_slice() {
            [] => vec![open("")],
            services => services.iter().map(|service| open(service_name(service))).collect(),
        };
        ctx.ledger.broadcast(self.record.clone(), &open, &[]).await?;
        let (broadcast, parts) = (broadcast.id.clone(), parts.iter().map(|(id, _)| id.clone()).collect());
        let (trace, not_targeted) = (Some(trace.trace), Vec::new());
        // The end of several clusters is the end of `send`, which nobody scrapes.
        ctx.progress.emit(ProgressEvent::Services { broadcast, trace, parts, not_targeted, age: None });
        Ok(())
    }

    /// Records what the whole scope has come to.
    async fn end(&self, failure: Option<String>) -> Result<(), LedgerError> {
        let record = BroadcastRecord { failure, ..self.record.clone() };
        self.to.ctx.ledger.broadcast(record, &self.parts, &[]).await
    }
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
