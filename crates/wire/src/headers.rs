//! The names of the headers of a request to a task.
//!
//! The three `webhook-*` names are those of Standard Webhooks 1.0.0.

/// The delivery id: the same over all attempts of one delivery, so a receiver drops repeats by it.
pub const WEBHOOK_ID: &str = "webhook-id";

/// When this attempt was made, in whole seconds since 1970-01-01 UTC.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";

/// Space-separated signatures of `{id}.{timestamp}.{body}`.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// The broadcast's id, on a `GET`: it has no body that could say it.
///
/// No signature covers this header or the next, but [`DeliveryId`](crate::DeliveryId) does, and that is signed: derived
/// from this id, the receiver's own task ARN and that container it must equal [`WEBHOOK_ID`].
pub const GET_BROADCAST: &str = "ce-id";

/// The name of the container that is called, on a `GET`.
pub const GET_CONTAINER: &str = "ce-ecscontainer";

/// The media type of [`Envelope`](crate::Envelope): a CloudEvent in structured JSON.
pub const CLOUDEVENTS_JSON: &str = "application/cloudevents+json; charset=utf-8";
