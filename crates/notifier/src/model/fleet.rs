//! The fleet of a scope: whom to call, who cannot be called and why, and who did not ask.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::Cause;
use super::labels::{LabelError, Target};

/// One container of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Name of the cluster, as the broadcast named it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Name of the service, or the task's group when no service started it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// ARN of the task; empty where no task is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub task: String,
    /// ARN of the task-definition revision that the task runs; empty where unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub task_definition: String,
    /// Name of the container; empty where unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container: String,
}

/// Where one target of one running task listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Who listens there.
    pub member: Member,
    /// Host address and host port, as ECS and EC2 said.
    pub address: SocketAddr,
    /// What the container's labels ask for.
    pub target: Target,
    /// Its health check has not said anything yet: ECS is asked again before it is called.
    pub is_starting: bool,
}

/// An opted-in container that cannot be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// Who is not called.
    pub member: Member,
    /// Why.
    pub reason: SkipReason,
}

/// A container that is not called because nobody asked for it, or because its task does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTargeted {
    /// Who is not called.
    pub member: Member,
    /// Why.
    pub reason: NotTargetedReason,
}

/// What became of every container and task of a scope at discovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Opted in, running, and callable.
    pub endpoints: Vec<Endpoint>,
    /// Opted in, running, but not callable.
    pub skips: Vec<Skip>,
    /// Everything else that was looked at.
    pub not_targeted: Vec<NotTargeted>,
}

impl Fleet {
    /// Adds what another look found.
    pub fn extend(&mut self, other: Self) {
        self.endpoints.extend(other.endpoints);
        self.skips.extend(other.skips);
        self.not_targeted.extend(other.not_targeted);
    }

    /// Puts everything into the order of cluster, service, task, container.
    pub fn sort(&mut self) {
        self.endpoints.sort_unstable();
        self.skips.sort_by(|a, b| a.member.cmp(&b.member));
        self.not_targeted.sort_by(|a, b| a.member.cmp(&b.member));
    }
}

/// Why an opted-in container of a running task is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// The labels cannot be followed.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// The scope names a service that the cluster does not have.
    #[error("the cluster has no service of this name")]
    NoSuchService,
    /// ECS listed it and then did not describe it, nor say that it is gone.
    #[error("ECS listed it but does not describe it: {0}")]
    NotDescribed(String),
    /// The task definition cannot be read.
    #[error("its task definition cannot be read: {0}")]
    NoDefinition(String),
    /// A task without a network has no address.
    #[error("network mode `none` has no address")]
    NoNetwork,
    /// The container port is not mapped to the host.
    #[error("container port {port} is not mapped to a TCP port of the host")]
    Unmapped {
        /// The labelled port.
        port: u16,
    },
    /// ECS named no address for the task yet.
    #[error("ECS knows no address of the task")]
    NoAddress,
    /// The task's host is not known, or has no private address.
    #[error("its host {host} {problem}")]
    Host {
        /// Container instance or instance id.
        host: String,
        /// What is wrong with it, as the end of a sentence.
        problem: &'static str,
    },
    /// The address must not be called.
    #[error("{address} must not be called: {rule}")]
    Address {
        /// The address that ECS or EC2 named.
        address: IpAddr,
        /// The rule it breaks.
        rule: String,
    },
    /// The container does not run although its task does.
    #[error("the container is {0}")]
    NotRunning(String),
    /// The container's health check does not pass, or there is none and health is required.
    #[error("its health is {0}")]
    Health(String),
    /// The broadcast was cancelled before the container was told.
    #[error("the broadcast was cancelled")]
    Cancelled,
}

impl SkipReason {
    /// The kind of reason.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::Label(_) => Cause::Label,
            Self::NoSuchService => Cause::NoSuchService,
            Self::NotDescribed(_) => Cause::NotDescribed,
            Self::NoDefinition(_) => Cause::TaskDefinition,
            Self::NoNetwork => Cause::NetworkModeNone,
            Self::Unmapped { .. } => Cause::PortNotMapped,
            Self::NoAddress => Cause::NoAddress,
            Self::Host { .. } => Cause::Host,
            Self::Address { .. } => Cause::AddressRefused,
            Self::NotRunning(_) => Cause::ContainerNotRunning,
            Self::Health(_) => Cause::Health,
            Self::Cancelled => Cause::Cancelled,
        }
    }

    /// A stable word for the kind of reason, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.cause().as_str()
    }
}

/// Why a container that nobody asked to call is not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTargetedReason {
    /// It has no label of ours.
    NotOptedIn,
    /// Its task does not run (any more, or yet).
    TaskNotRunning {
        /// `lastStatus` of the task.
        last: String,
        /// `desiredStatus` of the task.
        desired: String,
    },
    /// ECS listed the task and then did not know it any more.
    TaskVanished,
}

impl fmt::Display for NotTargetedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOptedIn => f.write_str("did not opt in"),
            Self::TaskNotRunning { last, desired } if last == "RUNNING" => {
                write!(f, "the task is running, but shall be {desired}")
            }
            Self::TaskNotRunning { last, .. } => write!(f, "the task is {last}"),
            Self::TaskVanished => f.write_str("the task stopped after it was listed"),
        }
    }
}
