//! The row of one task, and how a newer state replaces it. Pure.
//!
//! A row's body begins with the version of the task and the time of the statement, in digits of fixed length. So the
//! order of bytes is the order of age, and a store that keeps the greater body ends with the same row in any order of
//! writes.

use serde::{Deserialize, Serialize};

use crate::model::{
    Attachment, ContainerState, NetworkInterface, PortBinding, PortRange, RUNNING, STOPPED, TaskState, Zone,
};

/// The version of a task that ECS no longer knows: none is greater.
pub(super) const VERSION_GONE: u64 = u64::MAX;

/// The largest body of a row. A usual one has about 500 bytes, and a task has at most ten containers.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// The latest time of a statement: its digits have a fixed length.
const AT_MAX: u64 = 9_999_999_999_999_999;

/// What ECS said about a task, in an event or in an answer of `DescribeTasks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The task. Its cluster is set.
    pub task: TaskState,
    /// When ECS said it, in milliseconds since 1970.
    pub at: u64,
}

/// What the registry knows of a task.
///
/// A stopped task has a row too, without its addresses: a late event must not bring the task back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    task: TaskState,
    at: u64,
}

/// What follows from a statement about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most statements are news, and none is kept")]
pub enum Applied {
    /// The registry knew less: the row to write.
    Write(Row),
    /// The registry knows this version of the task already.
    Same,
    /// The registry knows a newer version of the task.
    Older,
}

/// Decides what follows from a statement about a task whose row is known. The order of statements does not matter, and
/// neither do repeats: the last row is that of the greatest version, in its latest statement.
pub fn apply(row: Option<&Row>, seen: &Seen) -> Applied {
    let new = Row::of(seen);
    let Some(old) = row else { return Applied::Write(new) };
    match new.order().cmp(&old.order()) {
        _ if new.task.version < old.task.version => Applied::Older,
        std::cmp::Ordering::Greater => Applied::Write(new),
        _ => Applied::Same,
    }
}

impl Row {
    /// The row of a task about which this is the only statement.
    pub fn of(seen: &Seen) -> Self {
        let Seen { task, at } = seen;
        let at = (*at).min(AT_MAX);
        if !task.is_stopped() {
            // Events do not say what a health check found, and an old answer would be wrong soon.
            let mut task = task.clone();
            task.containers.iter_mut().for_each(|container| container.health = None);
            task.desired_status = task.desired_status.or_else(|| task.last_status.clone());
            return Self { task, at };
        }
        let status = Some(STOPPED.to_owned());
        let task = TaskState {
            arn: task.arn.clone(),
            cluster: task.cluster.clone(),
            version: task.version,
            last_status: status.clone(),
            desired_status: status,
            ..TaskState::default()
        };
        Self { task, at }
    }

    /// The task. What its health checks found is not known.
    pub fn task(&self) -> TaskState {
        self.task.clone()
    }

    /// The task, borrowed.
    pub fn state(&self) -> &TaskState {
        &self.task
    }

    /// When ECS said this, in milliseconds since 1970.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Whether the task runs, and is not about to stop.
    pub fn is_running(&self) -> bool {
        self.task.is_running()
    }

    /// The order of rows of one task: that of their bodies.
    fn order(&self) -> (u64, u64, String) {
        (self.task.version, self.at, self.rest())
    }

    /// What the row says besides version and time.
    pub(super) fn rest(&self) -> String {
        // Strings and numbers: they can always be written.
        serde_json::to_string(&Body::from(&self.task)).unwrap_or_default()
    }

    /// The body of its item.
    pub(super) fn body(&self) -> String {
        let rest = self.rest();
        let rest = rest.strip_prefix('{').unwrap_or_default();
        format!("{{\"v\":\"{:020}\",\"at\":\"{:016}\",{rest}", self.task.version, self.at)
    }

    /// Reads the body of the item of this task.
    pub(super) fn read(cluster: &str, task: &str, body: &str) -> Result<Self, serde_json::Error> {
        let Stored { v, at, body } = serde_json::from_str(body)?;
        let number = |text: &str| text.parse().map_err(serde::de::Error::custom);
        let (version, at) = (number(&v)?, number(&at)?);
        Ok(Self { task: body.task(cluster, task, version), at })
    }
}

#[derive(Deserialize)]
struct Stored {
    v: String,
    at: String,
    #[serde(flatten)]
    body: Body,
}

