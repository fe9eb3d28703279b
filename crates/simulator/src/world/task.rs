//! Tasks.

use std::sync::Arc;
use std::time::Duration;

use crate::fleet::{Answer, Container, HealthStatus, LaunchType, TaskStatus};

use super::{Network, Recipe, Socket};

/// One task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) recipe: Arc<Recipe>,
    /// Place of its container instance in the cluster.
    pub(crate) host: Option<usize>,
    pub(crate) zone: String,
    pub(crate) network: Network,
    /// ARN and Docker id of each container, in the definition's order.
    pub(crate) containers: Vec<ContainerIds>,
    pub(crate) last_status: TaskStatus,
    pub(crate) desired_status: TaskStatus,
    /// Overrides what the containers' checks say.
    pub(crate) health: Option<HealthStatus>,
    pub(crate) connected: bool,
    pub(crate) created_at: Duration,
    pub(crate) stopped_at: Option<Duration>,
    pub(crate) stopped_reason: Option<&'static str>,
    /// Counts the changes of the task's state.
    pub(crate) version: u64,
    pub(crate) stop_after_listing: bool,
    /// Overrides the containers' answers.
    pub(crate) answers: Option<Vec<Answer>>,
    /// Overrides whether the containers listen.
    pub(crate) refuse: Option<bool>,
}

/// Ids of one container.
#[derive(Debug)]
pub(crate) struct ContainerIds {
    pub(crate) arn: String,
    pub(crate) runtime: String,
}

impl Task {
    /// Its availability zone. A machine outside AWS is in none.
    pub(crate) fn zone(&self) -> Option<&str> {
        (self.recipe.launch_type != LaunchType::External).then_some(self.zone.as_str())
    }

    /// The definitions of its containers.
    pub(crate) fn definitions(&self) -> &[Container] {
        &self.recipe.definition.containers
    }

    /// Where its containers listen, or would.
    pub(crate) fn sockets(&self) -> Vec<Socket> {
        self.network.sockets(self.definitions())
    }

    /// The last status of one of its containers.
    pub(crate) fn container_status(&self, container: &Container) -> TaskStatus {
        match self.last_status {
            TaskStatus::Provisioning | TaskStatus::Pending => TaskStatus::Pending,
            TaskStatus::Deprovisioning | TaskStatus::Stopped => TaskStatus::Stopped,
            _ => container.last_status.unwrap_or(TaskStatus::Running),
        }
    }

    /// Whether one of its containers listens.
    pub(crate) fn listens(&self, container: &Container) -> bool {
        self.container_status(container).has_processes() && !self.refuse.unwrap_or(container.refuse)
    }

    /// The health of one of its containers; without a check nobody knows.
    pub(crate) fn container_health(&self, container: &Container) -> HealthStatus {
        if !container.health_check || !self.container_status(container).has_processes() {
            return HealthStatus::Unknown;
        }
        self.health.or(container.health).unwrap_or(HealthStatus::Healthy)
    }

    /// The task's health as ECS sums it up: of the essential containers with a check, the worst. A container that has
    /// none does not count, so the task can be healthy while nobody knows about the one that matters
    /// (amazon-ecs-agent issue 4094).
    pub(crate) fn health(&self) -> HealthStatus {
        let checked = self.definitions().iter().filter(|it| it.health_check && it.essential != Some(false));
        let found: Vec<_> = checked.map(|container| self.container_health(container)).collect();
        let has = |status| found.contains(&status);
        if has(HealthStatus::Unhealthy) {
            HealthStatus::Unhealthy
        } else if found.is_empty() || has(HealthStatus::Unknown) {
            HealthStatus::Unknown
        } else {
            HealthStatus::Healthy
        }
    }
}
