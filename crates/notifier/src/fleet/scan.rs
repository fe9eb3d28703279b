//! Stage 2: the running tasks of a service or a whole cluster, and the addresses of their opted-in containers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;

use tokio::sync::mpsc;
use wire::{Labels, ObserverMessage, PageMessage, PartMessage, ServiceMessage, Share};

use super::DiscoveryError;
use super::classify::{Classifier, Selection, UnresolvedEndpoint};
use super::facts::HostIp;
use super::method::is_few;
use super::place::Place;
use super::services::{Named, check_count, distinct, no_such_service};
use crate::aws::ecs::{Described, Ecs, EcsError, NotDescribed};
use crate::model::arn::service_name;
use crate::model::{Delivery, DiscoveryMethod, Endpoint, Fleet, Found, TaskState};

/// Tasks in memory at a time: the answer for one task has about 3 KB.
pub(super) const TASKS_HELD_MAX: usize = 1_000;

/// Which of the listed tasks are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TaskFilter {
    All,
    OfServices,
    Standalone,
    /// Those of these services. A task that ECS describes as another service's is not called.
    Named(BTreeSet<String>),
}

impl TaskFilter {
    pub(super) fn matches(&self, task: &TaskState) -> bool {
        match self {
            Self::All => true,
            Self::OfServices => task.service().is_some(),
            Self::Standalone => task.service().is_none(),
            Self::Named(names) => task.service().is_none_or(|service| names.contains(service)),
        }
    }

    /// Those of a scope.
    pub(super) fn of_scope(services: &[String], standalone: bool) -> Self {
        match services {
            [] if standalone => Self::All,
            [] => Self::OfServices,
            services => Self::named(services),
        }
    }

    /// Those of services by name or ARN.
    fn named<'a>(services: impl IntoIterator<Item = &'a String>) -> Self {
        Self::Named(services.into_iter().map(|service| service_name(service).to_owned()).collect())
    }
}

impl Place {
    /// See [`Discovery::tasks`](super::Discovery::tasks).
    pub(super) async fn tasks(&self, message: &PartMessage) -> Result<Fleet, DiscoveryError> {
        match message {
            PartMessage::Service(message) => self.tasks_of_service(message).await,
            PartMessage::Page(message) => self.tasks_of_page(message).await,
            PartMessage::Gate(message) => self.tasks_of_service(&message.part).await,
            PartMessage::Cover(message) => {
                let mut scope = ObserverMessage::new(&message.cluster);
                scope.services.clone_from(&message.services);
                scope.standalone = message.standalone;
                self.other_tasks(&scope, |_| false).await
            }
        }
    }

    async fn tasks_of_page(&self, message: &PageMessage) -> Result<Fleet, DiscoveryError> {
        let filter = TaskFilter::of_scope(&message.services, message.standalone);
        if let Some(arn) = &message.registry {
            let ecs = self.ecs.lane();
            return self.registered_tasks(&ecs, &message.cluster, arn, &filter, &message.tasks).await;
        }
        self.these_tasks(&message.cluster, &filter, &message.tasks).await
    }

