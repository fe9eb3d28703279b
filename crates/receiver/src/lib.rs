#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(all(feature = "axum", feature = "ecs"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "axum", feature = "ecs")),
    doc = "Receive the events of ecs-task-notifier in a Rust service."
)]
//!
//! # Checks
//!
//! A request reaches the handler only if it passes every check. The notifier understands each status.
//!
//! | check | status if it fails |
//! | --- | --- |
//! | It is a `POST` (or a `GET`, [if allowed](GetPolicy)) of a CloudEvent in structured JSON. | 405, 415 |
//! | It has the headers of Standard Webhooks, and they are well formed. | 400 |
//! | Its timestamp is within [5 minutes](ReceiverBuilder::tolerance) of now. | 401 |
//! | Its body has at most [1 MiB](ReceiverBuilder::body_bytes_max) and arrives within [5 seconds](ReceiverBuilder::body_timeout). | 413, 408 |
//! | One of the [keys](VerifyingKeys) signed it. | 401 |
//! | The event is valid and addressed to [this task](Identity). | 400, 421 |
//! | There is [memory](ReceiverBuilder::memory_bytes_max) and [queue space](ReceiverBuilder::waiting_max) for it, and the process is not [shutting down](Receiver::drain). | 503 with `Retry-After` |
//! | The delivery was not [handled before](DedupStore). | 200, without a call of the handler |
//!
//! The receiver then answers 202 immediately and runs the handler in the background. With
//! [`respond_after_handler`](ReceiverBuilder::respond_after_handler) it sends the response of the handler instead. If the
//! handler fails or panics, the next attempt of the delivery calls it again. A handler therefore receives each event at
//! least once, and almost always exactly once.
//!
//! # Questions
//!
//! If the event is a [question](Notification::is_question), the response of the handler is the answer: the receiver waits for
//! it in any case. Repeats of a question are handled too, because the sender needs an answer to each attempt. A question whose
//! `expirytime` passed more than 30 seconds ago is refused with 400.
//!
//! ```
//! use ecs_task_notifier_receiver::{Notification, on_event};
//!
//! let service = on_event(|notification: Notification| async move {
//!     Ok::<_, std::io::Error>(notification.is_question().then(|| serde_json::json!({ "version": "v42" })))
//! });
//! # let _ = service;
//! ```
//!
//! # Testing a handler
//!
//! A test signs a request with the crate `ecs-task-notifier-wire` and calls the service directly:
//!
//! ```
//! use std::time::{Duration, SystemTime, UNIX_EPOCH};
//!
//! use ecs_task_notifier_receiver::{FullBody, Identity, Receiver, on_event};
//! use ecs_task_notifier_wire::signature::SigningKeys;
//! use ecs_task_notifier_wire::{Audience, Draft, Envelope, headers};
//! use tower_layer::Layer;
//! use tower_service::Service;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let keys = SigningKeys::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
//! let receiver = Receiver::builder(keys.verifying_keys(), Identity::task("arn:aws:ecs:eu-west-1:1:task/prod/a")).build();
//! let mut service = receiver.layer(on_event(|notification| async move {
//!     assert_eq!(notification.event().kind(), "com.example.cache.clear");
//!     Ok::<_, std::io::Error>(())
//! }));
//!
//! let now = SystemTime::now();
//! let event = Draft::new("com.example.cache.clear").complete(&"b-1".parse()?, now)?;
//! let envelope = Envelope::new(event, Audience::new("arn:aws:ecs:eu-west-1:1:task/prod/a", "web"));
//! let id = envelope.delivery_id();
//! let body = serde_json::to_vec(&envelope)?;
//! let timestamp = i64::try_from(now.duration_since(UNIX_EPOCH)?.as_secs())?;
//! let request = http::Request::post("/v1.0/notify")
//!     .header("content-type", headers::CLOUDEVENTS_JSON)
//!     .header(headers::WEBHOOK_ID, id.as_str())
//!     .header(headers::WEBHOOK_TIMESTAMP, timestamp)
//!     .header(headers::WEBHOOK_SIGNATURE, keys.sign(id.as_str(), timestamp, &body))
//!     .body(FullBody::from(body))?;
//!
//! let response = service.call(request).await?;
//! assert_eq!(response.status(), 202);
//! assert_eq!(receiver.drain(Duration::from_secs(10)).await, 0);
//! # Ok(())
//! # })
//! # }
//! ```

mod answer;
mod body;
mod capacity;
mod dedup;
mod handler;
mod identity;
#[cfg(feature = "ecs")]
mod metadata;
mod notification;
mod payload;
mod receiver;
mod refusal;
mod service;

pub use answer::Answer;
pub use dedup::{Claim, DedupStore, MemoryStore, StoreFuture};
pub use ecs_task_notifier_wire::signature::{KeyError, VerifyingKeys};
pub use ecs_task_notifier_wire::{Audience, BroadcastId, Data, Event};
pub use handler::{OnEvent, on_event};
pub use identity::{Identity, TaskMetadataError};
#[cfg(feature = "ecs")]
pub use metadata::{IdentityError, METADATA_URI};
#[cfg(feature = "axum")]
pub use notification::NoNotification;
pub use notification::Notification;
pub use payload::{FullBody, ResponseBody};
pub use receiver::{GetPolicy, Receiver, ReceiverBuilder};
pub use service::ReceiverService;
