//! Notifications of SNS: the envelope around a message.
//!
//! Sources: SNS developer guide, "Parsing Amazon SNS message formats"; CloudEvents adapter for AWS SNS, for the attributes.
//! The adapter's source is the ARN of the subscription, which a queue does not get; so it is the ARN of the topic. With raw
//! delivery there is no envelope, and the message itself is the body.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use wire::{BroadcastId, ObserverMessage};

use super::content::Content;
use super::document::Document;
use super::error::SourceError;
use super::fields::{Fields, subject, uri};
use super::record::{Attributes, NormalEvent, Record, SourceKind};
use crate::model::arn::Arn;

const WHAT: &str = "SNS notification";

/// `detail` of a notification whose message is of no other source.
#[derive(Debug, Serialize)]
struct Detail<'a> {
    /// JSON if the message is an object or an array, otherwise text.
    message: &'a RawValue,
    subject: Option<&'a str>,
    /// The values of the message attributes.
    attributes: BTreeMap<&'a str, &'a Value>,
}

/// Reads a notification: the records of its message, or the notification itself. `whole` is the record with the envelope,
/// `read` reads the message.
pub(super) fn content(
    envelope: &RawValue,
    whole: &RawValue,
    read: impl Fn(&RawValue) -> Result<Option<Content>, SourceError>,
) -> Result<Content, SourceError> {
    let parsed = Document::read(envelope).map_err(|error| SourceError::json(WHAT, &error))?;
    let fields = Fields::new(WHAT, parsed.value());
    let topic = fields.name("/TopicArn")?;
    match fields.name("/Type")? {
        "Notification" => {}
        "SubscriptionConfirmation" => {
            return Err(SourceError::Unconfirmed { topic: super::error::shown(topic) });
        }
        _ => return fields.wrong("`Type` must be Notification"),
    }
    let id = fields.name("/MessageId")?;
    let Some(message) = fields.value("/Message").and_then(Value::as_str) else {
        return fields.wrong("`Message` must be text");
    };
    let json = inner(message);
    if let Some(json) = json {
        match read(json)? {
            Some(Content::Direct(message)) => {
                return Ok(Content::Direct(Box::new(direct(*message, topic, id, &fields))));
            }
            Some(content) => return Ok(content),
            None => {}
        }
    }
    let record = notification(&fields, json, message, whole)?;
    Ok(Content::Records(vec![Ok(record)]))
}

/// The message as JSON, if it is an object or an array.
fn inner(message: &str) -> Option<&RawValue> {
    let json: &RawValue = serde_json::from_str(message).ok()?;
    json.get().starts_with(['{', '[']).then_some(json)
}

/// A direct message that came by SNS. SNS may deliver it twice, in two SQS messages, so the id comes from SNS.
fn direct(mut message: ObserverMessage, topic: &str, id: &str, fields: &Fields<'_>) -> ObserverMessage {
    let event = message.event.get_or_insert_default();
    if event.id.is_none() {
        event.id = Some(BroadcastId::derive(&["sns", topic, id]).into());
        event.time = event.time.take().or_else(|| fields.time("/Timestamp"));
    }
    message
}

fn notification(
    fields: &Fields<'_>,
    json: Option<&RawValue>,
    message: &str,
    whole: &RawValue,
) -> Result<Record, SourceError> {
    let wrong = |error: serde_json::Error| SourceError::json(WHAT, &error);
    let (topic, id) = (fields.name("/TopicArn")?, fields.name("/MessageId")?);
    let attributes = Attributes {
        id: id.to_owned(),
        source: uri(topic).into_owned(),
        kind: "com.amazonaws.sns.Notification".to_owned(),
        subject: fields.text("/Subject").and_then(subject),
        time: fields.time("/Timestamp"),
        ..Attributes::default()
    };
    let text = to_raw_value(message).map_err(wrong)?;
    let detail = Detail {
        message: json.unwrap_or(&text),
        subject: fields.text("/Subject"),
        attributes: message_attributes(fields),
    };
    let detail = to_raw_value(&detail).map_err(wrong)?;
    let arn = Arn::parse(topic);
    let event = NormalEvent {
        account: arn.and_then(|arn| arn.account()),
        time: attributes.time.as_deref(),
        region: arn.and_then(|arn| arn.region()),
        resources: vec![topic],
        detail: Some(&detail),
        ..NormalEvent::new("aws.sns", "SNS Notification", id)
    };
    let identity = vec![topic.to_owned(), id.to_owned()];
    let raw = Document::read(whole).map_err(wrong)?;
    let event = event.document()?;
    Ok(Record::new(SourceKind::Sns, attributes, identity, raw, Some(event)))
}

/// The message attributes by name, without their types.
fn message_attributes<'a>(fields: &Fields<'a>) -> BTreeMap<&'a str, &'a Value> {
    let all = fields.value("/MessageAttributes").and_then(Value::as_object).into_iter().flatten();
    all.filter_map(|(name, attribute)| Some((name.as_str(), attribute.get("Value")?))).collect()
}
