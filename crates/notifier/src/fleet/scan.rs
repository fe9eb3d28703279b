//! Stage 2: the running tasks of a service or a whole cluster, and where their opted-in containers listen.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;

use aws_sdk_ecs::types::Task;
use tokio::sync::mpsc;
use wire::{Labels, ObserverMessage, ServiceMessage, Share};

use super::classify::{self, Asked, Classified, OnHost};
use super::services::{check_count, no_such_service};
use super::{Discovery, DiscoveryError};
use crate::aws::ecs::{Described, Ecs, EcsError, NotDescribed, TasksOf};
use crate::model::arn::service_name;
use crate::model::{Endpoint, Fleet, Skip};

/// Tasks that are described before what was seen of them is kept and the rest forgotten: the answer for one task has
/// about 3 KB.
const TASKS_HELD_MAX: usize = 1_000;

/// Which of the listed tasks are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meant {
    All,
    OfServices,
    Standalone,
    /// Those of the services of these names. ECS listed no others; what it describes as another's is not called.
    Named(BTreeSet<String>),
}

impl Meant {
    fn includes(&self, task: &Task) -> bool {
        match self {
            Self::All => true,
            Self::OfServices => classify::service(task).is_some(),
            Self::Standalone => classify::service(task).is_none(),
            Self::Named(names) => classify::service(task).is_none_or(|service| names.contains(service)),
        }
    }

    /// Those of services by name or ARN.
    fn named<'a>(services: impl IntoIterator<Item = &'a String>) -> Self {
        Self::Named(services.into_iter().map(|service| service_name(service).to_owned()).collect())
    }
}

impl Discovery {
    /// Finds the running tasks of one message of stage 1, and where their opted-in containers listen.
    ///
    /// The labels are read from each task's own revision, so a service in the middle of a deployment is right on both
    /// sides.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] when AWS cannot be asked, or has no such cluster. A service that is gone is a skip.
    pub async fn tasks(&self, message: &ServiceMessage) -> Result<Fleet, DiscoveryError> {
        let labels = Labels::new(&message.port, &message.path);
        let asked = Asked { cluster: &message.cluster, share: &message.share, labels: Some(&labels) };
        let (of, meant) = if message.standalone {
            (TasksOf::Cluster, Meant::Standalone)
        } else {
            (TasksOf::Service(&message.service), Meant::named([&message.service]))
        };
        let ecs = self.ecs.lane();
        let arns = match ecs.list_tasks(&message.cluster, of).await {
            Err(EcsError::ServiceNotFound { service, .. }) => {
                let skips =
                    if asked.takes_rest() { vec![no_such_service(asked.cluster, &service)] } else { vec![] };
                return Ok(Fleet { skips, ..Fleet::default() });
            }
            listed => listed?,
        };
        self.look(&ecs, asked, &meant, service_name(&message.service), arns).await
    }

    /// The whole fleet of a scope, in order: [`scan`](Self::scan), collected.
    ///
    /// # Errors
    ///
    /// Those of [`scan`](Self::scan).
    pub async fn fleet(&self, scope: &ObserverMessage) -> Result<Fleet, DiscoveryError> {
        let (found, mut chunks) = mpsc::channel(1);
        let collect = async {
            let mut fleet = Fleet::default();
            while let Some(chunk) = chunks.recv().await {
                fleet.extend(chunk);
            }
            fleet
        };
        let (scanned, mut fleet) = tokio::join!(self.scan(scope, found), collect);
        scanned?;
        fleet.sort();
        Ok(fleet)
    }

