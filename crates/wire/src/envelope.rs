//! The body of the request that one task receives: the event, and whom it is for.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::event::{AUDIENCE, Draft, Event, ReadError, text};
use crate::id::{BroadcastId, DeliveryId};

/// Whom one delivery is for. Each field is an extension attribute of the CloudEvent, so a signature of the body covers
/// it: what was signed for one task is worth nothing at another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// `ecstask`: ARN of the task.
    pub task: String,
    /// `ecscontainer`: name of the container; empty when unknown.
    pub container: String,
    /// `ecsservice`: the task's service or group; empty when unknown.
    pub service: String,
    /// `ecscluster`: name or ARN of the cluster; empty when unknown.
    pub cluster: String,
    /// `deliveryid`: the same over all attempts.
    pub delivery: String,
}

/// One event for one container of one task: a CloudEvent 1.0.2 in structured JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// What happened.
    pub event: Event,
    /// Whom it is told.
    pub audience: Audience,
}

impl Envelope {
    /// The id of this delivery.
    #[must_use]
    pub fn delivery_id(&self) -> DeliveryId {
        DeliveryId::derive(self.event.id(), &self.audience.task, &self.audience.container)
    }
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let Audience { task, container, service, cluster, delivery } = &self.audience;
        for (name, value) in AUDIENCE.iter().zip([delivery, cluster, container, service, task]) {
            // CloudEvents knows no empty attribute.
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
        let event = draft.complete(&id, time::OffsetDateTime::UNIX_EPOCH).map_err(D::Error::custom)?;
        Ok(Self { event, audience })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_a_cloud_event_that_names_its_task() {
        let id = BroadcastId::try_from("b-1".to_owned()).unwrap();
        let event = Draft { id: Some("b-1".into()), ..Draft::default() }
            .complete(&id, time::OffsetDateTime::UNIX_EPOCH)
            .unwrap();
        let audience = Audience { task: "arn:task".into(), container: "web".into(), ..Audience::default() };
        let mut envelope = Envelope { event, audience };
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
