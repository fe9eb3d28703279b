//! Events of EventBridge, also of other accounts and of partners.
//!
//! Source: EventBridge User Guide, "AWS service event metadata", and "Sending CloudEvents events to API destinations" for the
//! attributes.

use serde_json::Value;
use serde_json::value::RawValue;

use super::document::Document;
use super::error::SourceError;
use super::fields::{Fields, subject, uri};
use super::record::{Attributes, Record, SourceKind};
use super::{s3, s3_names};

const WHAT: &str = "EventBridge event";

/// Reads an event.
pub(super) fn record(text: &RawValue) -> Result<Record, SourceError> {
    let raw = Document::read(text).map_err(|error| SourceError::json(WHAT, &error))?;
    let fields = Fields::new(WHAT, raw.value());
    let (id, source) = (fields.name("/id")?, fields.name("/source")?);
    let detail_type = fields.name("/detail-type")?;
    if fields.value("/detail").is_none_or(|detail| !detail.is_object()) {
        return fields.wrong("`detail` must be an object");
    }
    let identity = vec![source.to_owned(), id.to_owned()];
    let general = Attributes {
        id: id.to_owned(),
        source: uri(source).into_owned(),
        kind: detail_type.to_owned(),
        subject: only_resource(&fields).and_then(subject),
        time: fields.time("/time"),
        ..Attributes::default()
    };
    if source == "aws.s3" && s3_names::is_object_event(detail_type) {
        let attributes =
            Attributes { id: general.id, time: general.time, ..s3::attributes_of_event(&fields)? };
        return Ok(Record::new(SourceKind::S3, attributes, identity, raw, None));
    }
    Ok(Record::new(SourceKind::EventBridge, general, identity, raw, None))
}

/// The resource of the event, if there is exactly one.
fn only_resource<'a>(fields: &Fields<'a>) -> Option<&'a str> {
    match fields.value("/resources").and_then(Value::as_array)?.as_slice() {
        [one] => one.as_str(),
        _ => None,
    }
}