/// The fields of a row that discovery needs. The names are short: DynamoDB charges by the kilobyte.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Body {
    /// Its last status. It is always written, so that the body has a field after its time.
    s: Option<String>,
    /// Its desired status, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    /// Its revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    r: Option<String>,
    /// Its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    g: Option<String>,
    /// Its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    h: Option<String>,
    /// Its availability zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    z: Option<Zone>,
    /// Its containers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    c: Vec<ContainerBody>,
    /// Its attachments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    a: Vec<AttachmentBody>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct ContainerBody {
    n: String,
    /// Its last status; left out if it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<String>,
    /// Its ports: `tcp`, of the container, of the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    b: Vec<(bool, String, String)>,
    /// Its network interfaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    i: Vec<InterfaceBody>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct InterfaceBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<String>,
    #[serde(rename = "4", skip_serializing_if = "Option::is_none")]
    v4: Option<std::net::Ipv4Addr>,
    #[serde(rename = "6", skip_serializing_if = "Option::is_none")]
    v6: Option<std::net::Ipv6Addr>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct AttachmentBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Whether it is a network interface.
    i: bool,
    /// Whether it is attached.
    t: bool,
    #[serde(rename = "4", skip_serializing_if = "Option::is_none")]
    v4: Option<std::net::Ipv4Addr>,
    #[serde(rename = "6", skip_serializing_if = "Option::is_none")]
    v6: Option<std::net::Ipv6Addr>,
}

/// The status of a container as it is written: none if it runs, empty if ECS does not say it.
fn written_status(status: Option<&String>) -> Option<String> {
    match status.map(String::as_str) {
        Some(RUNNING) => None,
        other => Some(other.unwrap_or_default().to_owned()),
    }
}

fn read_status(status: Option<String>) -> Option<String> {
    match status {
        None => Some(RUNNING.to_owned()),
        Some(status) => Some(status).filter(|status| !status.is_empty()),
    }
}

impl From<&TaskState> for Body {
    fn from(task: &TaskState) -> Self {
        let container = |one: &ContainerState| ContainerBody {
            n: one.name.clone(),
            s: written_status(one.last_status.as_ref()),
            b: one.bindings.iter().map(|b| (b.is_tcp, b.container.to_string(), b.host.to_string())).collect(),
            i: one
                .interfaces
                .iter()
                .map(|i| InterfaceBody { a: i.attachment.clone(), v4: i.v4, v6: i.v6 })
                .collect(),
        };
        let attachment = |one: &Attachment| AttachmentBody {
            id: one.id.clone(),
            i: one.is_interface,
            t: one.is_attached,
            v4: one.v4,
            v6: one.v6,
        };
        Self {
            s: task.last_status.clone(),
            d: task.desired_status.clone().filter(|_| task.desired_status != task.last_status),
            r: task.revision.clone(),
            g: task.group.clone(),
            h: task.host.clone(),
            z: task.zone.clone(),
            c: task.containers.iter().map(container).collect(),
            a: task.attachments.iter().map(attachment).collect(),
        }
    }
}

impl Body {
    fn task(self, cluster: &str, arn: &str, version: u64) -> TaskState {
        let binding = |(is_tcp, container, host): (bool, String, String)| {
            let [container, host] = [&container, &host].map(|range| PortRange::parse(range));
            Some(PortBinding { is_tcp, container: container?, host: host? })
        };
        let container = |one: ContainerBody| ContainerState {
            name: one.n,
            last_status: read_status(one.s),
            health: None,
            bindings: one.b.into_iter().filter_map(binding).collect(),
            interfaces: one
                .i
                .into_iter()
                .map(|i| NetworkInterface { attachment: i.a, v4: i.v4, v6: i.v6 })
                .collect(),
        };
        let attachment = |one: AttachmentBody| Attachment {
            id: one.id,
            is_interface: one.i,
            is_attached: one.t,
            v4: one.v4,
            v6: one.v6,
        };
        TaskState {
            arn: arn.to_owned(),
            cluster: Some(cluster.to_owned()),
            group: self.g,
            desired_status: self.d.or_else(|| self.s.clone()),
            last_status: self.s,
            revision: self.r,
            version,
            host: self.h,
            zone: self.z,
            containers: self.c.into_iter().map(container).collect(),
            attachments: self.a.into_iter().map(attachment).collect(),
        }
    }
}
