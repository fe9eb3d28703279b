//! Parsers without AWS: messages, labels, networks, keys, settings, responses of tasks.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use lambdas::record::{self, Batch, Read};
use notifier::aws::minimal::ec2::{self, HostAddress};
use notifier::base::Environment;
use notifier::base::text::{chain, printable};
use notifier::deliver;
use notifier::fleet::registry::{self, Applied, RegistryMessage, Row};
use notifier::model::labels;
use notifier::model::network::Networks;
use notifier::secrets::SecretRef;
use notifier::settings::{Flags, Settings, Sources};
use receiver::Identity;
use simulator::Fleet;
use time::OffsetDateTime;
use wire::signature::{SigningKeys, VerifyingKeys};
use wire::{BroadcastId, Draft, Envelope, Message, ObserverMessage, PartMessage, TaskMessage};

/// The most characters of a request in a verdict.
const REQUEST_CHARS_MAX: usize = 400;

/// Returns the error with its causes, as users see it.
///
/// # Panics
///
/// If one of them has terminal control sequences: some places show an error without its causes.
pub(crate) fn wrong(error: &(dyn Error + 'static)) -> String {
    for cause in std::iter::successors(Some(error), |&error| error.source()) {
        let text = cause.to_string();
        assert!(!crate::has_terminal_controls(&text), "an error has terminal control sequences: {text:?}");
    }
    format!("error: {}", chain(error))
}

pub(crate) fn said<T: Display, E: Error + 'static>(result: Result<T, E>) -> String {
    result.map_or_else(|error| wrong(&error), |value| value.to_string())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A container's labels, as a JSON object; the prefix of their names may be left out.
pub(crate) fn labels(bytes: &[u8]) -> String {
    let found: HashMap<String, String> = serde_json::from_slice(bytes).unwrap_or_default();
    let whole = |name: String| match name.as_str() {
        "PORT" => labels::PORT.to_owned(),
        "PATH" => labels::PATH.to_owned(),
        "SCHEME" => labels::SCHEME.to_owned(),
        "METHOD" => labels::METHOD.to_owned(),
        _ => name,
    };
    let found: HashMap<String, String> =
        found.into_iter().map(|(name, value)| (whole(name), value)).collect();
    match labels::target(&found) {
        Ok(None) => "not opted in".to_owned(),
        Ok(Some(target)) => {
            // An accepted path must not change the host of the request.
            let uri: http::Uri = target.path.parse().unwrap_or_default();
            assert!(uri.authority().is_none() && uri.path().starts_with('/'), "{}", target.path);
            format!("{} {}:{}{}", target.method.as_str(), target.scheme.as_str(), target.port, target.path)
        }
        Err(error) => wrong(&error),
    }
}

/// An address, checked against the default networks.
pub(crate) fn addresses(bytes: &[u8]) -> String {
    match text(bytes).parse::<IpAddr>() {
        Err(_) => "no address".to_owned(),
        Ok(address) => match Networks::default().check(address) {
            Ok(()) => "may be called".to_owned(),
            Err(refused) => refused.to_string(),
        },
    }
}

pub(crate) fn networks(bytes: &[u8]) -> String {
    said(text(bytes).parse::<Networks>())
}

/// Reads a body; returns it as it would be written again, or the error for the log and the dead letter.
fn body<M: Message>(bytes: &[u8]) -> String {
    match M::from_body(&text(bytes)) {
        Err(error) => format!("error: {}", notifier::base::text::chain(&error)),
        Ok(message) => said(message.to_body()),
    }
}

pub(crate) fn observer_message(bytes: &[u8]) -> String {
    body::<ObserverMessage>(bytes)
}

pub(crate) fn service_message(bytes: &[u8]) -> String {
    match PartMessage::from_body(&text(bytes)) {
        Err(error) => format!("error: {}", notifier::base::text::chain(&error)),
        Ok(message) => said(message.to_body()),
    }
}

pub(crate) fn task_message(bytes: &[u8]) -> String {
    body::<TaskMessage>(bytes)
}

/// A publisher's event, completed.
pub(crate) fn event(bytes: &[u8]) -> String {
    let draft: Draft = match serde_json::from_slice(bytes) {
        Ok(draft) => draft,
        Err(error) => return wrong(&error),
    };
    let id = BroadcastId::try_from("msg-1".to_owned());
    match id.map(|id| draft.complete(&id, OffsetDateTime::UNIX_EPOCH)) {
        Err(error) => wrong(&error),
        Ok(Err(error)) => wrong(&error),
        Ok(Ok(event)) => said(serde_json::to_string(&event)),
    }
}

/// The body of a request to a task; it must be the same after writing and reading.
pub(crate) fn envelope(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Envelope>(bytes) {
        Err(error) => wrong(&error),
        Ok(envelope) => {
            let json = said(serde_json::to_string(&envelope));
            let again: Option<Envelope> = serde_json::from_str(&json).ok();
            assert_eq!(again.as_ref(), Some(&envelope), "{json}");
            json
        }
    }
}

/// Keys of both sides. The verdict never repeats any of them.
pub(crate) fn keys(bytes: &[u8]) -> String {
    let text = text(bytes);
    let (signs, checks) = (SigningKeys::parse(&text), VerifyingKeys::parse(&text));
    format!("{}; {}", shown(signs), shown(checks))
}

fn shown<K: std::fmt::Debug, E: Error + 'static>(keys: Result<K, E>) -> String {
    keys.map_or_else(|error| wrong(&error), |keys| format!("{keys:?}"))
}

