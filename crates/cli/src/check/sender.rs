//! Events as the notifier would send them, and what a case changes of one. Pure.

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

/// A request as it is sent.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) method: Method,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// Whether half of the body is held back for ever.
    pub(super) halts: bool,
}

/// A correct event of one case, and what a case changes of it before it is signed.
#[derive(Debug)]
pub(super) struct TestEvent {
    pub(super) id: DeliveryId,
    /// When it is sent, in seconds since 1970.
    pub(super) at: i64,
    pub(super) body: Bytes,
}

/// Whoever sends.
#[derive(Debug)]
pub(super) struct Sender {
    /// Keys that the receiver knows.
    pub(super) keys: SigningKeys,
    /// Keys that nobody knows, of both kinds.
    pub(super) strangers: SigningKeys,
    /// ARN of the task that the receiver is in.
    pub(super) task: String,
    /// Tells the events of this run from those of every other one.
    pub(super) run: String,
    /// When all of it is sent, so that a repeat is one to the byte.
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
