//! A fleet described in TOML, with every property that ECS answers can have.
//!
//! These types only describe; the simulator makes tasks, addresses and ids out of them when it starts. The commented
//! file `fleets/example.toml` shows every field in use.

mod alarm;
mod check;
mod container;
mod error;
mod events;
mod host;
mod size;
mod terms;
mod workload;

pub use alarm::{Alarm, AlarmState};
pub use container::{Answer, Container, PortMapping};
pub use error::{FleetError, Mistake};
pub use events::EventTarget;
pub use host::{HostKind, Hosts};
pub use terms::{
    Addresses, Controller, HealthStatus, IpVersion, LaunchType, Listeners, NetworkMode, Protocol, Scheduling,
    TaskStatus,
};
pub use workload::{Deployment, Service, Standalone, TaskOverride};

use std::collections::BTreeMap;

use serde::Deserialize;

/// Everything that runs in one account and Region.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fleet {
    /// AWS Region; it decides the ARNs' partition too.
    pub region: String,
    /// Account id of 12 digits.
    pub account: String,
    /// Every id comes from this number: the same fleet and seed give the same ARNs.
    pub seed: u64,
    /// Whether endpoints really listen.
    pub addresses: Addresses,
    /// How they listen.
    pub listeners: Listeners,
    /// Where task state change events go; [`Options::events`](crate::Options::events) when absent.
    pub events: Option<EventTarget>,
    /// The CloudWatch alarms.
    #[serde(rename = "alarm")]
    pub alarms: Vec<Alarm>,
    /// The clusters.
    #[serde(rename = "cluster")]
    pub clusters: Vec<Cluster>,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account: "111122223333".to_owned(),
            seed: 0,
            addresses: Addresses::default(),
            listeners: Listeners::default(),
            events: None,
            alarms: Vec::new(),
            clusters: Vec::new(),
        }
    }
}

/// One ECS cluster.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    /// Cluster name.
    pub name: String,
    /// Whether it was deleted: ECS still lists it, and describes it as INACTIVE.
    pub inactive: bool,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Container instances.
    pub hosts: Vec<Hosts>,
    /// Services.
    #[serde(rename = "service")]
    pub services: Vec<Service>,
    /// Tasks that no service started.
    #[serde(rename = "standalone")]
    pub standalones: Vec<Standalone>,
}

/// The most endpoints for which each has a socket of its own: with their connections they stay below the 20,000 file
/// descriptors that containers and services usually get.
const OWN_LISTENERS_MAX: u128 = 8_000;

/// Docker labels of a container definition.
pub type Labels = BTreeMap<String, String>;

impl Fleet {
    /// Reads and checks a fleet file.
    ///
    /// # Errors
    ///
    /// Text that is not a fleet, or a fleet that cannot exist on AWS (Fargate tasks in bridge mode, say); the latter
    /// reports every mistake at once.
    pub fn from_toml(text: &str) -> Result<Self, FleetError> {
        let fleet: Self = toml::from_str(text)?;
        fleet.check()?;
        Ok(fleet)
    }

    /// Checks a fleet that was put together in code; [`Simulator::start`](crate::Simulator::start) does so too.
    ///
    /// # Errors
    ///
    /// Every mistake, with the place where it is.
    pub fn check(&self) -> Result<(), FleetError> {
        check::fleet(self)
    }

    /// How many tasks it describes.
    pub(crate) fn task_count(&self) -> u128 {
        size::tasks(self)
    }

    /// Whether its containers share a listener for each port.
    pub(crate) fn shares_listeners(&self) -> bool {
        match self.listeners {
            Listeners::Auto => size::endpoints(self) > OWN_LISTENERS_MAX,
            Listeners::Own => false,
            Listeners::Shared => true,
        }
    }
}