pub(crate) fn secret_reference(bytes: &[u8]) -> String {
    let references = SecretRef::list(&text(bytes));
    references.map_or_else(|error| wrong(&error), |list| format!("{} named", list.len()))
}

pub(crate) fn fleet(bytes: &[u8]) -> String {
    match Fleet::from_toml(&text(bytes)) {
        Ok(fleet) => format!("{} clusters", fleet.clusters.len()),
        // Its messages quote the user's own file, so they are not part of the verdict.
        Err(_) => "error".to_owned(),
    }
}

/// A response of the task metadata endpoint.
pub(crate) fn task_metadata(bytes: &[u8]) -> String {
    Identity::from_task_metadata(bytes).map_or_else(|error| wrong(&error), |_| "a task".to_owned())
}

/// The start of an id.
fn short(id: &str) -> String {
    id.chars().take(40).flat_map(char::escape_debug).collect()
}

/// An invocation of a Lambda function by the event source mapping.
pub(crate) fn records(bytes: &[u8]) -> String {
    let batch: Batch = match serde_json::from_slice(bytes) {
        Ok(batch) => batch,
        Err(error) => return wrong(&error),
    };
    let read = |(index, raw): (usize, &Box<_>)| match record::read(index, raw) {
        Ok(Read::Whole(message)) => {
            let body = message.body.chars().take(40).collect::<String>();
            let trace = message.trace.parent.as_deref().unwrap_or("-");
            format!("{}: {body:?}, receive {}, trace {}", short(&message.id), message.receives, short(trace))
        }
        Ok(Read::Strange { id, error }) => format!("{} goes back: {error}", short(&id)),
        Err(nameless) => wrong(&nameless),
    };
    batch.records.iter().enumerate().take(8).map(read).collect::<Vec<_>>().join("; ")
}

/// A body of the registry queue.
///
/// # Panics
///
/// If a task would be registered twice, or a stopped one with an address.
pub(crate) fn registry_message(bytes: &[u8]) -> String {
    // 2026-11-24 09:30:00 UTC.
    let seen = match registry::read(&String::from_utf8_lossy(bytes), 1_795_512_600_000) {
        Err(error) => return wrong(&error),
        Ok(RegistryMessage::Request(request)) => {
            return printable(&request.to_body(), REQUEST_CHARS_MAX);
        }
        Ok(RegistryMessage::Seen(seen)) => seen,
    };
    let row = Row::of(&seen);
    assert_eq!(registry::apply(Some(&row), &seen), Applied::Same);
    let state = row.state();
    assert!(!state.is_stopped() || state.containers.is_empty() && state.attachments.is_empty());
    let addresses = state.containers.iter().flat_map(|one| &one.interfaces).filter_map(|one| one.v4);
    let status = if row.is_running() { "runs" } else { "does not run" };
    format!(
        "{} version {} at {} {status}, {} containers, at {}",
        short(state.arn.rsplit('/').next().unwrap_or_default()),
        state.version,
        row.at(),
        state.containers.len(),
        addresses.take(4).map(|ip| ip.to_string()).collect::<Vec<_>>().join(" "),
    )
}

/// A response of a task: its status, the value of `Retry-After` and its text, one a line.
pub(crate) fn answer(bytes: &[u8]) -> String {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (status, retry_after, text) = (line(), line(), line());
    let Ok(status) = StatusCode::from_bytes(status) else { return "no status".to_owned() };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(retry_after)
        && !value.is_empty()
    {
        headers.insert(RETRY_AFTER, value);
    }
    // 2026-11-24 09:30:00 UTC.
    let now = UNIX_EPOCH + Duration::from_secs(1_795_512_600);
    let meaning = deliver::meaning(status, &headers, now);
    format!("{meaning:?}: {}", deliver::shown(text).unwrap_or_default())
}

/// A page of `DescribeInstances`.
pub(crate) fn ec2(bytes: &[u8]) -> String {
    let page = match ec2::response::page(bytes) {
        Err(error) => return wrong(&error),
        Ok(page) => page,
    };
    let either = |address: Option<String>| address.unwrap_or_else(|| "-".to_owned());
    let addresses = |address: &HostAddress| {
        let (v4, v6) = (address.v4.map(|v4| v4.to_string()), address.v6.map(|v6| v6.to_string()));
        format!("{} {}", either(v4), either(v6))
    };
    let instances: Vec<_> = page.instances.iter().take(8).map(|(_, address)| addresses(address)).collect();
    let next = if page.next.is_some() { "; more" } else { "" };
    format!("{}{next}", instances.join(", "))
}

/// A file of settings: `fine`, or every error.
///
/// # Panics
///
/// If this machine cannot write the file.
#[expect(clippy::expect_used, reason = "a temporary file of this machine")]
pub(crate) fn settings(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, bytes).expect("a temporary file");
    let (flags, environment) = (Flags::new(), Environment::default());
    let sources = Sources { flags: &flags, config: Some(&path), environment: &environment, needed: &[] };
    match Settings::load(sources) {
        Ok(_) => "fine".to_owned(),
        // The folder's name differs in each run.
        Err(errors) => errors.to_string().replace(&path.display().to_string(), "settings.toml"),
    }
}
