//! The bodies of the three queues.
//!
//! A proof of concept in Go fixed the first fields of each body, their names and that all of them are strings. Those
//! never change. Everything else is optional on the way in, and ignored by a consumer that does not know it.

use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use crate::event::{Draft, Event};
use crate::id::{BroadcastId, PartId};
use crate::json::{self, BodyError};

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ObserverMessage {}
    impl Sealed for super::ServiceMessage {}
    impl Sealed for super::TaskMessage {}
}

/// One of the three queue bodies.
pub trait Message: Serialize + serde::de::DeserializeOwned + sealed::Sealed {
    /// Reads a body; unknown fields are ignored.
    ///
    /// # Errors
    ///
    /// [`BodyError`] when the text is not JSON of this shape, or larger than SQS carries.
    fn from_body(body: &str) -> Result<Self, BodyError> {
        json::decode(body)
    }

    /// Writes the body.
    ///
    /// # Errors
    ///
    /// [`BodyError::TooLarge`] when SQS would not carry it.
    fn to_body(&self) -> Result<String, BodyError> {
        json::encode(self)
    }
}

impl Message for ObserverMessage {}
impl Message for ServiceMessage {}
impl Message for TaskMessage {}

/// A body of the observer queue: tell the fleet of this scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObserverMessage {
    /// Name or ARN of the cluster.
    pub cluster: String,
    /// Names of services that narrow the scope; empty means every service of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Also tell tasks that no service started. Has no effect beside `services`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standalone: bool,
    /// What happened. Without it the tasks are told an event of the default type and no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Draft>,
}

/// A broadcast as the two inner queues carry it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Broadcast {
    /// Makes everything downstream idempotent.
    pub id: BroadcastId,
    /// What every task of the fleet is told.
    pub event: Event,
}

/// A body of the services queue: tell the tasks of this service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceMessage {
    /// Name or ARN of the cluster.
    pub cluster: String,
    /// Name of the service. Empty with `standalone`.
    pub service: String,
    /// The container port, as the label says it: not yet known to be a port.
    #[serde(rename = "notify_me_container_port")]
    pub port: String,
    /// The request path, as the label says it: not yet known to be a path.
    #[serde(rename = "notify_me_api_uri")]
    pub path: String,
    /// The broadcast; absent in a message of the proof of concept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<Broadcast>,
    /// Which of the service's endpoints this message stands for.
    #[serde(default, skip_serializing_if = "Share::is_all")]
    pub share: Share,
    /// The message stands for the cluster's tasks that no service started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standalone: bool,
}

impl ServiceMessage {
    /// Which part of the broadcast's scope the message stands for: the same for the same message, and different for two
    /// messages of one broadcast.
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

/// Which of a service's endpoints one message stands for, when the service has a message for each of several targets.
///
/// The first message takes everything that no other message takes, so a task of a revision that appeared after the
/// service was looked at belongs to exactly one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// Every endpoint of the service.
    #[default]
    All,
    /// Every endpoint but those whose labels are one of these: they have messages of their own.
    Except(Vec<Labels>),
    /// Only the endpoints whose labels are those of this message.
    Only,
}

impl Share {
    fn is_all(&self) -> bool {
        *self == Self::All
    }
}

/// The two labels that opt a container in, word for word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Labels {
    /// The text of `NOTIFY_ME_CONTAINER_PORT`; empty when the label is missing.
    pub port: String,
    /// The text of `NOTIFY_ME_API_URI`; empty when the label is missing.
    pub path: String,
}

/// A body of the tasks queue: call this endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The broadcast; absent in a message of the proof of concept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<Broadcast>,
    /// Name or ARN of the task's cluster; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The task's service, or its group when no service started it; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// Name of the container; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// ARN of the task-definition revision that the task runs; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task_definition: String,
    /// The labelled port inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_port: Option<NonZeroU16>,
    /// How the request travels.
    #[serde(default)]
    pub scheme: Scheme,
    /// The request's method.
    #[serde(default)]
    pub method: Method,
    /// How the event is written into the request.
    #[serde(default, skip_serializing_if = "ContentMode::is_default")]
    pub content_mode: ContentMode,
    /// The name that the task's certificate must have; without it, its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The container's health check had not said anything at discovery: it is asked for again before the call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starting: bool,
}

