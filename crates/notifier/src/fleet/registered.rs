//! Discovery by the registry: no call to ECS, except for what the registry does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tracing::{debug, warn};
use wire::{Broadcast, ObserverMessage, PAGE_TASKS_MAX, PageMessage, PartMessage};

use super::classify::{CallPolicy, Classifier, Selection, health_is_required};
use super::place::Place;
use super::registry::{Freshness, Registry, RegistryError, Row};
use super::scan::TaskFilter;
use super::services::{Named, Services};
use super::{DiscoveryError, DiscoveryPolicy, HealthPolicy};
use crate::aws::ecs::Ecs;
use crate::base::text::chain;
use crate::model::arn::service_name;
use crate::model::{Delivery, DiscoveryMethod, Fleet, Found, TaskState};

/// A cluster whose running tasks the registry knows.
pub(super) struct Live<'a> {
    registry: &'a Registry,
    /// ARN of the cluster.
    arn: String,
    age: Duration,
}

impl Live<'_> {
    /// How tasks from it were found.
    fn found(&self) -> Found {
        let age_ms = u64::try_from(self.age.as_millis()).ok();
        Found { method: DiscoveryMethod::Registry, age_ms }
    }

    /// The running tasks that match, and the names of their services.
    async fn tasks(&self, filter: &TaskFilter) -> Result<(Vec<String>, BTreeSet<String>), RegistryError> {
        let (mut arns, mut services) = (Vec::new(), BTreeSet::new());
        let mut pages = self.registry.rows(&self.arn);
        while let Some(rows) = pages.next().await {
            for row in rows?.iter().map(Row::state).filter(|task| filter.matches(task)) {
                arns.push(row.arn.clone());
                if let Some(service) = row.service()
                    && !services.contains(service)
                {
                    services.insert(service.to_owned());
                }
            }
        }
        // In no order of the table, so that a repeat has the same pages as long as the tasks are the same.
        arns.sort_unstable();
        Ok((arns, services))
    }
}

