//! Containers: what their definition says, and how the process inside answers.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::Deserialize;

use crate::latency::Latency;

use super::{HealthStatus, Labels, Protocol, TaskStatus};

/// One container of a task definition.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Container {
    /// Container name.
    pub name: String,
    /// Image; `example/NAME:latest` when empty.
    pub image: String,
    /// Port mappings; each TCP port listens.
    pub ports: Vec<PortMapping>,
    /// Docker labels.
    pub labels: Labels,
    /// Whether the definition has a health check.
    pub health_check: bool,
    /// What the health check says; `HEALTHY` when absent. Without a check ECS always says `UNKNOWN`.
    pub health: Option<HealthStatus>,
    /// Whether the task stops with this container; true when absent.
    pub essential: Option<bool>,
    /// Where it differs from its task's status: a sidecar that has `STOPPED` in a running task, say.
    pub last_status: Option<TaskStatus>,
    /// The answers, one for each request in turn; the last repeats. Status 200 when empty.
    pub answers: Vec<Answer>,
    /// What is added to the delay of each answer, drawn for each request of each task.
    pub latency: Option<Latency>,
    /// Nothing listens, so connections are refused.
    pub refuse: bool,
    /// The one path that is served, for example `/v1.0/notify`; others answer 404. Any path when absent.
    pub path: Option<String>,
    /// The one method that is served; others answer 405. Any method when absent.
    pub method: Option<String>,
    /// Answers 421 (misdirected) unless the request's body names the answering task's ARN: a receiver that knows who
    /// it is.
    pub own_only: bool,
}

impl Container {
    /// Whether both say the same as far as a task definition goes; how the process answers is not part of it.
    pub(crate) fn defines_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.image == other.image
            && self.ports == other.ports
            && self.labels == other.labels
            && self.health_check == other.health_check
            && self.essential == other.essential
    }
}

/// One answer of a container's HTTP server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// How long the answer takes, in milliseconds.
    pub delay_ms: u64,
    /// Headers such as `Retry-After` or `Location`.
    pub headers: BTreeMap<String, String>,
    /// Body text.
    pub body: String,
    /// A body of this many bytes instead: as large as you like, it is made while it is sent.
    pub body_bytes: Option<u64>,
    /// The `Content-Length` that is claimed; where the body is shorter, the connection ends before the rest.
    pub claimed_bytes: Option<u64>,
    /// Never answers, and keeps the connection.
    pub hang: bool,
    /// Resets the connection instead of answering.
    pub reset: bool,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            delay_ms: 0,
            headers: BTreeMap::new(),
            body: String::new(),
            body_bytes: None,
            claimed_bytes: None,
            hang: false,
            reset: false,
        }
    }
}

/// A port mapping: `8080`, `{ container = 8080, host = 80, protocol = "tcp" }` or `{ range = "9000-9002" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct PortMapping {
    /// First container port.
    pub first: NonZeroU16,
    /// Last container port; the same for a single port.
    pub last: NonZeroU16,
    /// Written as a range, which ECS reports in other fields than a port.
    pub is_range: bool,
    /// The host port asked for in bridge mode; any free one when absent.
    pub host: Option<NonZeroU16>,
    /// Transport.
    pub protocol: Protocol,
}

/// The longest range: enough to test ranges, and a bound on the listeners of one container.
const RANGE_PORTS_MAX: u16 = 100;

impl PortMapping {
    /// A TCP port, at any host port in bridge mode.
    pub fn tcp(port: NonZeroU16) -> Self {
        Self { first: port, last: port, is_range: false, host: None, protocol: Protocol::Tcp }
    }

    /// How many ports are mapped.
    pub fn width(&self) -> u16 {
        self.last.get() - self.first.get() + 1
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a port mapping is a port, { container, host, protocol } or { range = \"FIRST-LAST\", protocol }"
)]
enum Written {
    Port(NonZeroU16),
    Mapping(Mapping),
    Range(Range),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    container: NonZeroU16,
    host: Option<NonZeroU16>,
    #[serde(default)]
    protocol: Protocol,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    range: String,
    #[serde(default)]
    protocol: Protocol,
}

impl TryFrom<Written> for PortMapping {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Port(port) => Ok(Self::tcp(port)),
            Written::Mapping(Mapping { container, host, protocol }) => {
                Ok(Self { host, protocol, ..Self::tcp(container) })
            }
            Written::Range(Range { range, protocol }) => Ok(Self { protocol, ..range.parse()? }),
        }
    }
}

impl FromStr for PortMapping {
    type Err = String;

    /// Reads a range such as `9000-9002`.
    fn from_str(range: &str) -> Result<Self, String> {
        let ports = range.split_once('-').and_then(|(first, last)| {
            let (first, last) = (first.parse::<NonZeroU16>().ok()?, last.parse::<NonZeroU16>().ok()?);
            (first <= last && last.get() - first.get() < RANGE_PORTS_MAX).then_some((first, last))
        });
        let (first, last) = ports.ok_or_else(|| {
            format!("port range `{range}` is not FIRST-LAST with at most {RANGE_PORTS_MAX} ports, as in `9000-9002`")
        })?;
        Ok(Self { first, last, is_range: true, host: None, protocol: Protocol::Tcp })
    }
}
