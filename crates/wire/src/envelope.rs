//! The body of the request to one task: the event and its recipient.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::event::{AUDIENCE, Draft, Event, ReadError, text};
use crate::id::{BroadcastId, DeliveryId};

/// The recipient of one delivery.
///
/// Each field is an extension attribute of the CloudEvent, so the signature of the body covers it: a request that was
/// signed for one task is not valid for another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audience {
    /// `ecstask`: ARN of the task.
    pub task: String,
    /// `ecscontainer`: name of the container; empty when unknown.
    pub container: String,
    /// `ecsservice`: service or group of the task; empty when unknown.
    pub service: String,
    /// `ecscluster`: name or ARN of the cluster; empty when unknown.
    pub cluster: String,
    /// `deliveryid`: the same in all attempts.
    pub delivery: String,
}

impl Audience {
    /// The container with this name in the task with this ARN. The other fields are empty.
    #[must_use]
    pub fn new(task: impl Into<String>, container: impl Into<String>) -> Self {
        Self { task: task.into(), container: container.into(), ..Self::default() }
    }
}

/// One event for one container of one task: a CloudEvent 1.0.2 in structured JSON.
///
/// ```
/// use std::time::SystemTime;
///
/// use ecs_task_notifier_wire::{Audience, Draft, Envelope};
///
/// let event = Draft::new("com.example.cache.clear").complete(&"b-1".parse()?, SystemTime::UNIX_EPOCH)?;
/// let mut envelope = Envelope::new(event, Audience::new("arn:aws:ecs:eu-west-1:1:task/prod/a", "web"));
/// envelope.audience.delivery = envelope.delivery_id().to_string();
/// let body = serde_json::to_string(&envelope)?;
/// assert_eq!(serde_json::from_str::<Envelope>(&body)?, envelope);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Envelope {
    /// The event.
    pub event: Event,
    /// The recipient.
    pub audience: Audience,
}

impl Envelope {
    /// An event for this recipient.
    #[must_use]
    pub fn new(event: Event, audience: Audience) -> Self {
        Self { event, audience }
    }

    /// Derives the id of this delivery from event, task and container.
    #[must_use]
    pub fn delivery_id(&self) -> DeliveryId {
        DeliveryId::derive(self.event.id(), &self.audience.task, &self.audience.container)
    }

    /// The body of the request to this recipient: the JSON of an envelope, without a copy of the event.
    ///
    /// # Errors
    ///
    /// None in practice: every part of an event is valid JSON.
    pub fn body(event: &Event, audience: &Audience) -> Result<Vec<u8>, serde_json::Error> {
        let data = event.data().map(|data| data.as_json().len()).unwrap_or_default();
        let mut body = Vec::with_capacity(data + BODY_BYTES_BESIDE_DATA);
        serde_json::to_writer(&mut body, &Borrowed { event, audience })?;
        Ok(body)
    }
}

/// Most bodies have no more bytes beside the event's data.
const BODY_BYTES_BESIDE_DATA: usize = 1_024;

/// An [`Envelope`] of parts that others own.
struct Borrowed<'a> {
    event: &'a Event,
    audience: &'a Audience,
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { event, audience } = self;
        Borrowed { event, audience }.serialize(serializer)
    }
}

impl Serialize for Borrowed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let Audience { task, container, service, cluster, delivery } = self.audience;
        for (name, value) in AUDIENCE.iter().zip([delivery, cluster, container, service, task]) {
            // An attribute of a CloudEvent must not be empty.
            if !value.is_empty() {
                map.serialize_entry(name, value)?;
            }
        }
        self.event.write(&mut map)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = BTreeMap::<String, Box<RawValue>>::deserialize(deserializer)?;
        let mut take = |name| text(&mut members, name).map(Option::unwrap_or_default);
        let mut audience = || -> Result<Audience, ReadError> {
            Ok(Audience {
                task: take("ecstask")?,
                container: take("ecscontainer")?,
                service: take("ecsservice")?,
                cluster: take("ecscluster")?,
                delivery: take("deliveryid")?,
            })
        };
        let audience = audience().map_err(D::Error::custom)?;
        let draft = Draft::read(members).map_err(D::Error::custom)?;
        let id = draft.id.clone().ok_or_else(|| D::Error::missing_field("id"))?;
        let id = BroadcastId::try_from(id).map_err(D::Error::custom)?;
        let event = draft.complete(&id, SystemTime::UNIX_EPOCH).map_err(D::Error::custom)?;
        Ok(Self { event, audience })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_a_cloud_event_that_names_the_task() {
        let id = BroadcastId::try_from("b-1".to_owned()).unwrap();
        let event = Draft { id: Some("b-1".into()), ..Draft::default() }
            .complete(&id, SystemTime::UNIX_EPOCH)
            .unwrap();
        let mut envelope = Envelope::new(event, Audience::new("arn:task", "web"));
        envelope.audience.delivery = envelope.delivery_id().to_string();
        let json = serde_json::to_string(&envelope).unwrap();
        assert_eq!(
            json,
            format!(
                r#"{{"deliveryid":"{}","ecscontainer":"web","ecstask":"arn:task","specversion":"1.0","id":"b-1","source":"ecs-task-notifier","type":"com.ecs-task-notifier.notify","time":"1970-01-01T00:00:00Z"}}"#,
                envelope.delivery_id()
            )
        );
        assert_eq!(serde_json::from_str::<Envelope>(&json).unwrap(), envelope);
    }
}