/// How a request travels.
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
    /// The scheme as it stands in a URL.
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
    /// No body: the call itself is the message, as in the proof of concept.
    Get,
}

impl Method {
    /// The method as it stands in a request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Get => "GET",
        }
    }
}

/// How an event is written into a request: the content modes of CloudEvents' HTTP binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentMode {
    /// The body is the whole event.
    #[default]
    Structured,
    /// The body is the event's data, and headers are its attributes. A signature covers the body alone.
    Binary,
}

impl ContentMode {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The mode as a label says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Structured => "structured",
            Self::Binary => "binary",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_proof_of_concept_are_read() {
        let observer = ObserverMessage::from_body(r#"{"cluster":"prod"}"#).unwrap();
        assert_eq!(observer, ObserverMessage { cluster: "prod".into(), ..ObserverMessage::default() });

        let service = ServiceMessage::from_body(
            r#"{"cluster":"prod","service":"web","notify_me_container_port":"8080","notify_me_api_uri":"/n"}"#,
        )
        .unwrap();
        assert_eq!((service.port.as_str(), service.path.as_str()), ("8080", "/n"));
        assert_eq!((service.share, service.broadcast, service.standalone), (Share::All, None, false));

        let task = TaskMessage::from_body(
            r#"{"notify_task_arn":"arn","notify_me_host_address":"10.0.0.1","notify_me_host_port":"32768","notify_me_api_uri":"/n"}"#,
        )
        .unwrap();
        assert_eq!((task.method, task.scheme), (Method::Post, Scheme::Http));
    }

    #[test]
    fn our_messages_hold_the_fields_of_the_proof_of_concept_as_strings() {
        let service = ServiceMessage {
            cluster: "prod".into(),
            service: "web".into(),
            port: "8080".into(),
            path: "/n".into(),
            broadcast: None,
            share: Share::All,
            standalone: false,
        };
        assert_eq!(
            service.to_body().unwrap(),
            r#"{"cluster":"prod","service":"web","notify_me_container_port":"8080","notify_me_api_uri":"/n"}"#
        );
        let observer = ObserverMessage { cluster: "prod".into(), ..ObserverMessage::default() };
        assert_eq!(observer.to_body().unwrap(), r#"{"cluster":"prod"}"#);
    }

    #[test]
    fn unknown_fields_are_ignored_and_missing_ones_are_named() {
        assert!(ObserverMessage::from_body(r#"{"cluster":"prod","later":[1]}"#).is_ok());
        let wrong = ObserverMessage::from_body(r#"{"services":["a"]}"#).unwrap_err();
        let cause = std::error::Error::source(&wrong).unwrap().to_string();
        assert!(cause.contains("missing field `cluster`"), "{cause}");
    }

    #[test]
    fn each_message_of_a_broadcast_is_a_part_of_its_own() {
        let of = |json: &str| ServiceMessage::from_body(json).unwrap().part();
        let web =
            r#"{"cluster":"prod","service":"web","notify_me_container_port":"80","notify_me_api_uri":"/n"}"#;
        let others = [
            web.replace("prod", "test"),
            web.replace("web", "api"),
            web.replace("80", "81"),
            web.replace("/n", "/m"),
            web.replace('}', r#","share":"only"}"#),
            web.replace('}', r#","share":{"except":[]}}"#),
            web.replace('}', r#","standalone":true}"#),
        ];
        assert_eq!(of(web), of(&web.replace('}', r#","later":1}"#)));
        let all: std::collections::BTreeSet<_> =
            others.iter().map(String::as_str).chain([web]).map(of).collect();
        assert_eq!(all.len(), others.len() + 1);
    }

    #[test]
    fn a_share_reads_as_it_was_written() {
        let labels = Labels { port: "80".into(), path: "/".into() };
        for (share, json) in [
            (Share::All, r#""all""#),
            (Share::Only, r#""only""#),
            (Share::Except(vec![labels]), r#"{"except":[{"port":"80","path":"/"}]}"#),
        ] {
            assert_eq!(serde_json::to_string(&share).unwrap(), json);
            assert_eq!(serde_json::from_str::<Share>(json).unwrap(), share);
        }
    }
}
