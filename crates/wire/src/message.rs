//! The bodies of the three queues.
//!
//! A proof of concept in Go defined the first fields of each body. Their names never change, and all of them are strings.
//! All other fields are optional, and consumers ignore fields that they do not know.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use crate::event::{Draft, Event};
use crate::id::{BroadcastId, PartId};
use crate::json::{self, BodyError};

mod pace;
mod page;

pub use pace::Pace;
pub use page::{CoverMessage, GateMessage, PAGE_TASKS_MAX, PageMessage, PartMessage};

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ObserverMessage {}
    impl Sealed for super::ServiceMessage {}
    impl Sealed for super::PageMessage {}
    impl Sealed for super::CoverMessage {}
    impl Sealed for super::GateMessage {}
    impl Sealed for super::TaskMessage {}
}

/// The body of a queue message. Only types of this module implement it.
pub trait Message: Serialize + serde::de::DeserializeOwned + sealed::Sealed {
    /// Reads a body. Unknown fields are ignored.
    ///
    /// # Errors
    ///
    /// Fails if the text is not JSON of this shape, or too large for SQS.
    fn from_body(body: &str) -> Result<Self, BodyError> {
        json::decode(body)
    }

    /// Writes the body.
    ///
    /// # Errors
    ///
    /// Returns [`BodyError::TooLarge`] if the body is too large for SQS.
    fn to_body(&self) -> Result<String, BodyError> {
        json::encode(self)
    }
}

impl Message for ObserverMessage {}
impl Message for ServiceMessage {}
impl Message for PageMessage {}
impl Message for CoverMessage {}
impl Message for GateMessage {}
impl Message for TaskMessage {}

/// A body of the observer queue: starts a broadcast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ObserverMessage {
    /// Name or ARN of the cluster. [`EVERY_CLUSTER`](Self::EVERY_CLUSTER), or an ARN that ends in `:cluster/*`, means every
    /// active cluster of the account and region.
    pub cluster: String,
    /// More clusters of the same broadcast.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// Of every active cluster, only those that have all these tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Names of the services to notify. Empty: every service of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Also notify tasks that no service started. Ignored if `services` is not empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standalone: bool,
    /// The event. Default: an event of the default type without data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Draft>,
    /// The message covers one cluster of a broadcast that has several. The first stage sets it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub split: bool,
    /// The message waits for the end of a window, in which a newer event may take its place. The first stage sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coalesce: Option<Coalesce>,
    /// Also notify tasks that start within this number of seconds after the message was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover: Option<u32>,
    /// Also notify every task of the scope that starts later, until a newer event has the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain: Option<Retain>,
    /// Calls the tasks of the scope in waves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
}

/// An event that is kept for tasks that start later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Retain {
    /// Of the events with the same key and scope, only the newest is kept.
    pub key: String,
    /// How long it is kept, in seconds.
    pub ttl: u32,
}

impl Retain {
    /// The longest key, in bytes.
    pub const KEY_BYTES_MAX: usize = 128;
    /// The longest time for which an event is kept, in seconds: 30 days.
    pub const TTL_MAX: u32 = 30 * 24 * 60 * 60;
    /// The time where nobody names one, in seconds: a day.
    pub const TTL_DEFAULT: u32 = 24 * 60 * 60;

    /// The newest event of this key, for this number of seconds.
    #[must_use]
    pub fn new(key: impl Into<String>, ttl: u32) -> Self {
        Self { key: key.into(), ttl }
    }
}

/// A window in which only the newest event of a key is broadcast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Coalesce {
    /// Identifies the events that take each other's place.
    pub key: String,
    /// Start of the window, in milliseconds since 1970.
    pub window: i64,
    /// Orders the events: of two texts, the greater one belongs to the newer event.
    pub version: String,
}

impl Coalesce {
    /// An event of this version in this window.
    #[must_use]
    pub fn new(key: impl Into<String>, window: i64, version: impl Into<String>) -> Self {
        Self { key: key.into(), window, version: version.into() }
    }
}

impl ObserverMessage {
    /// In place of a cluster's name: every active cluster of the account and region.
    pub const EVERY_CLUSTER: &str = "*";
    /// The largest `cover`, in seconds: a day.
    pub const COVER_MAX: u32 = 24 * 60 * 60;

    /// Notifies every service of this cluster, with an event of the default type.
    #[must_use]
    pub fn new(cluster: impl Into<String>) -> Self {
        Self {
            cluster: cluster.into(),
            clusters: Vec::new(),
            tags: BTreeMap::new(),
            services: Vec::new(),
            standalone: false,
            event: None,
            split: false,
            coalesce: None,
            cover: None,
            retain: None,
            pace: None,
        }
    }
}

/// A broadcast in the messages of the two inner queues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Broadcast {
    /// The id of the broadcast: the id of its event.
    pub id: BroadcastId,
    /// The event that every task receives.
    pub event: Event,
}

impl Broadcast {
    /// The broadcast of this event. It has the id of the event.
    #[must_use]
    pub fn new(event: Event) -> Self {
        Self { id: event.id().clone(), event }
    }
}

