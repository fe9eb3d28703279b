//! Queue bodies as JSON text that SQS accepts.

use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The maximum size of one SQS message in bytes, and of one batch of messages together: 1 MiB.
///
/// Source: Amazon SQS developer guide, message quotas.
pub const MESSAGE_BYTES_MAX: usize = 1_048_576;

/// Why a queue body cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The text is not JSON of the expected shape. The source names the field and the position.
    #[error("the message body is not valid for this queue")]
    Json(#[from] serde_json::Error),
    /// The message is too large for SQS.
    #[error("the message has {bytes} bytes, but SQS accepts at most {max}", max = MESSAGE_BYTES_MAX)]
    TooLarge {
        /// The size of the body in bytes.
        bytes: usize,
    },
}

/// Reads a body. Unknown fields are ignored, so that newer senders can add fields.
pub(crate) fn decode<T: DeserializeOwned>(body: &str) -> Result<T, BodyError> {
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(BodyError::TooLarge { bytes: body.len() });
    }
    Ok(serde_json::from_str(body)?)
}

/// Writes a body: compact JSON, with escapes for the characters that SQS refuses.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<String, BodyError> {
    let body = escape(serde_json::to_string(message)?);
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(BodyError::TooLarge { bytes: body.len() });
    }
    Ok(body)
}

/// Escapes U+FFFE and U+FFFF, which JSON allows unescaped but SQS refuses.
///
/// SQS accepts the characters of XML 1.0. JSON itself escapes the other characters that SQS refuses, the controls below
/// U+0020.
fn escape(json: String) -> String {
    let refused = |c: char| matches!(c, '\u{fffe}' | '\u{ffff}');
    if !json.contains(refused) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        if refused(c) {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_sqs_refuses_are_escaped_and_read_back() {
        let text = "a\u{ffff}b\u{fffe}\u{1}é";
        let body = encode(&text).unwrap();
        assert_eq!(body, r#""a\uffffb\ufffe\u0001é""#);
        assert_eq!(decode::<String>(&body).unwrap(), text);
    }

    #[test]
    fn a_body_over_the_limit_is_refused_in_both_directions() {
        let text = "x".repeat(MESSAGE_BYTES_MAX);
        assert!(matches!(encode(&text), Err(BodyError::TooLarge { bytes }) if bytes == text.len() + 2));
        assert!(matches!(decode::<String>(&format!("\"{text}\"")), Err(BodyError::TooLarge { .. })));
    }
}
