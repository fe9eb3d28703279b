//! What a handler is given.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use wire::{Audience, Envelope, Event};

/// An event that was verified to come from a holder of the keys, recently, for this task, and for the first time.
///
/// It is in the request's extensions. With the feature `axum` a handler takes it as an argument. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Notification(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    envelope: Envelope,
    id: String,
    attempted_at: i64,
}

impl Notification {
    pub(crate) fn new(envelope: Envelope, id: String, attempted_at: i64) -> Self {
        Self(Arc::new(Inner { envelope, id, attempted_at }))
    }

    /// The id of the delivery, `webhook-id`: the same over all attempts.
    #[must_use]
    pub fn delivery_id(&self) -> &str {
        &self.0.id
    }

    /// What happened. Its id is that of the broadcast, the same for every task of the fleet.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.0.envelope.event
    }

    /// The event's payload, read as `T`; without a payload, what `T` reads from `null`.
    ///
    /// # Errors
    ///
    /// When the payload is not a `T`.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.event().data().map_or("null", |data| data.as_json()))
    }

    /// Whom the event was sent to: task, container, service and cluster. Of a signed `GET` task and container;
    /// empty for an unsigned one.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.0.envelope.audience
    }

    /// When this attempt was made, by the sender's clock, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn attempted_at(&self) -> i64 {
        self.0.attempted_at
    }
}

/// The request did not pass through a [`Receiver`](crate::Receiver): the route lacks the layer.
#[cfg(feature = "axum")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no notification in the request: the route lacks the layer `receiver::Receiver`")]
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
