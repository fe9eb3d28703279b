//! The header names of a request to a task.
//!
//! The three `webhook-*` names come from Standard Webhooks 1.0.0.

/// The delivery id. All attempts of a delivery have the same id, so a receiver can drop repeats.
pub const WEBHOOK_ID: &str = "webhook-id";

/// The time of this attempt, in whole seconds since 1970-01-01 UTC.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";

/// Space-separated signatures of `{id}.{timestamp}.{body}`.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// The broadcast id of a `GET`, which has no body.
///
/// No signature covers this header and [`GET_CONTAINER`]. The signed delivery id protects them: a receiver derives a
/// [`DeliveryId`](crate::DeliveryId) from this id, its own task ARN and the container name, and compares it with
/// [`WEBHOOK_ID`].
pub const GET_BROADCAST: &str = "ce-id";

/// The container name of a `GET`, which has no body.
pub const GET_CONTAINER: &str = "ce-ecscontainer";

/// The media type of an [`Envelope`](crate::Envelope): a CloudEvent in structured JSON.
pub const CLOUDEVENTS_JSON: &str = "application/cloudevents+json; charset=utf-8";
