//! ECS's own words, spelt in fleet files as the API spells them.

use serde::{Deserialize, Serialize};

/// On what a task runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LaunchType {
    /// Container instances of one's own.
    #[default]
    #[serde(rename = "EC2")]
    Ec2,
    /// Fargate.
    Fargate,
    /// ECS Anywhere: machines outside AWS.
    External,
    /// Instances that ECS runs.
    ManagedInstances,
}

/// How a task's containers are on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// The host's address, with a mapped port.
    Bridge,
    /// The host's address, with the container's port.
    Host,
    /// An address of the task.
    Awsvpc,
    /// No network.
    None,
}

impl LaunchType {
    /// The network mode that a fleet file means when it names none.
    pub(crate) fn usual_mode(self) -> NetworkMode {
        match self {
            Self::Ec2 | Self::External => NetworkMode::Bridge,
            Self::Fargate | Self::ManagedInstances => NetworkMode::Awsvpc,
        }
    }

    /// Whether AWS runs such tasks in that mode.
    pub(crate) fn allows(self, mode: NetworkMode) -> bool {
        match self {
            Self::Ec2 => true,
            Self::Fargate => mode == NetworkMode::Awsvpc,
            Self::External => mode != NetworkMode::Awsvpc,
            Self::ManagedInstances => mode != NetworkMode::Bridge,
        }
    }

    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Fargate => "FARGATE",
            Self::External => "EXTERNAL",
            Self::ManagedInstances => "MANAGED_INSTANCES",
        }
    }
}

impl NetworkMode {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Awsvpc => "awsvpc",
            Self::None => "none",
        }
    }
}

/// Which addresses a host or network interface has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpVersion {
    /// IPv4 only.
    #[default]
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Dual,
}

impl IpVersion {
    /// Whether there is an IPv4 address.
    pub fn has_v4(self) -> bool {
        self != Self::V6
    }

    /// Whether there is an IPv6 address.
    pub fn has_v6(self) -> bool {
        self != Self::V4
    }
}

/// Where the fleet's addresses come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addresses {
    /// Loopback: hosts and network interfaces have addresses in `127.B.0.0/16`, where `B` is the first number from 1
    /// whose block no other simulator on this machine uses; IPv6 is `::1`, the one that loopback has. Containers
    /// really listen.
    #[default]
    Loopback,
    /// `10.0.0.0/8` and `fd12:3456:789a::/48`. Nothing listens: for plans, and for counts at scale.
    Private,
}

/// How a fleet's containers listen at loopback addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listeners {
    /// `own` up to 8,000 endpoints, else `shared`.
    #[default]
    Auto,
    /// One socket for each endpoint, which takes a file descriptor. Where no container listens, connections are
    /// refused.
    Own,
    /// One socket for each port, for all IPv4 addresses of this machine; no other program can have these ports.
    /// Where no container listens, a connection is reset right after it was accepted; it is refused only on a port on
    /// which no container of the fleet listens. Connections to addresses that are not the fleet's are reset too. Host
    /// ports that ECS chooses are at least 61,000, above those that Linux gives to clients.
    Shared,
}

/// Transport of a port mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP; nothing ever listens.
    Udp,
}

/// How a service spreads its tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Scheduling {
    /// A number of tasks.
    #[default]
    Replica,
    /// One task on each host.
    Daemon,
}

/// Who moves a service from one revision to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Controller {
    /// Rolling updates by ECS.
    #[default]
    Ecs,
    /// Blue/green by `CodeDeploy`: the service has task sets.
    CodeDeploy,
    /// External: the service has task sets and no task definition itself.
    External,
}

/// What a health check says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HealthStatus {
    /// The check passes.
    Healthy,
    /// The check fails.
    Unhealthy,
    /// The check has not answered yet, or there is none.
    #[default]
    Unknown,
}

/// A task's or container's place in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskStatus {
    /// Waiting for its network interface.
    Provisioning,
    /// Waiting for its host or image.
    Pending,
    /// Running, not yet registered with load balancers.
    Activating,
    /// Running.
    #[default]
    Running,
    /// Being taken out of load balancers.
    Deactivating,
    /// Stopping.
    Stopping,
    /// Gone, its network interface not yet.
    Deprovisioning,
    /// Gone.
    Stopped,
}

impl TaskStatus {
    /// Whether its containers run, so that they can listen.
    pub fn has_processes(self) -> bool {
        matches!(self, Self::Activating | Self::Running | Self::Deactivating | Self::Stopping)
    }

    /// Whether the containers have not started yet.
    pub fn is_starting(self) -> bool {
        matches!(self, Self::Provisioning | Self::Pending)
    }

    /// The desired status that goes with it when a fleet file names none: what is on its way out is to be stopped.
    pub(crate) fn usual_desire(self) -> Self {
        match self {
            Self::Provisioning | Self::Pending | Self::Activating | Self::Running => Self::Running,
            Self::Deactivating | Self::Stopping | Self::Deprovisioning | Self::Stopped => Self::Stopped,
        }
    }

    /// What a task goes through until it runs. Only a network interface has to be provided first, and registered with
    /// load balancers.
    pub(crate) fn of_start(mode: NetworkMode) -> &'static [Self] {
        match mode {
            NetworkMode::Awsvpc => &[Self::Provisioning, Self::Pending, Self::Activating, Self::Running],
            NetworkMode::Bridge | NetworkMode::Host | NetworkMode::None => &[Self::Pending, Self::Running],
        }
    }

    /// What a task goes through from the wish to stop it to its end. It still runs at first.
    pub(crate) fn of_end(mode: NetworkMode) -> &'static [Self] {
        match mode {
            NetworkMode::Awsvpc => {
                &[Self::Running, Self::Deactivating, Self::Stopping, Self::Deprovisioning, Self::Stopped]
            }
            NetworkMode::Bridge | NetworkMode::Host | NetworkMode::None => {
                &[Self::Running, Self::Stopping, Self::Stopped]
            }
        }
    }

    /// The version of a task that a fleet has in this place of its life: how often its state has changed. A task that
    /// runs on Fargate is at 4 and a stopped one at 9, as in AWS's examples of events.
    pub(crate) fn version(self, desired: Self, mode: NetworkMode) -> u64 {
        let (start, end) = (Self::of_start(mode), Self::of_end(mode));
        let place = |list: &[Self], status| list.iter().position(|it| *it == status);
        let is_ending = desired == Self::Stopped || self.usual_desire() == Self::Stopped;
        let changes = match (place(start, self), place(end, self)) {
            (Some(place), _) if !is_ending => place + 1,
            (_, Some(place)) => start.len() + place + 1,
            (Some(place), None) => place + 2,
            (None, None) => start.len() + usize::from(is_ending),
        };
        changes as u64
    }

    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Activating => "ACTIVATING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}
