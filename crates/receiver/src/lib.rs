//! What a Rust service adds to accept the events of ecs-task-notifier: a layer around one route.
//!
//! ```no_run
//! # #[cfg(all(feature = "axum", feature = "ecs"))]
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use axum::{Router, routing::post};
//! use receiver::{Identity, Notification, Receiver, VerifyingKeys};
//!
//! async fn refresh(notification: Notification) {
//!     println!("{} for {}", notification.event().kind(), notification.audience().service);
//! }
//!
//! let keys: VerifyingKeys = std::env::var("NOTIFIER_VERIFYING_KEYS")?.parse()?;
//! let receiver = Receiver::builder(keys, Identity::on_ecs().await?).build();
//! let app = Router::new().route("/v1.0/notify", post(refresh).layer(receiver.clone()));
//!
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
//! axum::serve(listener, app).await?;
//! receiver.drain(Duration::from_secs(20)).await;
//! # Ok(())
//! # }
//! ```
//!
//! A request reaches the handler only when all of this holds; every refusal has a status that the notifier understands:
//!
//! | check | otherwise |
//! | --- | --- |
//! | it is a `POST` (or a `GET`, [where allowed](Get)) of a CloudEvent in structured JSON | 405, 415 |
//! | it carries the headers of Standard Webhooks, and they are well formed | 400 |
//! | it was signed within [five minutes](Builder::tolerance) of now | 401 |
//! | its body is at most [1 MiB](Builder::body_bytes_max) and arrives within [5 seconds](Builder::body_timeout) | 413, 408 |
//! | one of [our keys](VerifyingKeys) signed it | 401 |
//! | the event is whole, and for [this very task](Identity) | 400, 421 |
//! | there is [room](Builder::memory_bytes_max) and a [place](Builder::waiting_max) for it, and the process is not [shutting down](Receiver::drain) | 503 with `Retry-After` |
//! | it was not [handled before](Seen) | 200, and the handler is not called again |
//!
//! Then it is answered 202 at once, and the handler runs behind; or, by [choice](Builder::answer_after_handler), the
//! handler's own answer is sent. A handler that fails or panics makes the delivery count as not handled: its next attempt
//! reaches the handler again. So handlers see each event at least once, and nearly always exactly once.

mod body;
mod handler;
mod identity;
#[cfg(feature = "ecs")]
mod metadata;
mod notification;
mod payload;
mod receiver;
mod refusal;
mod seen;
mod service;
mod work;

pub use handler::{OnEvent, on_event};
pub use identity::{Identity, NoTask};
#[cfg(feature = "ecs")]
pub use metadata::{IdentityError, METADATA_URI};
#[cfg(feature = "axum")]
pub use notification::NoNotification;
pub use notification::Notification;
pub use payload::{ResponseBody, Whole};
pub use receiver::{Builder, Get, Receiver};
pub use seen::{Claim, Memory, Seen, SeenFuture};
pub use service::ReceiverService;
pub use wire::signature::{KeyError, VerifyingKeys};
pub use wire::{Audience, Event};
