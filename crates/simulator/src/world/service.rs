//! Services and their deployments.

use std::sync::Arc;
use std::time::Duration;

use crate::fleet::{Controller, IpVersion, LaunchType, Scheduling};

use super::{Cluster, Definition, Task};

/// One service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) launch_type: LaunchType,
    pub(crate) scheduling: Scheduling,
    pub(crate) controller: Controller,
    pub(crate) created_at: Duration,
    /// The primary deployment (or task set) first.
    pub(crate) rollouts: Vec<Rollout>,
    /// Places of its tasks in the cluster, in the order in which they started.
    pub(crate) tasks: Vec<usize>,
}

impl Service {
    /// How many tasks of one of its deployments are pending and running.
    pub(crate) fn counts(&self, rollout: &Rollout, cluster: &Cluster) -> (usize, usize) {
        let tasks = self.tasks.iter().filter_map(|place| cluster.tasks.get(*place));
        count(tasks.filter(|task| task.recipe.started_by.as_deref() == Some(rollout.id.as_str())))
    }
}

/// A deployment, or task set, of a service.
#[derive(Debug)]
pub(crate) struct Rollout {
    /// `ecs-svc/…`; its tasks carry it as `startedBy`.
    pub(crate) id: String,
    pub(crate) recipe: Arc<Recipe>,
    pub(crate) desired: u32,
    /// The number of the task that starts next.
    pub(super) next_number: u32,
}

/// How a task of a deployment, or a standalone one, comes to be.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) definition: Arc<Definition>,
    pub(crate) service: Option<String>,
    pub(crate) group: String,
    pub(crate) started_by: Option<String>,
    pub(crate) launch_type: LaunchType,
    /// Of the tasks' own interfaces.
    pub(crate) ip: IpVersion,
}

/// How many of these tasks are pending and running, as ECS counts them.
pub(crate) fn count<'a>(tasks: impl Iterator<Item = &'a Task>) -> (usize, usize) {
    tasks.fold((0, 0), |(pending, running), task| {
        if task.last_status.is_starting() {
            (pending + 1, running)
        } else {
            (pending, running + usize::from(task.last_status.has_processes()))
        }
    })
}