impl Place {
    /// The cluster in the registry, if the registry may be used for it now.
    pub(super) async fn live(&self, cluster: &str) -> Option<Live<'_>> {
        let registry = self.registry.as_ref().filter(|_| self.policy.method == DiscoveryPolicy::Auto)?;
        let arn = match registry.cluster_arn(cluster).await {
            Ok(arn) => arn?,
            Err(error) => return not_read(cluster, &error),
        };
        match registry.freshness(&arn).await {
            Freshness::Live { age } => Some(Live { registry, arn, age }),
            Freshness::NotLive { reason } => {
                warn!(cluster, %reason, "The registry is not live; ECS is asked instead");
                None
            }
        }
    }

    /// Stage 1: the pages of a scope; `None` if the registry cannot be read after all.
    pub(super) async fn registered_pages(
        &self,
        ecs: &Ecs,
        live: &Live<'_>,
        scope: &ObserverMessage,
        broadcast: &Broadcast,
    ) -> Result<Option<Services>, DiscoveryError> {
        let filter = TaskFilter::of_scope(&scope.services, scope.standalone);
        let (arns, known) = match live.tasks(&filter).await {
            Ok(found) => found,
            Err(error) => return Ok(not_read(&scope.cluster, &error)),
        };
        let page = |tasks: &[String]| {
            let mut page = PageMessage::new(&scope.cluster, tasks.to_vec(), broadcast.clone());
            page.services.clone_from(&scope.services);
            (page.standalone, page.registry) = (scope.standalone, Some(live.arn.clone()));
            PartMessage::Page(page)
        };
        let messages = arns.chunks(PAGE_TASKS_MAX).map(page).collect();
        let skips = self.skips_of_unknown(ecs, scope, &known).await?;
        Ok(Some(Services { found: live.found(), messages, skips, ..Services::default() }))
    }

    /// The skips for named services that do not exist. Only those without a running task are looked up.
    async fn skips_of_unknown(
        &self,
        ecs: &Ecs,
        scope: &ObserverMessage,
        known: &BTreeSet<String>,
    ) -> Result<Vec<Delivery>, DiscoveryError> {
        let mut unknown = scope.clone();
        unknown.services.retain(|name| !known.contains(service_name(name)));
        if unknown.services.is_empty() {
            return Ok(Vec::new());
        }
        Ok(Named::look_up(ecs, &unknown).await?.skips(&scope.cluster))
    }

    /// Stages 1 and 2 in one process: as [`scan`](Self::scan), from the registry. Returns `None`, and has sent nothing, if
    /// the registry cannot be read after all.
    pub(super) async fn registered_scan(
        &self,
        ecs: &Ecs,
        live: &Live<'_>,
        scope: &ObserverMessage,
        filter: &TaskFilter,
        found: &mpsc::Sender<Fleet>,
    ) -> Result<Option<Found>, DiscoveryError> {
        let (arns, known) = match live.tasks(filter).await {
            Ok(tasks) => tasks,
            Err(error) => return Ok(not_read(&scope.cluster, &error)),
        };
        let skips = self.skips_of_unknown(ecs, scope, &known).await?;
        if !skips.is_empty() && found.send(Fleet { skips, ..Fleet::default() }).await.is_err() {
            return Ok(Some(live.found()));
        }
        for arns in arns.chunks(super::scan::TASKS_HELD_MAX) {
            let fleet = self.registered_tasks(ecs, &scope.cluster, &live.arn, filter, arns).await?;
            if found.send(fleet).await.is_err() {
                break;
            }
        }
        Ok(Some(live.found()))
    }

    /// Stage 2: these tasks of a cluster by their rows. ECS describes those without a row, and those whose health counts.
    pub(super) async fn registered_tasks(
        &self,
        ecs: &Ecs,
        cluster: &str,
        arn: &str,
        filter: &TaskFilter,
        arns: &[String],
    ) -> Result<Fleet, DiscoveryError> {
        let rows = match &self.registry {
            Some(registry) => registry.rows_of(arn, arns).await,
            None => Ok(Vec::new()),
        };
        let rows = rows.unwrap_or_else(|error| not_read(cluster, &error).unwrap_or_default());
        let known = rows.into_iter().flatten().map(|row| row.task()).filter(|task| filter.matches(task));
        let known: Vec<TaskState> = known.collect();
        let asked = self.to_describe(ecs, &known, arns).await?;
        let selection = Selection { cluster, share: &wire::Share::All, labels: None };
        let mut classifier = Classifier::new(selection, &self.policy);
        if !asked.is_empty() {
            debug!(cluster, tasks = asked.len(), "ECS describes tasks for their health, or without a row");
            let arns: Vec<String> = arns.iter().filter(|arn| asked.contains(*arn)).cloned().collect();
            self.describe(ecs, &mut classifier, filter, "", &arns).await?;
        }
        let known: Vec<TaskState> = known.into_iter().filter(|task| !asked.contains(&task.arn)).collect();
        self.classify(ecs, &mut classifier, &known).await?;
        self.resolve_hosts(ecs, &mut classifier).await?;
        classifier.fleet.sort();
        Ok(classifier.fleet)
    }

    /// Reads the task definitions and the addresses of hosts that a broadcast to these tasks needs, as far as the
    /// installation does not know them.
    pub(super) async fn learn(
        &self,
        ecs: &Ecs,
        cluster: &str,
        tasks: &[TaskState],
    ) -> Result<(), DiscoveryError> {
        // Rows say nothing about health, and a container that is not healthy yet has a host too.
        let policy = CallPolicy { health: HealthPolicy::Ignore, ..self.policy.clone() };
        let selection = Selection { cluster, share: &wire::Share::All, labels: None };
        let mut classifier = Classifier::new(selection, &policy);
        self.classify(ecs, &mut classifier, tasks).await?;
        self.resolve_hosts(ecs, &mut classifier).await
    }

    /// Of these tasks, those that ECS must describe.
    async fn to_describe(
        &self,
        ecs: &Ecs,
        known: &[TaskState],
        arns: &[String],
    ) -> Result<BTreeSet<String>, DiscoveryError> {
        let has_row: BTreeSet<&str> = known.iter().map(|task| task.arn.as_str()).collect();
        let mut asked: BTreeSet<String> =
            arns.iter().filter(|arn| !has_row.contains(arn.as_str())).cloned().collect();
        let running: Vec<&TaskState> = known.iter().filter(|task| task.is_running()).collect();
        let revisions: BTreeSet<String> = running.iter().filter_map(|task| task.revision.clone()).collect();
        let revisions: Vec<String> = revisions.into_iter().collect();
        let results = self.revisions.get(ecs, &revisions).await?;
        let results: BTreeMap<&String, _> = revisions.iter().zip(results).collect();
        for task in running {
            let revision = task.revision.as_ref().and_then(|arn| results.get(arn));
            let needs_health = revision.is_some_and(|revision| match revision {
                Ok(revision) => revision.containers().iter().any(|container| {
                    container.opt_in.is_some() && health_is_required(container, self.policy.health)
                }),
                Err(_) => false,
            });
            if needs_health {
                asked.insert(task.arn.clone());
            }
        }
        Ok(asked)
    }
}

/// Logs that the registry could not be read.
fn not_read<T>(cluster: &str, error: &RegistryError) -> Option<T> {
    warn!(cluster, error = chain(error), "The registry cannot be read; ECS is asked instead");
    None
}
