//! Records of DynamoDB streams, as Pipes and Lambda pass them on.
//!
//! Sources: DynamoDB API reference, `Record` and `StreamRecord`; EventBridge User Guide, "Amazon DynamoDB stream as a source"
//! for Pipes. No CloudEvents adapter exists, so the type follows the rule of S3: `com.amazonaws.dynamodb.` and the event name.

use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::document::Document;
use super::error::SourceError;
use super::fields::{Fields, subject, uri};
use super::record::{Attributes, NormalEvent, Record, SourceKind};
use crate::model::arn::Arn;

const WHAT: &str = "DynamoDB record";

/// Reads a record.
pub(super) fn record(text: &RawValue) -> Result<Record, SourceError> {
    let raw = Document::read(text).map_err(|error| SourceError::json(WHAT, &error))?;
    let fields = Fields::new(WHAT, raw.value());
    let (id, event_name) = (fields.name("/eventID")?, fields.name("/eventName")?);
    if !matches!(event_name, "INSERT" | "MODIFY" | "REMOVE") {
        return fields.wrong("`eventName` must be INSERT, MODIFY or REMOVE");
    }
    if fields.value("/dynamodb").is_none_or(|part| !part.is_object()) {
        return fields.wrong("`dynamodb` must be an object");
    }
    let arn = fields.text("/eventSourceARN").and_then(Arn::parse);
    let table = table(&fields)?;
    let attributes = Attributes {
        id: id.to_owned(),
        source: uri(&table).into_owned(),
        kind: format!("com.amazonaws.dynamodb.{event_name}"),
        subject: keys(&fields).as_deref().and_then(subject),
        time: fields.value("/dynamodb/ApproximateCreationDateTime").and_then(time),
        ..Attributes::default()
    };
    let event = NormalEvent {
        account: arn.and_then(|arn| arn.account()),
        time: attributes.time.as_deref(),
        region: fields.text("/awsRegion").or_else(|| arn.and_then(|arn| arn.region())),
        resources: arn.is_some().then_some(table.as_str()).into_iter().collect(),
        detail: Some(raw.text()),
        ..NormalEvent::new("aws.dynamodb", "DynamoDB Stream Record", id)
    };
    let identity = vec![table.clone(), id.to_owned()];
    let event = event.document()?;
    Ok(Record::new(SourceKind::DynamoDb, attributes, identity, raw, Some(event)))
}

/// The ARN of the table, from the ARN of its stream. A record of a Kinesis stream has only the name of the table: then it is
/// `aws:dynamodb.REGION.TABLE`, by the rule of S3.
fn table(fields: &Fields<'_>) -> Result<String, SourceError> {
    let Some(stream) = fields.text("/eventSourceARN") else {
        if fields.text("/tableName").is_none() {
            return fields.wrong("`eventSourceARN` is missing");
        }
        let (table, region) = (fields.name("/tableName")?, fields.text("/awsRegion"));
        return Ok(format!("aws:dynamodb.{}.{table}", region.unwrap_or_default()));
    };
    let is_table = |arn: &Arn<'_>| {
        let name = arn.resource.strip_prefix("table/").unwrap_or_default();
        arn.service == "dynamodb" && !name.is_empty() && !name.starts_with('/')
    };
    if !Arn::parse(stream).is_some_and(|arn| is_table(&arn)) {
        return fields.wrong("`eventSourceARN` must be the ARN of a table's stream");
    }
    Ok(stream.split_once("/stream/").map_or(stream, |(table, _)| table).to_owned())
}

/// The item's keys, for example `id=101,day=2026-11-24`.
fn keys(fields: &Fields<'_>) -> Option<String> {
    let keys = fields.value("/dynamodb/Keys").and_then(Value::as_object)?;
    let key = |(name, value): (&String, &Value)| {
        let (_, value) = value.as_object()?.iter().next()?;
        Some(format!("{name}={}", value.as_str()?))
    };
    let keys: Option<Vec<_>> = keys.iter().map(key).collect();
    keys.filter(|keys| !keys.is_empty()).map(|keys| keys.join(","))
}

/// `ApproximateCreationDateTime` as RFC 3339. Streams write seconds, Kinesis milliseconds or microseconds.
fn time(value: &Value) -> Option<String> {
    let number = value.as_f64().filter(|number| (0.0..1e17).contains(number))?;
    let nanos = if number < 1e11 {
        number * 1e9
    } else if number < 1e14 {
        number * 1e6
    } else {
        number * 1e3
    };
    #[expect(clippy::cast_possible_truncation, reason = "it is within the range")]
    // A double holds no nanoseconds of today.
    let nanos = (nanos / 1e3).round() as i128 * 1_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?.format(&Rfc3339).ok()
}
