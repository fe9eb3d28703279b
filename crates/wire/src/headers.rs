//! The names of the headers of a request to a task.
//!
//! The three `webhook-*` names are those of Standard Webhooks 1.0.0.

/// The delivery id: the same over all attempts of one delivery, so a receiver drops repeats by it.
pub const WEBHOOK_ID: &str = "webhook-id";

/// When this attempt was made, in whole seconds since 1970-01-01 UTC.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";

/// Space-separated signatures of `{id}.{timestamp}.{body}`.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// The media type of [`Envelope`](crate::Envelope): a CloudEvent in structured JSON.
pub const CLOUDEVENTS_JSON: &str = "application/cloudevents+json; charset=utf-8";
