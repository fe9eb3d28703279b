//! Rolling deployments, and picking tasks and services by chance.

use std::sync::Arc;

use crate::chance::Draw;
use crate::fleet::{Container, TaskStatus};

use super::{ChangeError, Recipe, Rollout, Service, Task, World};

/// How often a task is drawn before the next running one is searched for.
const DRAWS_MAX: usize = 32;

impl World {
    /// Makes a new revision the primary deployment of a service, still without tasks. The containers are those of the
    /// deployment before, unless others are given. Returns the number of tasks to replace.
    pub(crate) fn deploy(
        &mut self,
        cluster: &str,
        service: &str,
        revision: u32,
        containers: Option<&[Container]>,
    ) -> Result<u32, ChangeError> {
        let (place, found) = self.find_service(cluster, service)?;
        let primary = found.rollouts.first().ok_or_else(|| no_service(cluster, service))?;
        let (old, desired) = (Arc::clone(&primary.recipe), primary.desired);
        let family = old.definition.family.clone();
        if self.definition(&format!("{family}:{revision}")).is_some() {
            return Err(ChangeError::OldRevision { family, revision });
        }
        let (mode, launch_type) = (old.definition.mode, old.launch_type);
        let containers = containers.unwrap_or(&old.definition.containers);
        let definition = self.define(&family, revision, mode, launch_type, containers);
        let id = format!("ecs-svc/{}", self.ids.decimal(&format!("{cluster}/{service}/{revision}")));
        let recipe = Arc::new(Recipe {
            definition,
            service: old.service.clone(),
            group: old.group.clone(),
            started_by: Some(id.clone()),
            launch_type,
            ip: old.ip,
        });
        if let Some(found) = self.clusters.get_mut(place).and_then(|cluster| cluster.service_mut(service)) {
            found.rollouts.insert(0, Rollout { id, recipe, desired, next_number: 1 });
        }
        Ok(desired)
    }

    /// The running tasks of a service's earlier deployments, at most so many, the oldest first.
    pub(crate) fn outdated(
        &self,
        cluster: &str,
        service: &str,
        max: usize,
    ) -> Result<Vec<String>, ChangeError> {
        let (place, found) = self.find_service(cluster, service)?;
        let primary = found.rollouts.first().map(|rollout| rollout.id.as_str());
        let cluster = self.clusters.get(place);
        let tasks = found.tasks.iter().filter_map(|task| cluster?.tasks.get(*task));
        let outdated = tasks.filter(|task| runs(task) && task.recipe.started_by.as_deref() != primary);
        Ok(outdated.take(max).map(|task| task.arn.clone()).collect())
    }

    /// Ends the earlier deployments of a service.
    pub(crate) fn end_deployment(&mut self, cluster: &str, service: &str) -> Result<(), ChangeError> {
        let (place, _) = self.find_service(cluster, service)?;
        if let Some(found) = self.clusters.get_mut(place).and_then(|cluster| cluster.service_mut(service)) {
            found.rollouts.truncate(1);
        }
        Ok(())
    }

    fn find_service(&self, cluster: &str, service: &str) -> Result<(usize, &Service), ChangeError> {
        let place = self.clusters.iter().position(|it| it.name == cluster);
        let found = place.and_then(|place| Some((place, self.clusters.get(place)?.service(service)?)));
        found.ok_or_else(|| no_service(cluster, service))
    }

    /// Names of a cluster and of one of its services; `None` where there are no services.
    pub(crate) fn draw_service(&self, draw: &mut Draw) -> Option<(String, String)> {
        let count = self.clusters.iter().map(|cluster| cluster.services.len()).sum();
        let services =
            self.clusters.iter().flat_map(|it| it.services.iter().map(move |service| (it, service)));
        let (cluster, service) = services.into_iter().nth(draw.below(count))?;
        Some((cluster.name.clone(), service.name.clone()))
    }

    /// The ARN of a running task; `None` where none runs.
    pub(crate) fn draw_running(&self, draw: &mut Draw) -> Option<String> {
        let count: usize = self.clusters.iter().map(|cluster| cluster.tasks.len()).sum();
        let mut place = 0;
        for _ in 0..DRAWS_MAX {
            place = draw.below(count);
            if let Some(task) = self.nth_task(place).filter(|task| runs(task)) {
                return Some(task.arn.clone());
            }
        }
        let after = self.all_tasks().skip(place).chain(self.all_tasks().take(place));
        after.map(|(_, task)| task).find(|task| runs(task)).map(|task| task.arn.clone())
    }

    fn nth_task(&self, mut place: usize) -> Option<&Task> {
        for cluster in &self.clusters {
            match cluster.tasks.get(place) {
                Some(task) => return Some(task),
                None => place -= cluster.tasks.len(),
            }
        }
        None
    }
}

fn runs(task: &Task) -> bool {
    task.last_status == TaskStatus::Running && task.desired_status == TaskStatus::Running
}

fn no_service(cluster: &str, service: &str) -> ChangeError {
    ChangeError::NoService { cluster: cluster.to_owned(), service: service.to_owned() }
}
