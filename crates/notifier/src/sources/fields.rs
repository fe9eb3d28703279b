//! The members of a record: some required, the others lenient.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::SourceError;

/// The longest text of a member that names something: an id, a bucket, a key. The longest key of S3 has 1,024 bytes, which are
/// 3,072 characters in URL encoding.
const NAME_BYTES_MAX: usize = 4_096;

/// The members of one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    /// What the record is, for errors.
    pub(super) what: &'static str,
    value: &'a Value,
}

impl<'a> Fields<'a> {
    pub(super) fn new(what: &'static str, value: &'a Value) -> Self {
        Self { what, value }
    }

    /// The value at this pointer.
    pub(super) fn value(&self, pointer: &str) -> Option<&'a Value> {
        self.value.pointer(pointer)
    }

    /// The text at this pointer, unless it is empty.
    pub(super) fn text(&self, pointer: &str) -> Option<&'a str> {
        self.value(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The required text at this pointer: a name or an id.
    pub(super) fn name(&self, pointer: &str) -> Result<&'a str, SourceError> {
        let path = || pointer.trim_start_matches('/').replace('/', ".");
        match self.value(pointer) {
            None => self.wrong(format!("`{}` is missing", path())),
            Some(Value::String(text)) if text.is_empty() => self.wrong(format!("`{}` is empty", path())),
            Some(Value::String(text)) if text.len() > NAME_BYTES_MAX => {
                self.wrong(format!("`{}` is longer than {NAME_BYTES_MAX} bytes", path()))
            }
            Some(Value::String(text)) => Ok(text),
            Some(_) => self.wrong(format!("`{}` must be text", path())),
        }
    }

    /// The time at this pointer, if it is one.
    pub(super) fn time(&self, pointer: &str) -> Option<String> {
        self.text(pointer).filter(|text| instant(text).is_some()).map(str::to_owned)
    }

    /// An error of this record.
    pub(super) fn wrong<T>(&self, problem: impl Into<String>) -> Result<T, SourceError> {
        Err(SourceError::wrong(self.what, problem))
    }
}

/// Reads a time in RFC 3339.
pub(super) fn instant(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// Text as a URI reference: everything that is not printable ASCII is percent-encoded.
pub(super) fn uri(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(percent_encoding::utf8_percent_encode(text, OUTSIDE).to_string())
}

const OUTSIDE: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b' ');

/// Text without control characters: these are percent-encoded. `None` if it is empty, or too long for an attribute.
pub(super) fn subject(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
    (!out.is_empty() && out.len() <= wire::event::ATTRIBUTE_BYTES_MAX).then_some(out)
}
