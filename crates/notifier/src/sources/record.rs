//! One record of a source.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use wire::event::Extension;

use super::document::Document;
use super::error::SourceError;
use super::fields::instant;
use crate::base::words;

words! {
    /// What a record came from.
    pub enum SourceKind {
        /// A notification of an SNS topic whose message is of no other source.
        Sns = "sns",
        /// An event of an EventBridge bus.
        EventBridge = "eventbridge",
        /// A notification of an S3 bucket, directly or by EventBridge.
        S3 = "s3",
        /// A record of a DynamoDB stream.
        DynamoDb = "dynamodb",
        /// A CloudEvent.
        CloudEvents = "cloudevents",
    }
}

/// The attributes of a record as a CloudEvent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attributes {
    /// The id that the source gave the event.
    pub(super) id: String,
    pub(super) source: String,
    pub(super) kind: String,
    pub(super) subject: Option<String>,
    /// RFC 3339.
    pub(super) time: Option<String>,
    pub(super) extensions: BTreeMap<String, Extension>,
}

/// One record of a source: something that happened, once.
#[derive(Clone, Debug)]
pub struct Record {
    pub(super) kind: SourceKind,
    pub(super) attributes: Attributes,
    /// The texts that together name the event: the same for a repeated notification, and for no other event.
    pub(super) identity: Vec<String>,
    raw: Document,
    /// `None`: the record itself has the shape of an EventBridge event.
    event: Option<Document>,
}

impl Record {
    pub(super) fn new(
        kind: SourceKind,
        attributes: Attributes,
        identity: Vec<String>,
        raw: Document,
        event: Option<Document>,
    ) -> Self {
        Self { kind, attributes, identity, raw, event }
    }

    /// What the record came from.
    pub fn source_kind(&self) -> SourceKind {
        self.kind
    }

    /// The id that the source gave the event.
    pub fn id(&self) -> &str {
        &self.attributes.id
    }

    /// `source` of the CloudEvent.
    pub fn event_source(&self) -> &str {
        &self.attributes.source
    }

    /// `type` of the CloudEvent, unless a rule sets another one.
    pub fn event_type(&self) -> &str {
        &self.attributes.kind
    }

    /// `subject` of the CloudEvent.
    pub fn subject(&self) -> Option<&str> {
        self.attributes.subject.as_deref()
    }

    /// When it happened, in RFC 3339.
    pub fn time(&self) -> Option<&str> {
        self.attributes.time.as_deref()
    }

    /// When it happened, in nanoseconds since 1970; 0 if the record has no time. Orders the events of one source.
    pub fn at(&self) -> i64 {
        let nanos = self.time().and_then(instant).map(time::OffsetDateTime::unix_timestamp_nanos);
        nanos.map_or(0, |nanos| i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }

    /// The event in the shape of EventBridge, which rules match.
    pub fn event(&self) -> &Value {
        self.event.as_ref().unwrap_or(&self.raw).value()
    }

    /// The whole record as it came.
    pub fn raw(&self) -> &RawValue {
        self.raw.text()
    }

    /// The whole record as a value.
    pub fn raw_value(&self) -> &Value {
        self.raw.value()
    }

    /// Whether the record itself has the shape of an EventBridge event.
    pub(super) fn is_normal(&self) -> bool {
        self.event.is_none()
    }

    /// The JSON text at this pointer: of the whole record, or else of the event in the shape of EventBridge.
    pub fn at_pointer(&self, pointer: &str) -> Option<&RawValue> {
        self.raw.at(pointer).or_else(|| self.event.as_ref()?.at(pointer))
    }

    /// The value at this pointer, of the same two.
    pub fn value_at(&self, pointer: &str) -> Option<&Value> {
        self.raw.value().pointer(pointer).or_else(|| self.event.as_ref()?.value().pointer(pointer))
    }
}

/// A record in the shape of an EventBridge event.
#[derive(Debug, Serialize)]
pub(super) struct NormalEvent<'a> {
    pub(super) version: &'static str,
    pub(super) id: &'a str,
    #[serde(rename = "detail-type")]
    pub(super) detail_type: &'a str,
    pub(super) source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<&'a str>,
    pub(super) resources: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<&'a RawValue>,
}

impl<'a> NormalEvent<'a> {
    pub(super) fn new(source: &'a str, detail_type: &'a str, id: &'a str) -> Self {
        Self {
            version: "0",
            id,
            detail_type,
            source,
            account: None,
            time: None,
            region: None,
            resources: Vec::new(),
            subject: None,
            detail: None,
        }
    }

    pub(super) fn document(&self) -> Result<Document, SourceError> {
        Document::write(self).map_err(|error| SourceError::json("record", &error))
    }
}
