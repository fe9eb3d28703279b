//! Message attributes: the typed values that travel beside a body.
//!
//! Source: Amazon SQS Developer Guide, "Amazon SQS message metadata", which also defines the digest.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use super::errors;
use crate::error::AwsError;

/// Most attributes of one message.
const ATTRIBUTES_MAX: usize = 10;

/// Longest name and longest type.
const NAME_BYTES_MAX: usize = 256;

/// Whether SQS carries this character: those that XML 1.0 allows.
pub(super) fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// A value as it crosses the wire, in both directions.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireValue {
    data_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

/// A valid value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    data_type: String,
    value: Payload,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Payload {
    Text(String),
    Binary(Vec<u8>),
}

/// The attributes of one message by name, in the order that the digest wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes(BTreeMap<String, Attribute>);

impl Attributes {
    /// Checks what a producer sent.
    pub(super) fn read(wire: BTreeMap<String, WireValue>) -> Result<Self, AwsError> {
        if wire.len() > ATTRIBUTES_MAX {
            return Err(errors::invalid_parameter(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
                wire.len()
            )));
        }
        let read = |(name, value): (String, WireValue)| {
            check_name(&name)?;
            let value = Attribute::read(&name, value)?;
            Ok((name, value))
        };
        wire.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that count towards a message's size: names, types and values.
    pub(super) fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.data_type.len() + value.bytes().len()).sum()
    }

    /// The attributes that a consumer asked for: by name, by prefix (`trace.*`), or all (`All`, `.*`, `*`).
    pub(super) fn filtered(&self, wanted: &[String]) -> Self {
        let matches = |name: &str| {
            wanted.iter().any(|want| match want.as_str() {
                "All" | "*" => true,
                want => want.strip_suffix(".*").map_or(want == name, |prefix| name.starts_with(prefix)),
            })
        };
        Self(self.0.iter().filter(|(name, _)| matches(name)).map(|(n, v)| (n.clone(), v.clone())).collect())
    }

    pub(super) fn wire(&self) -> BTreeMap<&str, WireValue> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.wire())).collect()
    }

    /// The digest by which SDKs check that attributes arrived as sent; `None` without attributes.
    pub(super) fn md5(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let mut digest = Md5::new();
        for (name, value) in &self.0 {
            update_sized(&mut digest, name.as_bytes());
            update_sized(&mut digest, value.data_type.as_bytes());
            digest.update([match value.value {
                Payload::Text(_) => 1,
                Payload::Binary(_) => 2,
            }]);
            update_sized(&mut digest, value.bytes());
        }
        Some(hex(&digest.finalize()))
    }
}

impl Attribute {
    fn read(name: &str, wire: WireValue) -> Result<Self, AwsError> {
        let data_type = wire.data_type.filter(|data_type| !data_type.is_empty()).ok_or_else(|| {
            errors::invalid_parameter(format!(
                "The message attribute '{name}' must contain non-empty message attribute type."
            ))
        })?;
        let (base, custom) = data_type.split_once('.').unwrap_or((&data_type, ""));
        if !matches!(base, "String" | "Number" | "Binary") || data_type.len() > NAME_BYTES_MAX {
            return Err(errors::invalid_parameter(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
                 prefixes is Binary, Number, and String."
            )));
        }
        if !custom.chars().all(is_legal) {
            return Err(errors::invalid_contents());
        }
        let empty = || {
            errors::invalid_parameter(format!(
                "Message (user) attribute '{name}' must contain a non-empty value of type '{base}'."
            ))
        };
        let value = if base == "Binary" {
            let text = wire.binary_value.filter(|value| !value.is_empty()).ok_or_else(empty)?;
            let bytes = BASE64_STANDARD.decode(text);
            Payload::Binary(
                bytes.map_err(|_| AwsError::client("SerializationException", "BinaryValue is not base64"))?,
            )
        } else {
            let text = wire.string_value.filter(|value| !value.is_empty()).ok_or_else(empty)?;
            if !text.chars().all(is_legal) {
                return Err(errors::invalid_contents());
            }
            if base == "Number" && !is_number(&text) {
                return Err(errors::invalid_parameter(format!(
                    "Can't cast the value of message (user) attribute '{name}' to a number."
                )));
            }
            Payload::Text(text)
        };
        Ok(Self { data_type, value })
    }

    fn bytes(&self) -> &[u8] {
        match &self.value {
            Payload::Text(text) => text.as_bytes(),
            Payload::Binary(bytes) => bytes,
        }
    }

    fn wire(&self) -> WireValue {
        let (string_value, binary_value) = match &self.value {
            Payload::Text(text) => (Some(text.clone()), None),
            Payload::Binary(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
        };
        WireValue { data_type: Some(self.data_type.clone()), string_value, binary_value }
    }
}

