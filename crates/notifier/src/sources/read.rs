//! Recognises a body by its shape, and divides it into records.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use wire::{Message, ObserverMessage};

use super::content::Content;
use super::error::{BadRecord, SourceError, shown};
use super::record::Record;
use super::{cloudevents, dynamodb, eventbridge, s3, sns};

/// The most records of one body. Pipes sends 10 at most, S3 one.
pub const RECORDS_MAX: usize = 10_000;
/// How many envelopes and arrays may be around a record: S3 by SNS has two.
const WRAPS_MAX: usize = 4;
/// The most members that an error names.
const MEMBERS_SHOWN_MAX: usize = 8;

/// The members of an object.
pub(super) type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Reads a body of the observer queue.
///
/// # Errors
///
/// Fails if the body as a whole is of no known source, or wrong. One wrong record of several is a [`BadRecord`].
pub fn read(body: &str) -> Result<Content, SourceError> {
    if body.len() > wire::MESSAGE_BYTES_MAX {
        return Err(SourceError::TooLarge { bytes: body.len() });
    }
    let text: &RawValue = serde_json::from_str(body).map_err(SourceError::NotJson)?;
    match value(text, 0)? {
        Some(content) => Ok(content),
        None => Err(SourceError::unknown(found(text))),
    }
}

/// Reads a JSON value; `None` if it is of no known source.
fn value(text: &RawValue, wraps: usize) -> Result<Option<Content>, SourceError> {
    if wraps > WRAPS_MAX {
        return Err(SourceError::unknown(format!("wrapped more than {WRAPS_MAX} times")));
    }
    match text.get().as_bytes().first() {
        Some(b'{') => {
            let members: Members<'_> = serde_json::from_str(text.get()).map_err(SourceError::NotJson)?;
            object(text, &members, wraps)
        }
        Some(b'[') => {
            let values: Vec<&RawValue> = serde_json::from_str(text.get()).map_err(SourceError::NotJson)?;
            list(&values, |value| element(value, wraps + 1), BadRecord::alone).map(Some)
        }
        _ => Ok(None),
    }
}

fn object(text: &RawValue, members: &Members<'_>, wraps: usize) -> Result<Option<Content>, SourceError> {
    let has = |name: &str| members.contains_key(name);
    let is = |name: &str, value: &str| text_of(members, name).is_some_and(|text| text == value);
    if has("cluster") {
        let message = ObserverMessage::from_body(text.get()).map_err(SourceError::Direct)?;
        return Ok(Some(Content::Direct(Box::new(message))));
    }
    if has("specversion") {
        return one(cloudevents::record(text));
    }
    if has("detail-type") && has("source") {
        return one(eventbridge::record(text));
    }
    if has("TopicArn") && has("Type") {
        return sns::content(text, text, |message| value(message, wraps + 1)).map(Some);
    }
    if is("Event", "s3:TestEvent") {
        return Ok(Some(Content::Test));
    }
    if let Some(records) = members.get("Records") {
        let records: Vec<&RawValue> =
            serde_json::from_str(records.get()).map_err(|error| SourceError::json("Records", &error))?;
        return list(&records, |record| of_source(record, wraps + 1), BadRecord::of_records).map(Some);
    }
    let source = text_of(members, "eventSource").or_else(|| text_of(members, "EventSource"));
    if matches!(source.as_deref(), Some("aws:dynamodb" | "aws:sns")) || source.is_some() && has("s3") {
        return of_source(text, wraps).map(Some);
    }
    Ok(None)
}

fn one(record: Result<Record, SourceError>) -> Result<Option<Content>, SourceError> {
    Ok(Some(Content::Records(vec![Ok(record?)])))
}

/// A member's text.
pub(super) fn text_of<'a>(members: &Members<'a>, name: &str) -> Option<Cow<'a, str>> {
    members.get(name).and_then(|text| serde_json::from_str::<String>(text.get()).ok()).map(Cow::Owned)
}

/// Reads a record that names its source, as in the array `Records`.
fn of_source(text: &RawValue, wraps: usize) -> Result<Content, SourceError> {
    let members: Members<'_> = serde_json::from_str(text.get())
        .map_err(|_| SourceError::unknown(format!("a record that is {}", kind(text))))?;
    let source = text_of(&members, "eventSource").or_else(|| text_of(&members, "EventSource"));
    let record = match source.as_deref() {
        Some("aws:dynamodb") => dynamodb::record(text)?,
        Some("aws:sns") => {
            let envelope = members.get("Sns").copied();
            let envelope = envelope.ok_or_else(|| SourceError::wrong("SNS record", "`Sns` is missing"))?;
            return sns::content(envelope, text, |message| value(message, wraps + 1));
        }
        // S3-compatible stores have names of their own, and the same records.
        Some(_) if members.contains_key("s3") => s3::record(text)?,
        Some(other) => {
            return Err(SourceError::unknown(format!("a record of `{}`", shown(other))));
        }
        None => return Err(SourceError::unknown("a record without `eventSource`")),
    };
    Ok(Content::Records(vec![Ok(record)]))
}

/// Reads an element of an array.
fn element(text: &RawValue, wraps: usize) -> Result<Content, SourceError> {
    if text.get().starts_with('[') {
        return Err(SourceError::unknown("an array in an array"));
    }
    value(text, wraps)?.ok_or_else(|| SourceError::unknown(found(text)))
}

/// Reads several records, each by itself.
fn list(
    texts: &[&RawValue],
    read: impl Fn(&RawValue) -> Result<Content, SourceError>,
    bad: fn(&RawValue, SourceError) -> BadRecord,
) -> Result<Content, SourceError> {
    if texts.is_empty() {
        return Err(SourceError::unknown("an array without records"));
    }
    if texts.len() > RECORDS_MAX {
        return Err(SourceError::unknown(format!("an array of more than {RECORDS_MAX} records")));
    }
    let mut records = Vec::new();
    let mut has_tests = false;
    for text in texts {
        match read(text) {
            Ok(Content::Records(more)) => records.extend(more),
            Ok(Content::Test) => has_tests = true,
            Ok(Content::Direct(message)) if texts.len() == 1 => return Ok(Content::Direct(message)),
            Ok(Content::Direct(_)) => {
                let error =
                    SourceError::unknown("one of several records, and a direct message must be alone");
                records.push(Err(bad(text, error)));
            }
            Err(error) => records.push(Err(bad(text, error))),
        }
        if records.len() > RECORDS_MAX {
            return Err(SourceError::unknown(format!("more than {RECORDS_MAX} records")));
        }
    }
    Ok(if records.is_empty() && has_tests { Content::Test } else { Content::Records(records) })
}

fn kind(text: &RawValue) -> &'static str {
    match text.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Describes a value of no known source.
fn found(text: &RawValue) -> String {
    let members: Members<'_> = match serde_json::from_str(text.get()) {
        Ok(members) => members,
        Err(_) => return kind(text).to_owned(),
    };
    let names: Vec<_> =
        members.keys().take(MEMBERS_SHOWN_MAX).map(|name| format!("`{}`", shown(name))).collect();
    match members.len().saturating_sub(names.len()) {
        _ if names.is_empty() => "an empty object".to_owned(),
        0 => format!("an object with {}", names.join(", ")),
        more => format!("an object with {} and {more} more", names.join(", ")),
    }
}
