//! Tasks, services and hosts as ECS describes them at one moment.
//!
//! Pure: no AWS types. `aws::ecs` converts the SDK's answers into them. Names and meanings are those of the ECS API, which
//! its task state change events share. What ECS leaves out is `None` or empty.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Zone;

/// The prefix in the group of a task that a service started. Source: ECS API reference, `Task.group`.
const SERVICE_GROUP: &str = "service:";

/// The status of a task or container that runs. Source: ECS API reference, `Task.lastStatus`.
pub const RUNNING: &str = "RUNNING";
/// The status of a task or container that has stopped.
pub const STOPPED: &str = "STOPPED";
/// The status of a container whose health check passes. Source: ECS API reference, `Container.healthStatus`.
pub const HEALTHY: &str = "HEALTHY";
/// The status of a container whose health check has neither passed nor failed yet, or that has none.
pub const UNKNOWN: &str = "UNKNOWN";

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterState {
    /// ARN of the cluster.
    pub arn: String,
    /// Whether it can have tasks: not for one that was deleted, or is being created or deleted.
    pub is_active: bool,
    /// Its running and pending tasks.
    pub tasks: usize,
    /// Its active services.
    pub services: usize,
    /// Its tags, if they were asked for.
    pub tags: BTreeMap<String, String>,
}

/// One task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskState {
    /// ARN of the task.
    pub arn: String,
    /// ARN of its cluster. ARNs of tasks in the old format do not name the cluster.
    pub cluster: Option<String>,
    /// `service:NAME` for a task that a service started; else chosen by the caller of `RunTask`.
    pub group: Option<String>,
    /// The status that the task has.
    pub last_status: Option<String>,
    /// The status that ECS wants it to have.
    pub desired_status: Option<String>,
    /// ARN of its task-definition revision.
    pub revision: Option<String>,
    /// Goes up with every change of the task that ECS reports as an event; 0 if ECS does not say it.
    pub version: u64,
    /// ARN of the container instance that it runs on; `None` on Fargate.
    pub host: Option<String>,
    /// Its availability zone. Machines outside AWS are in none.
    pub zone: Option<Zone>,
    /// Its containers.
    pub containers: Vec<ContainerState>,
    /// Its attachments.
    pub attachments: Vec<Attachment>,
}

/// One container of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerState {
    /// Name of the container.
    pub name: String,
    /// The status that the container has. In events it may be behind the task's.
    pub last_status: Option<String>,
    /// What its health check found last. Events do not contain it.
    pub health: Option<String>,
    /// Ports of the host that lead to ports of the container, in bridge mode.
    pub bindings: Vec<PortBinding>,
    /// Its network interfaces, in awsvpc mode.
    pub interfaces: Vec<NetworkInterface>,
}

/// Ports of the host that lead to ports of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortBinding {
    /// Whether TCP connections are forwarded.
    pub is_tcp: bool,
    /// Ports of the container.
    pub container: PortRange,
    /// Ports of the host, in the same order.
    pub host: PortRange,
}

/// Ports in sequence, both ends included. Port 0 is in no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// A network interface of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkInterface {
    /// Id of the task's attachment that it belongs to.
    pub attachment: Option<String>,
    /// Its private IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

/// An attachment of a task. A task has attachments of several kinds, and keeps those that were deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Its id.
    pub id: Option<String>,
    /// Whether it is an elastic network interface.
    pub is_interface: bool,
    /// Whether its status is `ATTACHED`.
    pub is_attached: bool,
    /// The private IPv4 address of a network interface.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address of a network interface.
    pub v6: Option<Ipv6Addr>,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// ARN of the service.
    pub arn: String,
    /// Name of the service.
    pub name: String,
    /// Whether it was deleted, and is only remembered.
    pub is_inactive: bool,
    /// ARN of its own task-definition revision; `None` for services with an external deployment controller.
    pub revision: Option<String>,
    /// Its deployments.
    pub deployments: Vec<Deployment>,
    /// The revisions of its task sets.
    pub task_set_revisions: Vec<String>,
}

/// One deployment of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// Whether another deployment has replaced it.
    pub is_inactive: bool,
    /// ARN of its task-definition revision.
    pub revision: Option<String>,
    /// Tasks that run or are about to.
    pub tasks: u64,
}

/// One container instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// ARN of the container instance.
    pub arn: String,
    /// Id of its EC2 instance, or `mi-…` for a host outside AWS.
    pub instance: Option<String>,
    /// The address that its attribute `notify.address` has.
    pub address: Option<String>,
}

impl TaskState {
    /// Whether the task runs, and is not about to stop.
    pub fn is_running(&self) -> bool {
        self.last_status.as_deref() == Some(RUNNING) && self.desired_status.as_deref() != Some(STOPPED)
    }

    /// Whether the task has stopped. It never runs again: ECS starts another one.
    pub fn is_stopped(&self) -> bool {
        self.last_status.as_deref() == Some(STOPPED)
    }

    /// Name of the service that started the task; `None` for a standalone task.
    pub fn service(&self) -> Option<&str> {
        self.group.as_deref()?.strip_prefix(SERVICE_GROUP)
    }

