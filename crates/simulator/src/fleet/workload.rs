//! Services, their deployments, and tasks that run without a service.

use serde::Deserialize;

use super::{
    Answer, Container, Controller, HealthStatus, IpVersion, LaunchType, NetworkMode, Scheduling, TaskStatus,
};

/// A service, with its primary deployment: `revision`, `tasks`, `containers` and `overrides` are that deployment's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Service name.
    pub name: String,
    /// How many services like this; with more than 1, `-1`, `-2`… is added to the name and the family.
    pub copies: u32,
    /// On what the tasks run.
    pub launch_type: LaunchType,
    /// How they are on the network; `bridge` for EC2 and EXTERNAL, `awsvpc` for the others when absent.
    pub network_mode: Option<NetworkMode>,
    /// Which addresses the tasks' own network interfaces have (awsvpc only; else the host's count).
    pub ip: IpVersion,
    /// How tasks are spread; DAEMON puts one on each fitting host and ignores `tasks`.
    pub scheduling: Scheduling,
    /// Who deploys; all but ECS give the service task sets.
    pub controller: Controller,
    /// Task-definition family; the service's name when empty.
    pub family: String,
    /// Revision of the primary deployment.
    pub revision: u32,
    /// How many tasks the primary deployment has, whatever their status.
    pub tasks: u32,
    /// The containers of each task.
    #[serde(rename = "container")]
    pub containers: Vec<Container>,
    /// Tasks that differ from the rest.
    #[serde(rename = "task")]
    pub overrides: Vec<TaskOverride>,
    /// Further active deployments: the revisions that the primary one is replacing, during a rolling deployment.
    #[serde(rename = "deployment")]
    pub deployments: Vec<Deployment>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            name: String::new(),
            copies: 1,
            launch_type: LaunchType::default(),
            network_mode: None,
            ip: IpVersion::default(),
            scheduling: Scheduling::default(),
            controller: Controller::default(),
            family: String::new(),
            revision: 1,
            tasks: 1,
            containers: Vec::new(),
            overrides: Vec::new(),
            deployments: Vec::new(),
        }
    }
}

impl Service {
    /// The task-definition family, which is the service's name unless the file says otherwise.
    pub fn family(&self) -> &str {
        if self.family.is_empty() { &self.name } else { &self.family }
    }
}

/// An active deployment of a service beside its primary one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deployment {
    /// Its task-definition revision.
    pub revision: u32,
    /// How many tasks it still has.
    pub tasks: u32,
    /// Its containers; the service's when empty.
    #[serde(rename = "container")]
    pub containers: Vec<Container>,
    /// Tasks that differ from the rest.
    #[serde(rename = "task")]
    pub overrides: Vec<TaskOverride>,
}

/// Tasks that no service started.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Standalone {
    /// Task-definition family.
    pub family: String,
    /// Task-definition revision.
    pub revision: u32,
    /// Task group; `family:FAMILY` when empty, as ECS sets it.
    pub group: String,
    /// `startedBy` of the tasks.
    pub started_by: Option<String>,
    /// On what they run.
    pub launch_type: LaunchType,
    /// How they are on the network; as for services when absent.
    pub network_mode: Option<NetworkMode>,
    /// Which addresses their own network interfaces have (awsvpc only).
    pub ip: IpVersion,
    /// How many tasks.
    pub tasks: u32,
    /// The containers of each task.
    #[serde(rename = "container")]
    pub containers: Vec<Container>,
    /// Tasks that differ from the rest.
    #[serde(rename = "task")]
    pub overrides: Vec<TaskOverride>,
}

impl Default for Standalone {
    fn default() -> Self {
        Self {
            family: String::new(),
            revision: 1,
            group: String::new(),
            started_by: None,
            launch_type: LaunchType::default(),
            network_mode: None,
            ip: IpVersion::default(),
            tasks: 1,
            containers: Vec::new(),
            overrides: Vec::new(),
        }
    }
}

/// How one task differs from the others of its deployment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskOverride {
    /// Which task, from 1.
    pub number: u32,
    /// Last status; RUNNING when absent. With `RUNNING` here and `STOPPED` below, the task is draining.
    pub last_status: Option<TaskStatus>,
    /// Desired status; what goes with the last status when absent.
    pub desired_status: Option<TaskStatus>,
    /// Health of the task's containers that have a check.
    pub health: Option<HealthStatus>,
    /// Answers of the task's containers, instead of the containers' own.
    pub answers: Option<Vec<Answer>>,
    /// Whether nothing listens.
    pub refuse: Option<bool>,
    /// The task stops as soon as it was listed.
    pub stop_after_listing: bool,
    /// EC2-hosted tasks: the ECS agent lost its connection.
    pub disconnected: bool,
}
