//! Bodies of the services queue for some tasks of a cluster, and the kinds of bodies of that queue.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{Broadcast, Message as _, Pace, ServiceMessage};
use crate::id::PartId;
use crate::json::{self, BodyError};

/// The most tasks of one page: as many as ECS lists and describes in one call.
pub const PAGE_TASKS_MAX: usize = 100;

/// A body of the services queue: notifies these tasks of one cluster, whatever their services.
///
/// For many small services it needs far fewer calls than a message for each service. It has no field `service`, so a
/// stage that knows only [`ServiceMessage`] refuses it and calls no task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PageMessage {
    /// Name or ARN of the cluster.
    pub cluster: String,
    /// ARNs of the tasks, at most [`PAGE_TASKS_MAX`].
    pub tasks: Vec<String>,
    /// The broadcast.
    pub broadcast: Broadcast,
    /// Of these tasks, only those of these services. Empty: those of every service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Also those that no service started. Ignored if `services` is not empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standalone: bool,
    /// ARN of the cluster, if the registry describes its tasks, as far as it knows them, and not ECS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// The tasks started after the broadcast had found its fleet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

impl PageMessage {
    /// Notifies these tasks of every service.
    #[must_use]
    pub fn new(cluster: impl Into<String>, tasks: Vec<String>, broadcast: Broadcast) -> Self {
        let cluster = cluster.into();
        Self {
            cluster,
            tasks,
            broadcast,
            services: Vec::new(),
            standalone: false,
            registry: None,
            late: false,
        }
    }
}

/// A body of the services queue: at the end of the time that a broadcast covers, notifies the tasks that have started since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CoverMessage {
    /// Name or ARN of the cluster.
    pub cluster: String,
    /// The end, in milliseconds since 1970. Before it, the message is put back on the queue.
    pub covers_until: i64,
    /// The broadcast.
    pub broadcast: Broadcast,
    /// Only tasks of these services. Empty: those of every service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Also tasks that no service started. Ignored if `services` is not empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standalone: bool,
}

impl CoverMessage {
    /// The end of a broadcast to every service of a cluster.
    #[must_use]
    pub fn new(cluster: impl Into<String>, covers_until: i64, broadcast: Broadcast) -> Self {
        Self { cluster: cluster.into(), covers_until, broadcast, services: Vec::new(), standalone: false }
    }
}

/// A body of the services queue: waits until a wave of one service has ended, and notifies the next one.
///
/// It has no field `service`, so a stage that knows only [`ServiceMessage`] refuses it and calls no task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GateMessage {
    /// Name or ARN of the cluster.
    pub cluster: String,
    /// The wave that has begun; 0 before the first.
    pub gate: u16,
    /// When it began, in milliseconds since 1970.
    #[serde(default)]
    pub since: i64,
    /// The service and the broadcast.
    pub part: ServiceMessage,
    /// The waves.
    pub pace: Pace,
}

impl GateMessage {
    /// The gate after this wave of a part.
    #[must_use]
    pub fn new(gate: u16, part: ServiceMessage, pace: Pace) -> Self {
        Self { cluster: part.cluster.clone(), gate, since: 0, part, pace }
    }
}

/// A body of the services queue: one part of a broadcast's scope.
#[derive(Clone, Debug, PartialEq)]
pub enum PartMessage {
    /// The tasks of one service, or those that no service started.
    Service(ServiceMessage),
    /// Some tasks of a cluster.
    Page(PageMessage),
    /// The tasks that start while the broadcast is open.
    Cover(CoverMessage),
    /// The waves of one service.
    Gate(Box<GateMessage>),
}

/// The fields that only one kind has.
#[derive(Default, Deserialize)]
struct Kind {
    tasks: Option<IgnoredAny>,
    covers_until: Option<IgnoredAny>,
    gate: Option<IgnoredAny>,
}

impl PartMessage {
    /// Reads a body. Unknown fields are ignored.
    ///
    /// # Errors
    ///
    /// Fails if the text is not JSON of one of these shapes, or too large for SQS.
    pub fn from_body(body: &str) -> Result<Self, BodyError> {
        // The error of a body of no kind is that of a service.
        let kind = json::decode(body).unwrap_or_default();
        match kind {
            Kind { tasks: Some(_), .. } => PageMessage::from_body(body).map(Self::Page),
            Kind { covers_until: Some(_), .. } => CoverMessage::from_body(body).map(Self::Cover),
            Kind { gate: Some(_), .. } => GateMessage::from_body(body).map(|gate| Self::Gate(Box::new(gate))),
            _ => ServiceMessage::from_body(body).map(Self::Service),
        }
    }

    /// Writes the body.
    ///
    /// # Errors
    ///
    /// Returns [`BodyError::TooLarge`] if the body is too large for SQS.
    pub fn to_body(&self) -> Result<String, BodyError> {
        match self {
            Self::Service(message) => message.to_body(),
            Self::Page(message) => message.to_body(),
            Self::Cover(message) => message.to_body(),
            Self::Gate(message) => message.to_body(),
        }
    }

    /// Name or ARN of the cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        match self {
            Self::Service(message) => &message.cluster,
            Self::Page(message) => &message.cluster,
            Self::Cover(message) => &message.cluster,
            Self::Gate(message) => &message.cluster,
        }
    }

    /// Name of the service; empty for standalone tasks, and where it may be any.
    #[must_use]
    pub fn service(&self) -> &str {
        match self {
            Self::Service(message) => &message.service,
            Self::Gate(message) => &message.part.service,
            Self::Page(_) | Self::Cover(_) => "",
        }
    }

    /// The broadcast. Messages of the proof of concept have none.
    #[must_use]
    pub fn broadcast(&self) -> Option<&Broadcast> {
        match self {
            Self::Service(message) => message.broadcast.as_ref(),
            Self::Page(message) => Some(&message.broadcast),
            Self::Cover(message) => Some(&message.broadcast),
            Self::Gate(message) => message.part.broadcast.as_ref(),
        }
    }

    /// The id of the part of the broadcast's scope that this message covers.
    ///
    /// A repeated message has the same id; two messages of one broadcast with different contents have different ids.
    #[must_use]
    pub fn part(&self) -> PartId {
        match self {
            Self::Service(message) => message.part(),
            Self::Page(message) => {
                let tasks = message.tasks.iter().map(String::as_str);
                PartId::derive([message.cluster.as_str(), "page"].into_iter().chain(tasks))
            }
            Self::Cover(message) => PartId::derive([message.cluster.as_str(), "cover"]),
            Self::Gate(message) => message.part.part(),
        }
    }
}