/// A body of the services queue: notifies the tasks of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceMessage {
    /// Name or ARN of the cluster.
    pub cluster: String,
    /// Name of the service. Empty if `standalone` is set.
    pub service: String,
    /// The label with the container port, not yet validated.
    #[serde(rename = "notify_me_container_port")]
    pub port: String,
    /// The label with the request path, not yet validated.
    #[serde(rename = "notify_me_api_uri")]
    pub path: String,
    /// The broadcast. Messages of the proof of concept have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<Broadcast>,
    /// Which endpoints of the service this message covers.
    #[serde(default, skip_serializing_if = "Share::is_all")]
    pub share: Share,
    /// The message covers the tasks of the cluster that no service started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standalone: bool,
}

impl ServiceMessage {
    /// Notifies all tasks of this service, without a broadcast as in the proof of concept.
    #[must_use]
    pub fn new(cluster: impl Into<String>, service: impl Into<String>, labels: Labels) -> Self {
        let (cluster, service) = (cluster.into(), service.into());
        let Labels { port, path } = labels;
        Self { cluster, service, port, path, broadcast: None, share: Share::All, standalone: false }
    }

    /// Notifies the tasks of this cluster that no service started, without a broadcast.
    #[must_use]
    pub fn standalone(cluster: impl Into<String>) -> Self {
        Self { standalone: true, ..Self::new(cluster, "", Labels::new("", "")) }
    }

    /// The id of the part of the broadcast's scope that this message covers.
    ///
    /// A repeated message has the same id; two messages of one broadcast have different ids.
    #[must_use]
    pub fn part(&self) -> PartId {
        let share = match &self.share {
            Share::All => "all",
            Share::Except(_) => "except",
            Share::Only => "only",
        };
        let standalone = if self.standalone { "standalone" } else { "" };
        PartId::derive([&self.cluster, &self.service, standalone, share, &self.port, &self.path])
    }
}

/// Which endpoints of a service one message covers, if the containers of the service have several pairs of labels.
///
/// There is one message for each pair. The first message covers all endpoints that no other message covers, so a task of
/// a revision that appears after service discovery belongs to exactly one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// Every endpoint of the service.
    #[default]
    All,
    /// All endpoints except those with one of these pairs of labels, which have their own messages.
    Except(Vec<Labels>),
    /// Only the endpoints with the labels of this message.
    Only,
}

impl Share {
    fn is_all(&self) -> bool {
        *self == Self::All
    }
}

/// The text of the two labels that opt a container in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Labels {
    /// The text of `NOTIFY_ME_CONTAINER_PORT`; empty if the label is missing.
    pub port: String,
    /// The text of `NOTIFY_ME_API_URI`; empty if the label is missing.
    pub path: String,
}

impl Labels {
    /// The texts of `NOTIFY_ME_CONTAINER_PORT` and `NOTIFY_ME_API_URI`.
    #[must_use]
    pub fn new(port: impl Into<String>, path: impl Into<String>) -> Self {
        Self { port: port.into(), path: path.into() }
    }
}

/// A body of the tasks queue: notifies one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskMessage {
    /// ARN of the task.
    #[serde(rename = "notify_task_arn")]
    pub task: String,
    /// IP address of the endpoint.
    #[serde(rename = "notify_me_host_address")]
    pub address: String,
    /// TCP port of the endpoint, in decimal.
    #[serde(rename = "notify_me_host_port")]
    pub port: String,
    /// Absolute path of the Notify API.
    #[serde(rename = "notify_me_api_uri")]
    pub path: String,
    /// The broadcast. Messages of the proof of concept have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<Broadcast>,
    /// Name or ARN of the task's cluster; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Service of the task, or its group if no service started it; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// Name of the container; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// ARN of the task definition revision of the task; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task_definition: String,
    /// The port inside the container, from its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_port: Option<NonZeroU16>,
    /// The scheme of the request.
    #[serde(default)]
    pub scheme: Scheme,
    /// The method of the request.
    #[serde(default)]
    pub method: Method,
    /// The content mode of the request.
    #[serde(default, skip_serializing_if = "ContentMode::is_default")]
    pub content_mode: ContentMode,
    /// The name that the certificate of the task must have. Default: its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The health of the container was unknown at discovery. It is checked again before the call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starting: bool,
    /// The task started after the broadcast had found its fleet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// The wave of a broadcast in which the task is called, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<u16>,
    /// The availability zone of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl TaskMessage {
    /// Notifies the task with this ARN at this address and path, without a broadcast as in the proof of concept.
    #[must_use]
    pub fn new(task: impl Into<String>, address: SocketAddr, path: impl Into<String>) -> Self {
        Self {
            task: task.into(),
            address: address.ip().to_string(),
            port: address.port().to_string(),
            path: path.into(),
            broadcast: None,
            cluster: String::new(),
            service: String::new(),
            container: String::new(),
            task_definition: String::new(),
            container_port: None,
            scheme: Scheme::default(),
            method: Method::default(),
            content_mode: ContentMode::default(),
            server_name: None,
            starting: false,
            late: false,
            wave: None,
            zone: None,
        }
    }
}

/// The scheme of a request to a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain HTTP.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The scheme as in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The method of a request to a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// The event is the body.
    #[default]
    Post,
    /// The request has no body, as in the proof of concept.
    Get,
}

impl Method {
    /// The method as in a request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Get => "GET",
        }
    }
}

/// How a request contains the event: the content modes of the CloudEvents HTTP binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentMode {
    /// The body is the event.
    #[default]
    Structured,
    /// The body is the data of the event, and headers are its attributes. A signature covers the body only.
    Binary,
}

impl ContentMode {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The mode as in a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Structured => "structured",
            Self::Binary => "binary",
        }
    }
}

#[cfg(test)]
mod tests;
