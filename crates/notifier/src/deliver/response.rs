//! The meaning of a task's answer, by status and headers. Pure.

use std::iter;
use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::model::Outcome;

/// The most characters of an answer's text in a reason.
const SHOWN_CHARS_MAX: usize = 200;

/// The fewest bytes of a word that counts as a secret. `Bearer` is shorter.
const SECRET_BYTES_MIN: usize = 8;
/// Replaces a secret in a text.
const SECRET: &str = "[secret]";

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Another attempt may succeed, after the wait that the task requested, if any. Without another attempt, the delivery
    /// has failed.
    Again(Option<Duration>),
    /// The delivery ends with this outcome.
    Settle(Outcome),
}

/// What follows an answer with this status and headers; `now` converts a date in `Retry-After` to a wait.
pub fn meaning(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Then {
    match status.as_u16() {
        200..=299 => Then::Settle(Outcome::Delivered),
        408 | 425 | 429 | 500..=599 => Then::Again(retry_after(headers, now)),
        // The task is stopping, and needs no notification any more.
        410 => Then::Settle(Outcome::Gone),
        // Another task has the address. The task is looked up before the next attempt, which uses its current address.
        421 => Then::Again(None),
        // The task would reject the event again. A redirect too: only labels choose the path.
        _ => Then::Settle(Outcome::Rejected),
    }
}

/// The wait in `Retry-After`, in either of its forms; a date in the past means zero.
///
/// A header in neither form is ignored.
///
/// Source: RFC 9110, section 10.2.3.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a `u64` has mean the longest wait.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The text of an answer without the secrets of its request's headers, and without their longer words: some programs
/// echo the request in an error.
///
/// A task knows these secrets and could encode them. This only prevents accidents.
pub(super) fn without(text: &[u8], secrets: &[HeaderValue]) -> String {
    let mut text = String::from_utf8_lossy(text).into_owned();
    let secrets = secrets.iter().filter_map(|secret| secret.to_str().ok());
    let parts = secrets.flat_map(|secret| iter::once(secret).chain(secret.split(' ')));
    for part in parts.filter(|part| part.len() >= SECRET_BYTES_MIN) {
        text = text.replace(part, SECRET);
    }
    text
}

/// The text of an answer for a reason: one short printable line, or `None` if no readable text is left.
///
/// Tasks are not trusted: characters that are not printable become spaces, for terminals, logs and tables.
pub fn shown(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().map(|c| if is_printable(c) { c } else { ' ' }).collect();
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(SHOWN_CHARS_MAX) {
        line.truncate(end);
        line.push('…');
    }
    (!line.is_empty()).then_some(line)
}

/// The standard library escapes exactly the characters that are not printable: control characters, unassigned
/// characters, and those that change the direction of text.
fn is_printable(c: char) -> bool {
    c.is_ascii_graphic() || (!c.is_ascii() && c != char::REPLACEMENT_CHARACTER && c.escape_debug().len() == 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-24 09:30:00 UTC.
    const NOW: u64 = 1_795_512_600;

    fn check(status: u16, retry_after: Option<&str>, expected: Then) {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let found = meaning(status, &headers, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
        assert_eq!(found, expected, "{status} {retry_after:?}");
    }

    #[test]
    fn every_status_has_one_meaning() {
        for status in 100..=999 {
            let expected = match status {
                200..=299 => Then::Settle(Outcome::Delivered),
                408 | 421 | 425 | 429 | 500..=599 => Then::Again(None),
                410 => Then::Settle(Outcome::Gone),
                _ => Then::Settle(Outcome::Rejected),
            };
            check(status, None, expected);
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let later = |seconds| Then::Again(Some(Duration::from_secs(seconds)));
        check(429, Some("7"), later(7));
        check(503, Some("0"), later(0));
        check(503, Some(" 12 "), later(12));
        check(500, Some("99999999999999999999999"), later(u64::MAX));
        check(503, Some("Tue, 24 Nov 2026 09:30:09 GMT"), later(9));
        check(503, Some("Tuesday, 24-Nov-26 09:31:00 GMT"), later(60));
        check(503, Some("Tue Nov 24 09:30:01 2026"), later(1));
        check(503, Some("Tue, 24 Nov 2026 09:29:00 GMT"), later(0));
        for neither in ["", "-1", "+5", "1.5", "soon", "24 Nov 2026", "7, 8"] {
            check(503, Some(neither), Then::Again(None));
        }
    }

    #[test]
    fn retry_after_changes_nothing_else() {
        check(200, Some("7"), Then::Settle(Outcome::Delivered));
        check(301, Some("7"), Then::Settle(Outcome::Rejected));
        check(410, Some("7"), Then::Settle(Outcome::Gone));
        check(421, Some("7"), Then::Again(None));
    }

    #[test]
    fn the_text_of_an_answer_is_one_short_printable_line() {
        for (bytes, expected) in [
            (&b"no such cache"[..], Some("no such cache")),
            (b"  {\"error\":\r\n\t\"bad\"}  ", Some("{\"error\": \"bad\"}")),
            (b"\x1b[31mred\x07\0", Some("[31mred")),
            ("für\u{202e}evil\u{200b}é".as_bytes(), Some("für evil é")),
            (b"\xff\xfe\x1f\x8b", None),
            (b"", None),
            (b" \n ", None),
        ] {
            assert_eq!(shown(bytes).as_deref(), expected, "{bytes:?}");
        }
        let long = shown("ä".repeat(1000).as_bytes()).unwrap();
        assert_eq!(long, format!("{}…", "ä".repeat(200)));
    }

    #[test]
    fn an_answer_that_repeats_what_it_was_sent_is_shown_without_the_secrets() {
        let secrets =
            ["Bearer t0ken-of-the-team", "core", "Basic dXNlcjpwYXNz"].map(HeaderValue::from_static);
        let without = |text: &str| without(text.as_bytes(), &secrets);
        assert_eq!(without("authorization: Bearer t0ken-of-the-team!"), "authorization: [secret]!");
        assert_eq!(without("t0ken-of-the-team, dXNlcjpwYXNz"), "[secret], [secret]");
        assert_eq!(without("score: Bearer, Basic"), "score: Bearer, Basic", "short words are no secrets");
    }

    proptest! {
        #[test]
        fn whatever_a_task_answers_the_reason_is_short_and_printable(bytes: Vec<u8>) {
            let line = shown(&bytes).unwrap_or_default();
            prop_assert!(line.chars().count() <= SHOWN_CHARS_MAX + 1);
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}