/// The trace header among a message's system attributes, with the digest of those; the only one that exists.
pub(super) fn trace_header(
    mut wire: BTreeMap<String, WireValue>,
) -> Result<(Option<String>, Option<String>), AwsError> {
    let Some(value) = wire.remove("AWSTraceHeader") else {
        return match wire.into_keys().next() {
            Some(name) => Err(errors::invalid_parameter(format!(
                "Message system attribute name '{name}' is invalid. Valid values: [AWSTraceHeader]."
            ))),
            None => Ok((None, None)),
        };
    };
    let attribute = Attribute::read("AWSTraceHeader", value)?;
    let Payload::Text(text) = attribute.value.clone() else {
        return Err(errors::invalid_parameter(
            "The message system attribute 'AWSTraceHeader' must be a String.",
        ));
    };
    let digest = Attributes(BTreeMap::from([("AWSTraceHeader".to_owned(), attribute)])).md5();
    Ok((Some(text), digest))
}

fn check_name(name: &str) -> Result<(), AwsError> {
    let lower = name.to_ascii_lowercase();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(legal) {
        return Err(errors::invalid_parameter(
            "Message (user) attributes name can only contain upper and lower case characters, digits, periods, \
             hyphens and underscores, and up to 256 of them.",
        ));
    }
    let reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    if reserved || name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err(errors::invalid_parameter(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved \
             for internal use. Additionally, they cannot start or end with '.', or contain successive periods.",
        ));
    }
    Ok(())
}

/// A decimal number; `f64`'s other spellings (`inf`, `NaN`) are none.
fn is_number(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'))
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

fn update_sized(digest: &mut Md5, bytes: &[u8]) {
    // A part is at most a message long, so its length always fits; a longer one could only spoil the digest.
    digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}

/// The MD5 digest of a body.
pub(super) fn body_md5(body: &str) -> String {
    hex(&Md5::digest(body))
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attributes(wire: serde_json::Value) -> Result<Attributes, AwsError> {
        Attributes::read(serde_json::from_value(wire).expect("attributes"))
    }

    /// Digests that AWS answered for these attributes.
    #[test]
    fn digests_are_those_of_aws() {
        let help = json!({
            "Help.Me": {"DataType": "String", "StringValue": "Me"},
            "Hello": {"DataType": "String", "StringValue": "There"},
            "General": {"DataType": "String", "StringValue": "Kenobi"},
        });
        let help = attributes(help).expect("valid");
        assert_eq!(help.md5().as_deref(), Some("4c360f3fdafd970e05fae2f149d997f5"));
        let two = help.filtered(&["Hello".to_owned(), "General".to_owned()]);
        assert_eq!(two.md5().as_deref(), Some("fca026605781cb4126a1e9044df24232"));

        let binary =
            BASE64_STANDARD.encode(b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01");
        let binary =
            attributes(json!({"attr1": {"DataType": "Binary", "BinaryValue": binary}})).expect("valid");
        assert_eq!(binary.md5().as_deref(), Some("8cbe4db156db8a94db8b801b7addb984"));
        assert_eq!(body_md5("test"), "098f6bcd4621d373cade4e832627b4f6");
        assert_eq!(Attributes::default().md5(), None);
    }

    #[test]
    fn a_filter_takes_names_prefixes_or_all() {
        let all = attributes(json!({
            "trace.id": {"DataType": "String", "StringValue": "1"},
            "trace": {"DataType": "Number.int", "StringValue": "-1.5e3"},
            "other": {"DataType": "String", "StringValue": "3"},
        }))
        .expect("valid");
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|&w| w.to_owned()).collect();
            all.filtered(&wanted).0.into_keys().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&[]), "");
        assert_eq!(names(&["All"]), "other trace trace.id");
        assert_eq!(names(&[".*"]), "other trace trace.id");
        assert_eq!(names(&["tr.*"]), "trace trace.id");
        assert_eq!(names(&["trace", "absent"]), "trace");
    }

    #[test]
    fn wrong_attributes_are_refused() {
        let code = |wire| attributes(wire).expect_err("refused").code;
        let text = json!({"DataType": "String", "StringValue": "x"});
        for name in ["", "AWS.x", "amazon.y", ".a", "a.", "a..b", "a b", "é", &"n".repeat(257)] {
            assert_eq!(code(json!({name: text})), "InvalidParameterValueException", "{name}");
        }
        for value in [
            json!({"StringValue": "x"}),
            json!({"DataType": "Text", "StringValue": "x"}),
            json!({"DataType": "String"}),
            json!({"DataType": "String", "StringValue": ""}),
            json!({"DataType": "Binary", "StringValue": "x"}),
            json!({"DataType": "Number", "StringValue": "NaN"}),
            json!({"DataType": "Number", "StringValue": "twelve"}),
        ] {
            assert_eq!(code(json!({"a": value})), "InvalidParameterValueException", "{value}");
        }
        assert_eq!(
            code(json!({"a": {"DataType": "String", "StringValue": "\u{0}"}})),
            "InvalidMessageContents"
        );
        let eleven: serde_json::Map<_, _> = (0..11).map(|n| (format!("a{n}"), text.clone())).collect();
        assert_eq!(code(eleven.into()), "InvalidParameterValueException");
    }
}
