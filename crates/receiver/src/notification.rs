//! The notification that a handler receives.

use std::sync::Arc;

use ecs_task_notifier_wire::event::Extension;
use ecs_task_notifier_wire::{Audience, Envelope, Event};
use http::HeaderMap;
use serde::de::DeserializeOwned;

/// Header and extension attribute of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";
/// Far more than version 00 has.
const TRACEPARENT_BYTES_MAX: usize = 512;

/// A verified event: signed by one of the keys, recent, addressed to this task, and not handled before.
///
/// The extensions of the request contain it. With the feature `axum`, a handler can take it as an argument. Cloning is
/// cheap.
#[derive(Clone, Debug)]
pub struct Notification(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    envelope: Envelope,
    id: String,
    attempted_at: i64,
    traceparent: Option<String>,
}

impl Notification {
    pub(crate) fn new(envelope: Envelope, id: String, attempted_at: i64) -> Self {
        Self(Arc::new(Inner { envelope, id, attempted_at, traceparent: None }))
    }

    /// The same, with the span of the request in its headers.
    pub(crate) fn in_trace(mut self, headers: &HeaderMap) -> Self {
        let value = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let value = value.filter(|value| value.len() <= TRACEPARENT_BYTES_MAX);
        // Nobody else has a clone of it yet.
        if let (Some(inner), Some(value)) = (Arc::get_mut(&mut self.0), value) {
            inner.traceparent = Some(value.to_owned());
        }
        self
    }

    /// The id of the delivery, `webhook-id`: the same in all attempts.
    #[must_use]
    pub fn delivery_id(&self) -> &str {
        &self.0.id
    }

    /// The event. Its id is the id of the broadcast, the same for every task of the fleet.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.0.envelope.event
    }

    /// Deserializes the payload of the event. A missing payload counts as `null`.
    ///
    /// # Errors
    ///
    /// Fails if the payload is not a `T`.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.event().data().map_or("null", |data| data.as_json()))
    }

    /// The recipient of the event: task, container, service and cluster. A signed `GET` contains task and container only,
    /// an unsigned one nothing.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.0.envelope.audience
    }

    /// Whether the event is a question: the receiver then waits for the handler, and sends its response as the answer.
    ///
    /// A question may come again, and its repeats are handled too. So a handler must change nothing for it.
    #[must_use]
    pub fn is_question(&self) -> bool {
        self.event().is_question()
    }

    /// The header `traceparent` of the request: the span of this attempt, so that the spans of the handler follow from it.
    ///
    /// It is not signed, so use it for tracing only; its format is not checked. The event's own attribute `traceparent`
    /// is signed and names the span that started the broadcast: [`event_traceparent`](Self::event_traceparent).
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.0.traceparent.as_deref()
    }

    /// The extension attribute `traceparent` of the event: the span that started the broadcast, the same for every task.
    #[must_use]
    pub fn event_traceparent(&self) -> Option<&str> {
        match self.event().extensions().get(TRACEPARENT) {
            Some(Extension::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The time of this attempt by the clock of the sender, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn attempted_at(&self) -> i64 {
        self.0.attempted_at
    }
}

/// The route has no [`Receiver`](crate::Receiver) layer, so there is no notification in the request.
#[cfg(feature = "axum")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no notification in the request: add the layer `Receiver` to the route")]
#[non_exhaustive]
pub struct NoNotification;

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for NoNotification {
    fn into_response(self) -> axum_core::response::Response {
        (http::StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for Notification {
    type Rejection = NoNotification;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, NoNotification> {
        parts.extensions.get().cloned().ok_or(NoNotification)
    }
}