    /// The container of this name.
    pub fn container(&self, name: &str) -> Option<&ContainerState> {
        self.containers.iter().find(|container| container.name == name)
    }
}

impl ServiceState {
    /// The revision of every task that the service may be running, the newest first, each once.
    pub fn revisions(&self) -> Vec<&str> {
        // A deployment that was replaced may still have tasks that are not stopped yet.
        let deployed = self.deployments.iter().filter(|one| !one.is_inactive || one.tasks > 0);
        let deployed = deployed.filter_map(|one| one.revision.as_ref());
        let mut revisions = Vec::new();
        for revision in self.revision.iter().chain(deployed).chain(&self.task_set_revisions) {
            if !revision.is_empty() && !revisions.contains(&revision.as_str()) {
                revisions.push(revision.as_str());
            }
        }
        revisions
    }
}

impl PortBinding {
    /// The port of the host that leads to this TCP port of the container.
    pub fn host_port(&self, port: u16) -> Option<u16> {
        let offset = port.checked_sub(self.container.first).filter(|_| port <= self.container.last)?;
        self.host.first.checked_add(offset).filter(|port| self.is_tcp && *port <= self.host.last)
    }
}

impl PortRange {
    /// One port; `None` for port 0.
    pub fn one(port: u16) -> Option<Self> {
        Self::new(port, port)
    }

    /// Reads `8000-8010`, or `8000` for one port.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Self::new(first.trim().parse().ok()?, last.trim().parse().ok()?)
    }

    fn new(first: u16, last: u16) -> Option<Self> {
        (0 < first && first <= last).then_some(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    /// As [`parse`](Self::parse) reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

impl Attachment {
    /// The address of an attached network interface; IPv4 if there is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.v4.map(IpAddr::V4).or(self.v6.map(IpAddr::V6)).filter(|_| self.is_interface && self.is_attached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_runs_unless_it_is_about_to_stop() {
        let check = |last: Option<&str>, desired: Option<&str>, expected: bool| {
            let [last_status, desired_status] = [last, desired].map(|text| text.map(str::to_owned));
            let task = TaskState { last_status, desired_status, ..TaskState::default() };
            assert_eq!(task.is_running(), expected, "{last:?} {desired:?}");
        };
        check(Some("RUNNING"), Some("RUNNING"), true);
        check(Some("RUNNING"), None, true);
        check(Some("RUNNING"), Some("STOPPED"), false);
        check(Some("PENDING"), Some("RUNNING"), false);
        check(Some("DEACTIVATING"), Some("STOPPED"), false);
        check(Some("STOPPED"), Some("STOPPED"), false);
        check(None, Some("RUNNING"), false);
    }

    #[test]
    fn every_revision_that_may_be_running_counts_once() {
        let deployment = |is_inactive, revision: &str, tasks| Deployment {
            is_inactive,
            revision: Some(revision.to_owned()),
            tasks,
        };
        let service = ServiceState {
            revision: Some("web:3".to_owned()),
            deployments: vec![
                deployment(false, "web:3", 1),
                deployment(false, "web:2", 0),
                deployment(true, "web:1", 1),
                deployment(true, "web:0", 0),
            ],
            task_set_revisions: vec!["blue:1".to_owned()],
            ..ServiceState::default()
        };
        assert_eq!(service.revisions(), ["web:3", "web:2", "web:1", "blue:1"]);
        let external = ServiceState {
            revision: Some(String::new()),
            task_set_revisions: vec!["green:2".to_owned()],
            ..ServiceState::default()
        };
        assert_eq!(external.revisions(), ["green:2"]);
    }

    #[test]
    fn a_range_of_ports_keeps_its_order() {
        let check = |container: &str, host: &str, expected: Option<u16>| {
            let [container, host] = [container, host].map(|text| PortRange::parse(text).unwrap());
            let binding = PortBinding { is_tcp: true, container, host };
            assert_eq!(binding.host_port(8080), expected, "{binding:?}");
            assert_eq!(PortBinding { is_tcp: false, ..binding }.host_port(8080), None);
        };
        check("8000-8100", "49152-49252", Some(49_232));
        check("8080", "49152", Some(49_152));
        check("8081-8100", "49152-49171", None);
        check("8000-8079", "49152-49231", None);
        check("8000-8100", "49152-49160", None);
        check("8000-8100", "65500-65535", None);
        for text in ["8080", "8000-8100"] {
            assert_eq!(PortRange::parse(text).unwrap().to_string(), text);
        }
        for wrong in ["8100-8000", "x-8100", "", "0", "0-10", "8080-", "70000", "1-2-3"] {
            assert_eq!(PortRange::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_an_attached_interface_has_an_address() {
        let attached = Attachment {
            is_interface: true,
            is_attached: true,
            v6: Some("2600::3".parse().unwrap()),
            ..Attachment::default()
        };
        assert_eq!(attached.address(), Some("2600::3".parse().unwrap()));
        let both = Attachment { v4: Some("10.0.0.3".parse().unwrap()), ..attached.clone() };
        assert_eq!(both.address(), Some("10.0.0.3".parse().unwrap()));
        assert_eq!(Attachment { is_interface: false, ..both.clone() }.address(), None);
        assert_eq!(Attachment { is_attached: false, ..both }.address(), None);
    }
}