    /// Every task of a scope, except those that `is_known` knows by their ARNs.
    pub(super) async fn other_tasks(
        &self,
        scope: &ObserverMessage,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Fleet, DiscoveryError> {
        let mut arns = distinct(self.ecs.lane().list_tasks(&scope.cluster, None).await?);
        arns.retain(|arn| !is_known(arn));
        let filter = TaskFilter::of_scope(&scope.services, scope.standalone);
        self.these_tasks(&scope.cluster, &filter, &arns).await
    }

    /// Those of these tasks that match.
    async fn these_tasks(
        &self,
        cluster: &str,
        filter: &TaskFilter,
        arns: &[String],
    ) -> Result<Fleet, DiscoveryError> {
        let ecs = self.ecs.lane();
        let selection = Selection { cluster, share: &Share::All, labels: None };
        let mut classifier = Classifier::new(selection, &self.policy);
        for arns in arns.chunks(TASKS_HELD_MAX) {
            self.describe(&ecs, &mut classifier, filter, "", arns).await?;
        }
        self.resolve_hosts(&ecs, &mut classifier).await?;
        classifier.fleet.sort();
        Ok(classifier.fleet)
    }

    async fn tasks_of_service(&self, message: &ServiceMessage) -> Result<Fleet, DiscoveryError> {
        let labels = Labels::new(&message.port, &message.path);
        let selection = Selection { cluster: &message.cluster, share: &message.share, labels: Some(&labels) };
        let (service, filter) = if message.standalone {
            (None, TaskFilter::Standalone)
        } else {
            (Some(message.service.as_str()), TaskFilter::named([&message.service]))
        };
        let ecs = self.ecs.lane();
        let arns = match ecs.list_tasks(&message.cluster, service).await {
            Err(EcsError::ServiceNotFound { service, .. }) => {
                let is_reported = selection.includes_unlabelled();
                let skips = is_reported.then(|| no_such_service(selection.cluster, &service, ""));
                return Ok(Fleet { skips: skips.into_iter().collect(), ..Fleet::default() });
            }
            listed => listed?,
        };
        let mut classifier = Classifier::new(selection, &self.policy);
        let service = service_name(&message.service);
        // A task may move from one page to another while the pages are turned.
        for arns in distinct(arns).chunks(TASKS_HELD_MAX) {
            self.describe(&ecs, &mut classifier, &filter, service, arns).await?;
        }
        self.resolve_hosts(&ecs, &mut classifier).await?;
        classifier.fleet.sort();
        Ok(classifier.fleet)
    }

    /// See [`Discovery::scan`](super::Discovery::scan).
    pub(super) async fn scan(
        &self,
        scope: &ObserverMessage,
        found: mpsc::Sender<Fleet>,
    ) -> Result<Found, DiscoveryError> {
        check_count(&scope.services)?;
        let ecs = self.ecs.lane();
        let selection = Selection { cluster: &scope.cluster, share: &Share::All, labels: None };
        let filter = TaskFilter::of_scope(&scope.services, scope.standalone);
        if let Some(live) = self.live(&scope.cluster).await
            && let Some(by) = self.registered_scan(&ecs, &live, scope, &filter, &found).await?
        {
            return Ok(by);
        }
        let (method, arns, skips) = match scope.services.as_slice() {
            [] => (DiscoveryMethod::Sweep, ecs.list_tasks(&scope.cluster, None).await?, Vec::new()),
            services if is_few(services.len()) => {
                let names: BTreeSet<_> = services.iter().cloned().collect();
                let (arns, skips) = list_of_services(&ecs, &scope.cluster, names).await?;
                (DiscoveryMethod::Services, arns, skips)
            }
            _ => self.list_of_many_services(&ecs, scope).await?,
        };
        if !skips.is_empty() && found.send(Fleet { skips, ..Fleet::default() }).await.is_err() {
            return Ok(method.into());
        }
        for arns in distinct(arns).chunks(TASKS_HELD_MAX) {
            let mut classifier = Classifier::new(selection, &self.policy);
            self.describe(&ecs, &mut classifier, &filter, "", arns).await?;
            self.resolve_hosts(&ecs, &mut classifier).await?;
            if found.send(classifier.fleet).await.is_err() {
                break;
            }
        }
        Ok(method.into())
    }

    /// The same as [`list_of_services`], with the fewest calls for many names.
    async fn list_of_many_services(
        &self,
        ecs: &Ecs,
        scope: &ObserverMessage,
    ) -> Result<(DiscoveryMethod, Vec<String>, Vec<Delivery>), EcsError> {
        let cluster = &scope.cluster;
        let named = Named::look_up(ecs, scope).await?;
        let mut skips = named.skips(cluster);
        let method = self.method(ecs, scope, Some(named.known()), 0).await;
        if method == DiscoveryMethod::Sweep {
            return Ok((method, ecs.list_tasks(cluster, None).await?, skips));
        }
        let (arns, stopped) = list_of_services(ecs, cluster, named.into_names()).await?;
        skips.extend(stopped);
        Ok((method, arns, skips))
    }

    /// Describes some tasks and classifies their containers.
    pub(super) async fn describe(
        &self,
        ecs: &Ecs,
        classifier: &mut Classifier<'_>,
        filter: &TaskFilter,
        service: &str,
        arns: &[String],
    ) -> Result<(), DiscoveryError> {
        let Described { found, failed } = ecs.describe_tasks(classifier.selection.cluster, arns).await?;
        // Each requested task exactly once: no other task, no duplicate, and no task is silently missing.
        let mut missing: HashSet<&str> = arns.iter().map(String::as_str).collect();
        let described = found.into_iter().filter(|task| missing.remove(task.arn.as_str()));
        let tasks: Vec<TaskState> = described.filter(|task| filter.matches(task)).collect();
        for arn in arns.iter().filter(|arn| missing.contains(arn.as_str())) {
            match failed.get(arn) {
                Some(NotDescribed::Missing) => classifier.vanished(arn, service),
                Some(NotDescribed::Unexplained(why)) => classifier.not_described(arn, service, why),
                None => classifier.not_described(arn, service, "the answer is about another task"),
            }
        }
        self.classify(ecs, classifier, &tasks).await
    }

    /// Classifies the containers of some tasks, each by its task's own revision.
    pub(super) async fn classify(
        &self,
        ecs: &Ecs,
        classifier: &mut Classifier<'_>,
        tasks: &[TaskState],
    ) -> Result<(), DiscoveryError> {
        let (running, stopped): (Vec<&TaskState>, Vec<&TaskState>) =
            tasks.iter().partition(|task| task.is_running());
        for task in stopped {
            classifier.not_running(task);
        }
        let arn = |task: &TaskState| task.revision.clone().unwrap_or_default();
        let arns: BTreeSet<String> = running.iter().map(|task| arn(task)).collect();
        let arns: Vec<String> = arns.into_iter().collect();
        let revisions = self.revisions.get(ecs, &arns).await?;
        let revisions: BTreeMap<&String, _> = arns.iter().zip(revisions).collect();
        for task in running {
            if let Some(revision) = revisions.get(&arn(task)) {
                classifier.running(task, revision);
            }
        }
        Ok(())
    }

    /// Looks up the hosts of the classifier's unresolved endpoints, each host once.
    pub(super) async fn resolve_hosts(
        &self,
        ecs: &Ecs,
        classifier: &mut Classifier<'_>,
    ) -> Result<(), DiscoveryError> {
        let unresolved = std::mem::take(&mut classifier.unresolved);
        let hosts: BTreeSet<String> = unresolved.iter().map(|endpoint| endpoint.host.clone()).collect();
        let hosts: Vec<String> = hosts.into_iter().collect();
        let addresses = self.hosts.get(ecs, &self.sources, classifier.selection.cluster, &hosts).await?;
        for UnresolvedEndpoint { member, target, host, port, is_starting, zone } in unresolved {
            match addresses.get(&host) {
                Some(Ok(HostIp { ip, is_outside })) => {
                    let address = SocketAddr::new(*ip, port);
                    let (is_late, wave) = (false, None);
                    let endpoint = Endpoint { member, address, target, is_starting, is_late, wave, zone };
                    if *is_outside {
                        classifier.resolved_outside(endpoint);
                    } else {
                        classifier.resolved(endpoint);
                    }
                }
                Some(Err(reason)) => {
                    let skip = Delivery::skipped(member, reason.clone());
                    classifier.fleet.skips.push(Delivery { zone, ..skip });
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// The ARNs of the tasks of these services, and a skip for each service that the cluster does not have.
async fn list_of_services(
    ecs: &Ecs,
    cluster: &str,
    services: impl IntoIterator<Item = String>,
) -> Result<(Vec<String>, Vec<Delivery>), EcsError> {
    let (mut arns, mut unknown) = (Vec::new(), Vec::new());
    for service in services {
        match ecs.list_tasks(cluster, Some(&service)).await {
            Err(EcsError::ServiceNotFound { service, .. }) => unknown.push(service),
            listed => arns.extend(listed?),
        }
    }
    let neighbour = arns.first().map(String::as_str).unwrap_or_default();
    let skips = unknown.iter().map(|service| no_such_service(cluster, service, neighbour)).collect();
    Ok((arns, skips))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_ecs_describes_as_another_services_is_not_called() {
        let of = |group: Option<&str>| TaskState { group: group.map(str::to_owned), ..TaskState::default() };
        let arn = "arn:aws:ecs:eu-west-1:111122223333:service/prod/web".to_owned();
        for filter in [TaskFilter::named([&arn]), TaskFilter::named([&"web".to_owned()])] {
            assert!(filter.matches(&of(Some("service:web"))));
            assert!(!filter.matches(&of(Some("service:web2"))));
            assert!(filter.matches(&of(None)), "no other service's either: ECS listed it for this service");
        }
    }
}
