//! CloudEvents in structured JSON.
//!
//! Source: CloudEvents 1.0.2, JSON event format.

use serde_json::value::RawValue;
use wire::event::Extension;

use super::document::Document;
use super::error::{SourceError, shown};
use super::fields::{Fields, subject, uri};
use super::record::{Attributes, NormalEvent, Record, SourceKind};

const WHAT: &str = "CloudEvent";
/// The attributes that CloudEvents defines, and the members for data.
const DEFINED: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
];
/// The most extension attributes that are kept.
const EXTENSIONS_MAX: usize = 32;
/// The extension that the notifier sets itself.
pub(super) const CAUSATION: &str = "causationid";

/// Reads a CloudEvent.
pub(super) fn record(text: &RawValue) -> Result<Record, SourceError> {
    let raw = Document::read(text).map_err(|error| SourceError::json(WHAT, &error))?;
    let fields = Fields::new(WHAT, raw.value());
    match fields.text("/specversion") {
        Some("1.0") => {}
        other => {
            let found =
                other.map_or_else(|| "something else".to_owned(), |text| format!("`{}`", shown(text)));
            return fields.wrong(format!("`specversion` must be `1.0`, not {found}"));
        }
    }
    let (id, source, kind) = (fields.name("/id")?, fields.name("/source")?, fields.name("/type")?);
    let attributes = Attributes {
        id: id.to_owned(),
        source: uri(source).into_owned(),
        kind: kind.to_owned(),
        subject: fields.text("/subject").and_then(subject),
        time: fields.time("/time"),
        extensions: extensions(&fields),
    };
    let event = NormalEvent {
        time: attributes.time.as_deref(),
        subject: fields.text("/subject"),
        detail: raw.at("/data"),
        ..NormalEvent::new(source, kind, id)
    };
    // Producers must ensure that `source` and `id` are unique together.
    let identity = vec![source.to_owned(), id.to_owned()];
    let event = event.document()?;
    Ok(Record::new(SourceKind::CloudEvents, attributes, identity, raw, Some(event)))
}

/// The extension attributes that a broadcast may carry on, for example `traceparent`.
fn extensions(fields: &Fields<'_>) -> std::collections::BTreeMap<String, Extension> {
    let members = fields.value("").and_then(serde_json::Value::as_object);
    let is_extension = |name: &&String| {
        !DEFINED.contains(&name.as_str())
            && name.as_str() != CAUSATION
            && wire::event::is_extension_name(name)
    };
    let names = members.into_iter().flat_map(serde_json::Map::keys).filter(is_extension);
    let kept = names.filter_map(|name| {
        let value = fields.value(&format!("/{name}"))?;
        let value: Extension = serde_json::from_value(value.clone()).ok()?;
        let is_valid = match &value {
            Extension::Text(text) => subject(text).as_deref() == Some(text),
            _ => true,
        };
        is_valid.then(|| (name.clone(), value))
    });
    kept.take(EXTENSIONS_MAX).collect()
}
