#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! | module | contents |
//! | --- | --- |
//! | [`message`] | the bodies of the three queues |
//! | [`event`] | the event of a broadcast, in CloudEvents 1.0 terms |
//! | [`envelope`] | the body of the HTTP request that one task receives |
//! | [`headers`] | the header names of that request |
//! | [`id`] | the ids of broadcasts and deliveries |
//! | [`signature`] | signing and verifying requests |

pub mod envelope;
pub mod event;
pub mod headers;
pub mod id;
mod json;
pub mod message;
mod rfc3339;
pub mod signature;

pub use envelope::{Audience, Envelope};
pub use event::{Data, Draft, Event, EventError};
pub use id::{BroadcastId, DeliveryId, IdError, PartId};
pub use json::{BodyError, MESSAGE_BYTES_MAX};
pub use message::{
    Broadcast, Coalesce, ContentMode, CoverMessage, GateMessage, Labels, Message, Method, ObserverMessage,
    PAGE_TASKS_MAX, Pace, PageMessage, PartMessage, Retain, Scheme, ServiceMessage, Share, TaskMessage,
};
