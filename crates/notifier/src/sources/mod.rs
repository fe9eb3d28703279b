//! Event sources: from the body of an observer message to requests for broadcasts.
//!
//! Pure: no AWS clients, no clock, no I/O. [`read`] recognises what a body is and returns its records; [`Routes::route`]
//! returns the broadcasts that a record asks for.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`routes`] | the rules file: which record becomes which broadcast |
//! | [`pattern`] | EventBridge's event patterns |
//! | `read`, `content` | recognises a body by its shape, and divides it into records |
//! | [`record`] | one record: attributes of a CloudEvent, normalised event, whole record |
//! | `cloudevents`, `dynamodb`, `eventbridge`, `s3`, `sns` | the records of one source |
//! | `s3_names` | the names of S3's events, in notifications and in EventBridge |
//! | `document` | JSON as text and value, with JSON pointers |
//! | `fields` | the members of a record, lenient or required |
//! | `error` | why a body or a record cannot be read |
//!
//! # From a source to a CloudEvent
//!
//! | source | `id` (`causationid`) | `source` | `type` | `subject` | `time` |
//! | --- | --- | --- | --- | --- | --- |
//! | S3 notification, S3 by EventBridge | request id | `aws:s3.REGION.BUCKET` | `com.amazonaws.s3.` and the event name | the key | the event's |
//! | DynamoDB stream | `eventID` | ARN of the table | `com.amazonaws.dynamodb.` and the event name | the item's keys | the record's |
//! | SNS | `MessageId` | ARN of the topic | `com.amazonaws.sns.Notification` | `Subject` | `Timestamp` |
//! | EventBridge | `id` | `source` | `detail-type` | the only resource | `time` |
//! | CloudEvents | `id` | `source` | `type` | `subject` | `time` |
//!
//! Sources of these rules: the CloudEvents adapters for AWS S3 and AWS SNS (`cloudevents/adapters` of the specification);
//! EventBridge User Guide, "Sending CloudEvents events to API destinations"; for DynamoDB, which has no adapter, the rule of
//! S3. `docs/sources.md` has an example of each.

mod cloudevents;
mod content;
mod document;
mod dynamodb;
mod error;
mod eventbridge;
mod fields;
pub mod pattern;
mod read;
pub mod record;
pub mod routes;
mod s3;
mod s3_names;
mod sns;

#[cfg(test)]
mod tests;

pub use content::Content;
pub use error::{BadRecord, SourceError};
pub use read::{RECORDS_MAX, read};
pub use record::{Record, SourceKind};
pub use routes::{Fold, RouteError, Routed, Routes, RoutesError};
