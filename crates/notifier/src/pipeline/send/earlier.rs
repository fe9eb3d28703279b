//! What an earlier run of the same broadcast has recorded.

use std::collections::{BTreeMap, BTreeSet};

use wire::{Broadcast, ObserverMessage};

use crate::ledger::LedgerError;
use crate::model::arn::service_name;
use crate::model::{Delivery, Fleet, Member};
use crate::pipeline::Ctx;

/// The deliveries that an earlier run of the same broadcast has recorded, by task and container.
#[derive(Default)]
pub(super) struct Earlier(BTreeMap<(String, String), Delivery>);

impl Earlier {
    pub(super) async fn load(ctx: &Ctx, broadcast: &Broadcast) -> Result<Self, LedgerError> {
        if ctx.ledger.asked(&broadcast.id).await?.is_none() {
            return Ok(Self::default());
        }
        let recorded = ctx.ledger.read(&broadcast.id).await?;
        let deliveries = recorded.iter().flat_map(|recorded| recorded.report.entries());
        let of_tasks = deliveries.filter(|delivery| !delivery.member.task.is_empty());
        Ok(Self(of_tasks.map(|delivery| (container(&delivery.member), delivery.clone())).collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, member: &Member) -> Option<&Delivery> {
        if self.0.is_empty() { None } else { self.0.get(&container(member)) }
    }

    /// Deliveries of the scope that were expected, and whose tasks are not found any more.
    pub(super) fn stopped(
        &self,
        scope: &ObserverMessage,
        found: &Fleet,
    ) -> impl Iterator<Item = Delivery> + use<> {
        let endpoints = found.endpoints.iter().map(|endpoint| container(&endpoint.member));
        let found: BTreeSet<_> =
            endpoints.chain(found.skips.iter().map(|skip| container(&skip.member))).collect();
        let services: BTreeSet<&str> = scope.services.iter().map(|service| service_name(service)).collect();
        let is_meant = |member: &Member| {
            (services.is_empty() || services.contains(member.service.as_str()))
                && (!scope.split || member.cluster == scope.cluster)
        };
        let stopped = self.0.iter().filter(|(key, delivery)| {
            delivery.outcome.is_none() && !found.contains(*key) && is_meant(&delivery.member)
        });
        stopped.map(|(_, delivery)| delivery.clone().stopped()).collect::<Vec<_>>().into_iter()
    }
}

fn container(member: &Member) -> (String, String) {
    (member.task.clone(), member.container.clone())
}
