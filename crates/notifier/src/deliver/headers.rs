//! Extra request headers from a secret, such as a bearer token. Pure.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::secrets::{Material, Unusable};

/// The most headers.
const HEADERS_MAX: usize = 16;
/// Headers that users must not set: those of the notifier, and those that decide message length, routing or connection.
const FORBIDDEN: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// How forbidden names begin: those of Standard Webhooks, of CloudEvents and of proxies.
const FORBIDDEN_STARTS: &[&str] = &["ce-", "proxy-", "webhook-"];

/// Why a text is not a list of headers. Says which line, counted from 1, and never repeats any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum HeadersError {
    #[error("it has no line `name: value`")]
    None,
    #[error("there are more than {HEADERS_MAX} headers")]
    TooMany,
    #[error("line {0} {1}")]
    Line(usize, &'static str),
}

/// The headers in the newest version of the one secret: a line `name: value` for each, empty lines between them allowed.
///
/// # Errors
///
/// A line that is no header, or sets one that is not a user's to set.
pub(crate) fn headers(secrets: &[Material]) -> Result<HeaderMap, Unusable> {
    let text = secrets.first().map(Material::newest).unwrap_or_default();
    Ok(parse(text)?)
}

fn parse(text: &str) -> Result<HeaderMap, HeadersError> {
    let mut map = HeaderMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        if map.len() == HEADERS_MAX {
            return Err(HeadersError::TooMany);
        }
        let wrong = |problem| HeadersError::Line(number, problem);
        let (name, value) = line.split_once(':').ok_or(wrong("is not `name: value`"))?;
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong("does not begin with the name of a header"))?;
        if FORBIDDEN.contains(&name.as_str())
            || FORBIDDEN_STARTS.iter().any(|start| name.as_str().starts_with(start))
        {
            return Err(wrong("sets a reserved header"));
        }
        let value = value.trim();
        let mut value = HeaderValue::from_str(value)
            .ok()
            .filter(|_| !value.is_empty())
            .ok_or(wrong("has a value with invalid characters"))?;
        // Then it is neither in `Debug` nor in a compression table.
        value.set_sensitive(true);
        if map.insert(name, value).is_some() {
            return Err(wrong("sets a header a second time"));
        }
    }
    if map.is_empty() { Err(HeadersError::None) } else { Ok(map) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_header() {
        let map = parse(
            "Authorization: Bearer a:b=\r\n\n X-Team : core\n".replace(" X-Team :", "X-Team:").as_str(),
        );
        let map = map.unwrap();
        assert_eq!(map["authorization"], "Bearer a:b=");
        assert_eq!(map["x-team"], "core");
        assert!(!format!("{map:?}").contains("Bearer"));
    }

    #[test]
    fn what_is_no_header_or_not_to_be_set_is_named_by_its_line_alone() {
        let line = HeadersError::Line;
        for (text, error) in [
            ("", HeadersError::None),
            ("\n \n", HeadersError::None),
            ("Bearer x", line(1, "is not `name: value`")),
            ("a: b\nc d: e", line(2, "does not begin with the name of a header")),
            (": b", line(1, "does not begin with the name of a header")),
            (" a: b", line(1, "does not begin with the name of a header")),
            ("a:", line(1, "has a value with invalid characters")),
            ("a: b\u{7f}", line(1, "has a value with invalid characters")),
            ("a: b\u{0}", line(1, "has a value with invalid characters")),
            ("a: b\rc: d", line(1, "has a value with invalid characters")),
            ("a: b\nA: c", line(2, "sets a header a second time")),
            ("Host: evil", line(1, "sets a reserved header")),
            ("Content-Length: 0", line(1, "sets a reserved header")),
            ("transfer-encoding: chunked", line(1, "sets a reserved header")),
            ("Webhook-Id: x", line(1, "sets a reserved header")),
            ("ce-id: x", line(1, "sets a reserved header")),
            ("Proxy-Authorization: x", line(1, "sets a reserved header")),
            ("connection: keep-alive", line(1, "sets a reserved header")),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text:?}");
        }
        let many: String = (0..17).map(|n| format!("x-{n}: y")).collect::<Vec<_>>().join("\n");
        assert_eq!(parse(&many).unwrap_err(), HeadersError::TooMany);
    }
}
