//! Reads what a rule asks for tasks that start later.

use std::time::Duration;

use wire::{ObserverMessage, Retain};

use super::reader::{Reader, TEXT_BYTES_MAX, Value};
use crate::base::text::quoted;
use crate::base::{parse_seconds, time};

/// The seconds of `cover = "10m"`.
pub(super) fn cover(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<u32> {
    seconds(reader, "cover", value, ObserverMessage::COVER_MAX)
}

/// The table `retain`. Its key is text: all events of the rule replace each other.
pub(super) fn retain(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Retain> {
    let table = reader.table("retain", value)?;
    reader.known("retain.", table, &["key", "ttl"]);
    let key = reader.required(&value.span(), table, "key");
    let key = key.and_then(|value| {
        let key = reader.text("retain.key", value, Retain::KEY_BYTES_MAX)?;
        if key.chars().any(char::is_control) {
            reader.wrong(&value.span(), "`retain.key` contains a control character");
            return None;
        }
        Some(key)
    });
    let ttl = match table.get("ttl") {
        Some(value) => seconds(reader, "retain.ttl", value, Retain::TTL_MAX)?,
        None => Retain::TTL_DEFAULT,
    };
    Some(Retain::new(key?, ttl))
}

fn seconds(reader: &mut Reader<'_>, key: &str, value: &Value<'_>, most: u32) -> Option<u32> {
    let text = reader.text(key, value, TEXT_BYTES_MAX)?;
    let seconds = parse_seconds(&text, most);
    if seconds.is_none() {
        let most = time(Duration::from_secs(most.into()));
        reader.wrong(
            &value.span(),
            format!("`{}` of `{key}` is not a time from `1s` to `{most}`", quoted(&text)),
        );
    }
    seconds
}
