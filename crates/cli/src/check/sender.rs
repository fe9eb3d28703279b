//! Events as the notifier would send them, and the changes that a case makes. Pure.

use std::error::Error;

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use notifier::base::Clock;
use wire::headers::{CLOUDEVENTS_JSON, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use wire::signature::SigningKeys;
use wire::{Audience, BroadcastId, DeliveryId, Draft, Envelope};

use crate::failure::Failure;

/// The type of every event that is sent.
pub(super) const EVENT_TYPE: &str = "com.ecs-task-notifier.check";

/// A request to send.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) method: Method,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// Whether the second half of the body is never sent.
    pub(super) halts: bool,
}

/// A correct event, before the case changes and signs it.
#[derive(Debug)]
pub(super) struct TestEvent {
    pub(super) id: DeliveryId,
    /// The timestamp, in seconds since 1970.
    pub(super) at: i64,
    pub(super) body: Bytes,
}

/// The sender of all cases.
#[derive(Debug)]
pub(super) struct Sender {
    /// Keys that the receiver knows.
    pub(super) keys: SigningKeys,
    /// Keys of both kinds that the receiver does not know.
    pub(super) unknown_keys: SigningKeys,
    /// ARN of the task that the receiver is in.
    pub(super) task: String,
    /// A unique id of this run, part of the event ids.
    pub(super) run: String,
    /// One timestamp for all events, so that a repeat has the same bytes.
    pub(super) clock: Clock,
}

impl Sender {
    /// A correct event.
    pub(super) fn event(&self, case: &str, task: &str) -> Result<TestEvent, Failure> {
        let now = self.clock.now();
        let wrong = |error: &dyn Error| Failure::usage("the events cannot be made").because(error);
        let broadcast = BroadcastId::try_from(format!("check-{}-{case}", self.run)).map_err(|e| wrong(&e))?;
        let id = DeliveryId::derive(&broadcast, task, "");
        let event = Draft::new(EVENT_TYPE).complete(&broadcast, now).map_err(|e| wrong(&e))?;
        let mut audience = Audience::new(task, "");
        audience.delivery = id.to_string();
        let body = serde_json::to_vec(&Envelope::new(event, audience)).map_err(|e| wrong(&e))?;
        Ok(TestEvent { id, at: now.unix_timestamp(), body: body.into() })
    }

    /// The request that the notifier would make of it.
    pub(super) fn sign(&self, event: TestEvent) -> Probe {
        let headers = vec![
            (CONTENT_TYPE.as_str(), CLOUDEVENTS_JSON.to_owned()),
            (WEBHOOK_ID, event.id.as_str().to_owned()),
            (WEBHOOK_TIMESTAMP, event.at.to_string()),
            (WEBHOOK_SIGNATURE, event.signature(&self.keys)),
        ];
        Probe { method: Method::POST, headers, body: event.body, halts: false }
    }
}

impl TestEvent {
    pub(super) fn signature(&self, keys: &SigningKeys) -> String {
        keys.sign(self.id.as_str(), self.at, &self.body)
    }
}

impl Probe {
    pub(super) fn without(mut self, header: &str) -> Self {
        self.headers.retain(|(name, _)| *name != header);
        self
    }

    pub(super) fn with(self, header: &'static str, value: &str) -> Self {
        let mut probe = self.without(header);
        probe.headers.push((header, value.to_owned()));
        probe
    }
}
