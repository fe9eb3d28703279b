//! Parsers of outside input that are nobody else's business, for `tests/hostile` alone: bytes in, a verdict in words out.

use std::time::{Duration, UNIX_EPOCH};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};

mod canned;
mod clients;
mod ledger;

pub use clients::{discovered, inbox, secrets};
pub use ledger::recorded;

use crate::base::text::chain;
use crate::settings::Settings;
use crate::{aws, deliver};

/// An error with its causes, as users see it.
///
/// # Panics
///
/// When an error is not printable by itself: some places show one without its causes.
fn wrong(error: &(dyn std::error::Error + 'static)) -> String {
    for cause in std::iter::successors(Some(error), |&error| error.source()) {
        let text = cause.to_string();
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "not printable: {text:?}");
    }
    format!("error: {}", chain(error))
}

/// What an answer with this status, value of `Retry-After` and text means, at 2026-11-24 09:30:00 UTC.
#[must_use]
pub fn answer(status: &[u8], retry_after: &[u8], text: &[u8]) -> String {
    let Ok(status) = StatusCode::from_bytes(status) else { return "no status".to_owned() };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(retry_after)
        && !value.is_empty()
    {
        headers.insert(RETRY_AFTER, value);
    }
    let now = UNIX_EPOCH + Duration::from_secs(1_795_512_600);
    let meaning = deliver::response::meaning(status, &headers, now);
    format!("{meaning:?}: {}", deliver::shown(text).unwrap_or_default())
}

/// What a page of `DescribeInstances` says.
#[must_use]
pub fn ec2_page(bytes: &[u8]) -> String {
    match aws::minimal::ec2::response::page(bytes) {
        Err(error) => wrong(&error),
        Ok(page) => {
            let one = |address: Option<String>| address.unwrap_or_else(|| "-".to_owned());
            let instances = page.instances.iter().map(|(_, address)| {
                format!(
                    "{} {}",
                    one(address.v4.map(|v4| v4.to_string())),
                    one(address.v6.map(|v6| v6.to_string()))
                )
            });
            let next = if page.next.is_some() { "; more" } else { "" };
            format!("{}{next}", instances.take(8).collect::<Vec<_>>().join(", "))
        }
    }
}

/// What a file of settings says: `fine`, or every mistake.
#[must_use]
pub fn settings_file(text: &str) -> String {
    match Settings::of_text(text) {
        Ok(_) => "fine".to_owned(),
        Err(mistakes) => mistakes.to_string(),
    }
}
