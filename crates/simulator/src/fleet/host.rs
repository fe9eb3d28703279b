//! Container instances.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{IpVersion, LaunchType};

/// A group of like container instances.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hosts {
    /// How many.
    pub count: u32,
    /// What they are; tasks go only where their launch type fits.
    pub kind: HostKind,
    /// Which addresses they have.
    pub ip: IpVersion,
    /// `ACTIVE` or `DRAINING`.
    pub status: String,
    /// Whether the ECS agent is connected.
    pub agent_connected: bool,
    /// Whether the instances belong to AWS and the account hides such resources, so that EC2 `DescribeInstances`
    /// shows them only with `IncludeManagedResources`. Machines outside AWS that are hidden are unknown to Systems
    /// Manager.
    pub hidden: bool,
    /// Custom attributes.
    pub attributes: BTreeMap<String, String>,
    /// What Systems Manager says of machines outside AWS: `Online`, `ConnectionLost` or `Inactive`.
    pub ping_status: String,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            count: 1,
            kind: HostKind::default(),
            ip: IpVersion::default(),
            status: "ACTIVE".to_owned(),
            agent_connected: true,
            hidden: false,
            attributes: BTreeMap::new(),
            ping_status: "Online".to_owned(),
        }
    }
}

/// What a container instance is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostKind {
    /// An EC2 instance of one's own (`i-…`).
    #[default]
    Ec2,
    /// A machine outside AWS (`mi-…`), which EC2 does not know.
    Anywhere,
    /// An instance that ECS runs (`i-…`).
    Managed,
}

impl HostKind {
    /// As fleet files spell it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Anywhere => "anywhere",
            Self::Managed => "managed",
        }
    }

    /// The kind of host for tasks of a launch type; `None` for Fargate, whose hosts are hidden.
    pub(crate) fn for_tasks(launch_type: LaunchType) -> Option<Self> {
        match launch_type {
            LaunchType::Ec2 => Some(Self::Ec2),
            LaunchType::External => Some(Self::Anywhere),
            LaunchType::ManagedInstances => Some(Self::Managed),
            LaunchType::Fargate => None,
        }
    }
}
