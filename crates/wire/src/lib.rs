//! The contract of ecs-task-notifier, and nothing else: what stands in its queues, what a task receives, and the ids that
//! make repeats recognisable.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`message`] | the bodies of the three queues, readable by the proof of concept and the other way round |
//! | [`event`] | the event that a broadcast carries, in CloudEvents 1.0 terms |
//! | [`envelope`] | the body of the HTTP request that one task receives |
//! | [`headers`] | the names of that request's headers |
//! | [`id`] | the ids of a broadcast and of a delivery |
//! | [`signature`] | what proves that a request is ours |
//!
//! There is no I/O here, no clock and no chance: whoever needs a time or an id passes it in. A receiver can depend on
//! this crate without getting a runtime or an AWS SDK.

pub mod envelope;
pub mod event;
pub mod headers;
pub mod id;
mod json;
pub mod message;
pub mod signature;

pub use envelope::{Audience, Envelope};
pub use event::{Data, Draft, Event, EventError};
pub use id::{BroadcastId, DeliveryId, IdError, PartId};
pub use json::{BodyError, MESSAGE_BYTES_MAX};
pub use message::{
    Broadcast, ContentMode, Labels, Message, Method, ObserverMessage, Scheme, ServiceMessage, Share,
    TaskMessage,
};
