//! Parsers of events: bodies of the observer queue, event patterns, and rules files.

use notifier::base::text::{chain, printable};
use notifier::sources::pattern::Pattern;
use notifier::sources::{BadRecord, Content, Record, Routes, read};
use serde_json::Value;

use crate::parsers::wrong;

/// The most records of a verdict.
const RECORDS_SHOWN_MAX: usize = 4;
/// The most characters of an attribute in a verdict.
const SHOWN_CHARS_MAX: usize = 80;

/// A rule that matches everything and uses what every record has.
const EVERY: &str = "[[route]]\nname = 'every'\nmatch = { id = [{ exists = true }] }\nto = { cluster = 'prod' }\n\
    coalesce = { key = ['/id'], window = '1s' }\n[[route]]\nname = 'other'\nmatch = { x = [{ exists = false }] }\n\
    to = { cluster = 'prod' }\nevent = { subject = '/detail/object/key', data = { id = '/id', key = '/detail/object/key' } }\n";

/// A body of the observer queue.
pub(crate) fn bodies(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match read(&text) {
        Err(error) => wrong(&error),
        Ok(Content::Direct(_)) => "a direct message".to_owned(),
        Ok(Content::Test) => "a test message".to_owned(),
        Ok(Content::Records(records)) => {
            let count = records.len();
            let shown = records.into_iter().take(RECORDS_SHOWN_MAX).map(|one| match one {
                Ok(record) => self::record(&record),
                Err(bad) => self::bad(&bad),
            });
            let shown: Vec<_> = shown.collect();
            format!("{count}: {}", shown.join("; "))
        }
    }
}

fn shown(text: &str) -> String {
    printable(text, SHOWN_CHARS_MAX)
}

/// # Panics
///
/// If a repeated record gets another id, or two rules one id.
#[expect(clippy::expect_used, reason = "the rules are a constant of this file")]
fn record(record: &Record) -> String {
    let routes = Routes::parse(EVERY, "every").expect("valid rules");
    let ids = || -> Vec<_> {
        let requests = routes.route(record).into_iter().filter_map(|routed| routed.request.ok());
        requests.filter_map(|request| request.event.and_then(|event| event.id)).collect()
    };
    let (first, second) = (ids(), ids());
    assert_eq!(first, second);
    assert!(first.len() < 2 || first.first() != first.last(), "two rules have one id");
    let parts = [
        record.source_kind().as_str(),
        record.id(),
        record.event_source(),
        record.event_type(),
        record.subject().unwrap_or("-"),
        record.time().unwrap_or("-"),
    ];
    parts.map(shown).join(" ")
}

/// # Panics
///
/// If the body of the record by itself is read with another result.
fn bad(bad: &BadRecord) -> String {
    let error = wrong(&bad.error);
    // An array in an array, or what has too many envelopes, is readable by itself.
    if bad.body.starts_with('[') || error.contains("wrapped more than") {
        return error;
    }
    match read(&bad.body) {
        Err(again) => assert_eq!(chain(&again), chain(&bad.error)),
        Ok(Content::Records(again)) => {
            let again: Vec<_> = again.iter().filter_map(|one| one.as_ref().err()).collect();
            if let [again] = again.as_slice() {
                assert_eq!(chain(&again.error), chain(&bad.error));
            }
        }
        Ok(_) => {}
    }
    error
}

/// A pattern, and behind a line end an event.
pub(crate) fn patterns(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let (pattern, event) = text.split_once('\n').unwrap_or((&text, "{}"));
    let pattern = match Pattern::parse(pattern) {
        Err(error) => return wrong(&error),
        Ok(pattern) => pattern,
    };
    let Ok(event) = serde_json::from_str::<Value>(event) else { return "valid".to_owned() };
    let mismatch = pattern.explain(&event);
    assert_eq!(mismatch.is_none(), pattern.matches(&event));
    mismatch.map_or_else(
        || "matches".to_owned(),
        |mismatch| {
            let found = mismatch.found.unwrap_or_else(|| "nothing".to_owned());
            format!("differs at {}: {found}, not {}", mismatch.path, mismatch.expected)
        },
    )
}

/// A rules file.
pub(crate) fn routes(bytes: &[u8]) -> String {
    match Routes::parse(&String::from_utf8_lossy(bytes), "routes.toml") {
        Ok(routes) => format!("{} rules", routes.rules().len()),
        Err(errors) => {
            let text = wrong(&errors);
            text.chars().take(2_000).collect()
        }
    }
}
