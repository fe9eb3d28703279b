//! Event notifications of S3, and S3's events in EventBridge.
//!
//! Sources: Amazon S3 User Guide, "Event message structure" (versions 2.0 to 2.6: later versions only add members) and
//! "EventBridge event message structure"; CloudEvents adapter for AWS S3, for the attributes. The adapter's type is
//! `com.amazonaws.s3.` and the name as it is, with its colon.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::document::Document;
use super::error::SourceError;
use super::fields::{Fields, subject, uri};
use super::record::{Attributes, NormalEvent, Record, SourceKind};
use super::s3_names;

const WHAT: &str = "S3 record";

/// `detail` of an S3 event in EventBridge. Members that a record lacks are left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Detail<'a> {
    version: &'static str,
    bucket: Bucket<'a>,
    object: Object<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requester: Option<&'a str>,
    #[serde(rename = "source-ip-address", skip_serializing_if = "Option::is_none")]
    source_ip: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_storage_class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_access_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restore_expiry_time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_storage_class: Option<&'a str>,
}

#[derive(Debug, Default, Serialize)]
struct Bucket<'a> {
    name: &'a str,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Object<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequencer: Option<&'a str>,
}

/// Reads a record of a notification.
pub(super) fn record(text: &RawValue) -> Result<Record, SourceError> {
    let raw = Document::read(text).map_err(|error| SourceError::json(WHAT, &error))?;
    let fields = Fields::new(WHAT, raw.value());
    let bucket = fields.name("/s3/bucket/name")?;
    let key = decoded(fields.name("/s3/object/key")?)?;
    // Some S3-compatible stores write the prefix that AWS has only in settings.
    let event_name = fields.name("/eventName")?;
    let event_name = event_name.strip_prefix("s3:").unwrap_or(event_name);
    let id = id(&fields)?;
    let version = fields.text("/s3/object/versionId").unwrap_or_default();
    let sequencer = fields.text("/s3/object/sequencer").unwrap_or_default();
    // One request may delete many objects, so its id alone does not name the event.
    let identity = [bucket, &key, version, sequencer, event_name, &id].map(str::to_owned).to_vec();
    let region = fields.text("/awsRegion");
    let attributes = Attributes {
        id,
        source: source(fields.text("/eventSource").unwrap_or("aws:s3"), region, bucket),
        kind: format!("com.amazonaws.s3.{event_name}"),
        subject: subject(&key),
        time: fields.time("/eventTime"),
        ..Attributes::default()
    };
    let name = s3_names::of_notification(event_name);
    let detail = to_raw_value(&detail(&fields, bucket, &key, name))
        .map_err(|error| SourceError::json(WHAT, &error))?;
    let arn = format!("arn:aws:s3:::{bucket}");
    let event = NormalEvent {
        time: attributes.time.as_deref(),
        region,
        resources: vec![fields.text("/s3/bucket/arn").unwrap_or(&arn)],
        detail: Some(&detail),
        ..NormalEvent::new("aws.s3", name.map_or(event_name, |name| name.detail_type), &attributes.id)
    };
    let event = event.document()?;
    Ok(Record::new(SourceKind::S3, attributes, identity, raw, Some(event)))
}

/// The attributes of an event in EventBridge, except its id and time.
pub(super) fn attributes_of_event(fields: &Fields<'_>) -> Result<Attributes, SourceError> {
    let bucket = fields.name("/detail/bucket/name")?;
    let key = fields.name("/detail/object/key")?;
    let detail_type = fields.name("/detail-type")?;
    let name =
        s3_names::of_event(detail_type, fields.text("/detail/reason"), fields.text("/detail/deletion-type"));
    Ok(Attributes {
        source: source("aws:s3", fields.text("/region"), bucket),
        kind: name
            .map_or_else(|| detail_type.to_owned(), |name| format!("com.amazonaws.s3.{}", name.notification)),
        subject: subject(key),
        ..Attributes::default()
    })
}

fn source(event_source: &str, region: Option<&str>, bucket: &str) -> String {
    uri(&format!("{event_source}.{}.{bucket}", region.unwrap_or_default())).into_owned()
}

/// The id of the request, or else the sequencer.
fn id(fields: &Fields<'_>) -> Result<String, SourceError> {
    let request = fields.text("/responseElements/x-amz-request-id");
    match (request, fields.text("/responseElements/x-amz-id-2")) {
        (Some(request), Some(second)) => Ok(format!("{request}.{second}")),
        (Some(one), None) | (None, Some(one)) => Ok(one.to_owned()),
        (None, None) => match fields.text("/s3/object/sequencer") {
            Some(sequencer) => Ok(sequencer.to_owned()),
            None => fields.wrong("there is neither a request id nor a sequencer"),
        },
    }
}

/// The key of the object. A notification has it in the encoding of HTML forms.
fn decoded(key: &str) -> Result<String, SourceError> {
    let spaces = key.replace('+', " ");
    match percent_encoding::percent_decode_str(&spaces).decode_utf8() {
        Ok(Cow::Borrowed(_)) => Ok(spaces),
        Ok(Cow::Owned(key)) => Ok(key),
        Err(_) => Err(SourceError::wrong(WHAT, "`s3.object.key` is not UTF-8 after URL decoding")),
    }
}

fn detail<'a>(
    fields: &Fields<'a>,
    bucket: &'a str,
    key: &'a str,
    name: Option<&'static s3_names::Name>,
) -> Detail<'a> {
    Detail {
        version: "0",
        bucket: Bucket { name: bucket },
        object: Object {
            key,
            size: fields.value("/s3/object/size"),
            etag: fields.text("/s3/object/eTag"),
            version_id: fields.text("/s3/object/versionId"),
            sequencer: fields.text("/s3/object/sequencer"),
        },
        request_id: fields.text("/responseElements/x-amz-request-id"),
        requester: fields.text("/userIdentity/principalId"),
        source_ip: fields.text("/requestParameters/sourceIPAddress"),
        reason: name.and_then(|name| name.reason),
        deletion_type: name.and_then(|name| name.deletion_type),
        destination_storage_class: fields
            .text("/lifecycleEventData/transitionEventData/destinationStorageClass"),
        destination_access_tier: fields.text("/intelligentTieringEventData/destinationAccessTier"),
        restore_expiry_time: fields.text("/glacierEventData/restoreEventData/lifecycleRestorationExpiryTime"),
        source_storage_class: fields.text("/glacierEventData/restoreEventData/lifecycleRestoreStorageClass"),
    }
}