    /// Finds the fleet of a scope in one go: stages 1 and 2 where no queue stands between them. Sends up to 1,000 tasks at
    /// a time to `found`, each task once, and stops early when nobody receives them.
    ///
    /// A whole cluster is listed as a whole: that takes two calls for each hundred tasks, where going from service to
    /// service takes more than two for each service. The tasks found are the same.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] when AWS cannot be asked, or has no such cluster. A named service that the cluster does not
    /// have is a skip.
    pub async fn scan(
        &self,
        scope: &ObserverMessage,
        found: mpsc::Sender<Fleet>,
    ) -> Result<(), DiscoveryError> {
        check_count(&scope.services)?;
        let ecs = self.ecs.lane();
        let asked = Asked { cluster: &scope.cluster, share: &Share::All, labels: None };
        let mut skips: Vec<Skip> = Vec::new();
        let (arns, meant) = if scope.services.is_empty() {
            let meant = if scope.standalone { Meant::All } else { Meant::OfServices };
            (ecs.list_tasks(&scope.cluster, TasksOf::Cluster).await?, meant)
        } else {
            let mut arns = Vec::new();
            for service in scope.services.iter().collect::<BTreeSet<_>>() {
                match ecs.list_tasks(&scope.cluster, TasksOf::Service(service)).await {
                    Err(EcsError::ServiceNotFound { service, .. }) => {
                        skips.push(no_such_service(asked.cluster, &service));
                    }
                    listed => arns.extend(listed?),
                }
            }
            (arns, Meant::named(&scope.services))
        };
        if !skips.is_empty() && found.send(Fleet { skips, ..Fleet::default() }).await.is_err() {
            return Ok(());
        }
        for arns in distinct(arns).chunks(TASKS_HELD_MAX) {
            let mut survey = Classified::default();
            self.describe(&ecs, &mut survey, asked, &meant, "", arns).await?;
            self.find_hosts(&ecs, &mut survey, asked.cluster).await?;
            survey.fleet.sort();
            if found.send(survey.fleet).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Describes the tasks and says what each means; in order.
    async fn look(
        &self,
        ecs: &Ecs,
        asked: Asked<'_>,
        meant: &Meant,
        service: &str,
        arns: Vec<String>,
    ) -> Result<Fleet, DiscoveryError> {
        let mut survey = Classified::default();
        for arns in distinct(arns).chunks(TASKS_HELD_MAX) {
            self.describe(ecs, &mut survey, asked, meant, service, arns).await?;
        }
        self.find_hosts(ecs, &mut survey, asked.cluster).await?;
        survey.fleet.sort();
        Ok(survey.fleet)
    }

    /// Describes some tasks, and classifies the containers of each.
    async fn describe(
        &self,
        ecs: &Ecs,
        survey: &mut Classified,
        asked: Asked<'_>,
        meant: &Meant,
        service: &str,
        arns: &[String],
    ) -> Result<(), DiscoveryError> {
        let Described { found, failed } = ecs.describe_tasks(asked.cluster, arns).await?;
        // Each that was asked for, once: no other task is called, none twice, and none is left out silently.
        let mut missing: HashSet<&str> = arns.iter().map(String::as_str).collect();
        let described =
            found.into_iter().filter(|task| task.task_arn().is_some_and(|arn| missing.remove(arn)));
        let tasks: Vec<Task> = described.filter(|task| meant.includes(task)).collect();
        for arn in arns.iter().filter(|arn| missing.contains(arn.as_str())) {
            match failed.get(arn) {
                Some(NotDescribed::Missing) => survey.vanished(arn, service, asked),
                Some(NotDescribed::Unexplained(why)) => survey.not_described(arn, service, why, asked),
                None => survey.not_described(arn, service, "it described another task", asked),
            }
        }
        self.survey(ecs, survey, &tasks, asked).await
    }

    pub(super) async fn survey(
        &self,
        ecs: &Ecs,
        survey: &mut Classified,
        tasks: &[Task],
        asked: Asked<'_>,
    ) -> Result<(), DiscoveryError> {
        let (running, not): (Vec<&Task>, Vec<&Task>) =
            tasks.iter().partition(|task| classify::is_running(task));
        for task in not {
            survey.not_running(task, asked);
        }
        let revision = |task: &Task| task.task_definition_arn().unwrap_or_default().to_owned();
        let revisions: Vec<String> =
            running.iter().map(|task| revision(task)).collect::<BTreeSet<_>>().into_iter().collect();
        let definitions = self.definitions.get(ecs, &revisions).await?;
        let definitions: BTreeMap<&String, _> = revisions.iter().zip(definitions).collect();
        for task in running {
            if let Some(definition) = definitions.get(&revision(task)) {
                survey.running(task, definition, asked, &self.rules);
            }
        }
        Ok(())
    }

    /// Turns what listens on a host into endpoints, each host being looked up once.
    pub(super) async fn find_hosts(
        &self,
        ecs: &Ecs,
        survey: &mut Classified,
        cluster: &str,
    ) -> Result<(), DiscoveryError> {
        let on_hosts = std::mem::take(&mut survey.on_hosts);
        let hosts: BTreeSet<String> = on_hosts.iter().map(|found| found.host.clone()).collect();
        let hosts: Vec<String> = hosts.into_iter().collect();
        let addresses = self.hosts.get(ecs, &self.ec2, cluster, &hosts).await?;
        for found in on_hosts {
            match addresses.get(&found.host) {
                Some(Ok(ip)) => {
                    let OnHost { member, target, port, is_starting, .. } = found;
                    let address = SocketAddr::new(*ip, port);
                    survey.endpoint(Endpoint { member, address, target, is_starting }, &self.rules);
                }
                Some(Err(reason)) => {
                    survey.fleet.skips.push(Skip { member: found.member, reason: reason.clone() });
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Without repeats: a task may move from one page to another while the pages are turned.
fn distinct(mut arns: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    arns.retain(|arn| seen.insert(arn.clone()));
    arns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_ecs_describes_as_another_services_is_not_meant() {
        let of = |group: Option<&str>| Task::builder().set_group(group.map(str::to_owned)).build();
        let arn = "arn:aws:ecs:eu-west-1:111122223333:service/prod/web".to_owned();
        for meant in [Meant::named([&arn]), Meant::named([&"web".to_owned()])] {
            assert!(meant.includes(&of(Some("service:web"))));
            assert!(!meant.includes(&of(Some("service:web2"))));
            assert!(meant.includes(&of(None)), "nobody else's either: ECS listed it for this service");
        }
    }
}
