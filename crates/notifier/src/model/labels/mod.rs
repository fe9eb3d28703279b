//! Which containers asked to be notified, read from the Docker labels of a task definition.
//!
//! Pure: no AWS types, no clock, no I/O. `aws::ecs` makes the input, `fleet` uses the output.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::num::NonZeroU16;
use std::sync::Arc;

use rustls::pki_types::DnsName;
use wire::{ContentMode, Labels, Method, Scheme};

use crate::base::text::quoted;

/// The label that names the container port. With [`PATH`] it opts a container in.
pub const PORT: &str = "NOTIFY_ME_CONTAINER_PORT";
/// The label that names the request path. With [`PORT`] it opts a container in.
pub const PATH: &str = "NOTIFY_ME_API_URI";
/// The optional label that chooses `http` or `https`.
pub const SCHEME: &str = "NOTIFY_ME_SCHEME";
/// The optional label that chooses `POST` or `GET`.
pub const METHOD: &str = "NOTIFY_ME_METHOD";
/// The optional label that chooses `structured` or `binary`.
pub const CONTENT_MODE: &str = "NOTIFY_ME_CONTENT_MODE";
/// The optional label with the DNS name of an `https` endpoint's certificate.
pub const SERVER_NAME: &str = "NOTIFY_ME_SERVER_NAME";

/// Prefix of all labels.
const PREFIX: &str = "NOTIFY_ME_";
/// Every label that is read.
const ALL: [&str; 6] = [PORT, PATH, SCHEME, METHOD, CONTENT_MODE, SERVER_NAME];
/// A name with at most this many edits to a label is a misspelt label.
const MISSPELT_EDITS_MAX: usize = 2;
/// The similarity, from 0.0 to 1.0, from which an unknown label gets a suggestion.
const LIKENESS_MIN: f64 = 0.5;

/// The most bytes of a path: common servers accept it in a request line.
pub const PATH_BYTES_MAX: usize = 2048;
/// The most bytes of a port: five digits, and room for leading zeros.
const PORT_BYTES_MAX: usize = 16;

/// The HTTP target of one container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Port inside the container. The host port differs per task and is found later.
    pub port: NonZeroU16,
    /// Absolute request path, with the query if there is one, for example `/v1.0/notify`.
    pub path: String,
    /// Plain or over TLS.
    pub scheme: Scheme,
    /// With the event as the body, or without a body.
    pub method: Method,
    /// How the event is written into the request.
    pub content_mode: ContentMode,
    /// The DNS name that the certificate must have; `None` means the address. It is not used to connect.
    pub server_name: Option<String>,
}

/// Why the labels of a container are not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum LabelError {
    /// A label that looks like one of these but is unknown.
    #[error("label `{name}` is unknown{}", suggestion(*.near))]
    Unknown { name: String, near: Option<&'static str> },
    /// A label that opts the container in is missing.
    #[error("label {found} is set, but {missing} is missing")]
    Half { found: &'static str, missing: &'static str },
    #[error("label {label}: `{value}` {rule}")]
    Value { label: &'static str, value: String, rule: String },
}

impl LabelError {
    fn value(label: &'static str, value: &str, rule: impl Into<String>) -> Self {
        Self::Value { label, value: quoted(value), rule: rule.into() }
    }
}

fn suggestion(near: Option<&str>) -> String {
    near.map_or_else(
        || format!("; the labels are {}", ALL.join(", ")),
        |near| format!("; did you mean {near}?"),
    )
}

/// The labels of a container that opted in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptIn {
    /// The two labels as written, empty if missing. A container with a misspelt label, or with only optional labels, has
    /// empty texts: its owner expects calls, so stage 2 reports it for each task.
    pub labels: Labels,
    /// The target, or why the labels are not valid. Endpoints of one revision share it.
    pub target: Result<Arc<Target>, LabelError>,
}

/// Reads one container's labels; `None` means the container did not opt in.
///
/// A text that is too long is cut just past its limit: it stays invalid, equal labels stay equal, and a queue message
/// with it stays small.
pub fn opt_in<S: BuildHasher>(labels: &HashMap<String, String, S>) -> Option<OptIn> {
    let target = target(labels).transpose()?.map(Arc::new);
    let text =
        |name, bytes_max| labels.get(name).map(|text| cut(text, bytes_max).to_owned()).unwrap_or_default();
    let labels = Labels::new(text(PORT, PORT_BYTES_MAX + 1), text(PATH, PATH_BYTES_MAX + 1));
    Some(OptIn { labels, target })
}

/// Cuts `text` to at most this many bytes, at a character boundary.
fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

/// The target that a container's labels name; `Ok(None)` means the container did not opt in.
///
/// # Errors
///
/// A container that opted in *wrongly* is an error, not a silent `None`: its owner expects calls.
pub fn target<S: BuildHasher>(labels: &HashMap<String, String, S>) -> Result<Option<Target>, LabelError> {
    // The first by name, so that the reason is always the same.
    let unknown = labels.keys().filter(|name| is_label(name) && !ALL.contains(&name.as_str())).min();
    if let Some(name) = unknown {
        return Err(LabelError::Unknown { name: quoted(name), near: near(name) });
    }
    let Some(found) = ALL.into_iter().find(|name| labels.contains_key(*name)) else { return Ok(None) };
    let wanted = |missing| labels.get(missing).ok_or(LabelError::Half { found, missing });
    let (port, path) = (wanted(PORT)?, wanted(PATH)?);
    check_path(path)?;
    let scheme = word(labels, SCHEME, [("http", Scheme::Http), ("https", Scheme::Https)])?;
    let server_name = labels.get(SERVER_NAME);
    server_name.map_or(Ok(()), |name| check_server_name(name, scheme))?;
    let modes = [("structured", ContentMode::Structured), ("binary", ContentMode::Binary)];
    Ok(Some(Target {
        port: self::port(port)?,
        path: path.clone(),
        scheme,
        method: word(labels, METHOD, [("POST", Method::Post), ("GET", Method::Get)])?,
        content_mode: word(labels, CONTENT_MODE, modes)?,
        server_name: server_name.cloned(),
    }))
}

/// What a label of two words means; without the label it is the first.
fn word<T, S: BuildHasher>(
    labels: &HashMap<String, String, S>,
    label: &'static str,
    [(first, default), (second, other)]: [(&str, T); 2],
) -> Result<T, LabelError> {
    match labels.get(label) {
        None => Ok(default),
        Some(word) if word == first => Ok(default),
        Some(word) if word == second => Ok(other),
        Some(word) => Err(LabelError::value(label, word, format!("is neither `{first}` nor `{second}`"))),
    }
}

/// Whether the name is one of these labels, correct or misspelt. All other labels mean nothing here.
pub fn is_label(name: &str) -> bool {
    let name = normal(name);
    name.starts_with(PREFIX)
        || ALL.iter().any(|known| {
            // The length is compared first, because the edit distance costs the product of both lengths.
            known.len().abs_diff(name.len()) <= MISSPELT_EDITS_MAX
                && strsim::osa_distance(known, &name) <= MISSPELT_EDITS_MAX
        })
}

/// The label that a misspelt name probably means.
fn near(name: &str) -> Option<&'static str> {
    let name = normal(cut(name, 2 * SERVER_NAME.len()));
    let likeness = |known: &str| {
        // The common prefix would make all labels similar, unless the prefix is misspelt.
        let (known, name) = match name.strip_prefix(PREFIX) {
            Some(name) => (known.strip_prefix(PREFIX).unwrap_or(known), name),
            None => (known, name.as_str()),
        };
        // `NOTIFY_ME_PORT` is NOTIFY_ME_CONTAINER_PORT without a word.
        let is_shortened = known.strip_suffix(name).is_some_and(|rest| rest.ends_with('_'));
        if is_shortened { 1.0 } else { strsim::normalized_damerau_levenshtein(known, name) }
    };
    let nearest = ALL.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    nearest.filter(|known| likeness(known) >= LIKENESS_MIN)
}

/// A name in the style of these labels.
fn normal(name: &str) -> String {
    name.to_ascii_uppercase().replace(['-', '.'], "_")
}

/// Digits only: `parse` would accept `+80`.
fn port(text: &str) -> Result<NonZeroU16, LabelError> {
    let digits = !text.is_empty() && text.len() <= PORT_BYTES_MAX && text.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| LabelError::value(PORT, text, "is not a port (1-65535)"))
}

/// Checks an untrusted request path: it must name a resource of the host that it is sent to.
///
/// # Errors
///
/// The violated rule. `@` and backslash are refused although RFC 3986 allows the first: some
/// clients and proxies interpret the text before them as a user name or a host.
pub fn check_path(path: &str) -> Result<(), LabelError> {
    let wrong = |rule: &str| Err(LabelError::value(PATH, path, rule));
    if !path.starts_with('/') {
        return wrong("does not start with `/`");
    }
    if path.starts_with("//") {
        return wrong("starts with `//`, which would name another host");
    }
    if path.len() > PATH_BYTES_MAX {
        return wrong("is longer than 2048 bytes");
    }
    match path.chars().find(|c| {
        !c.is_ascii_graphic() || matches!(c, '@' | '\\' | '#' | '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}')
    }) {
        Some('@') => wrong("has an `@`, which would name a user"),
        Some('\\') => wrong("has a backslash, which some servers read as `/`"),
        Some('#') => wrong("has a `#`, which is never sent to a server"),
        Some(_) => wrong("has a character that must be percent-encoded in a path"),
        None if !is_percent_encoded(path) => {
            wrong("has a `%` without two hexadecimal digits after it; a `%` itself is written `%25`")
        }
        None => Ok(()),
    }
}

/// Whether every `%` begins an encoded byte. Source: RFC 3986, section 2.1.
fn is_percent_encoded(path: &str) -> bool {
    let is_byte =
        |rest: &str| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    path.split('%').skip(1).all(is_byte)
}

/// Checks an untrusted server name for a certificate.
///
/// # Errors
///
/// The violated rule. A name without TLS is an error, because no certificate would be
/// checked.
pub fn check_server_name(name: &str, scheme: Scheme) -> Result<(), LabelError> {
    let wrong = |rule: &str| Err(LabelError::value(SERVER_NAME, name, rule));
    if scheme != Scheme::Https {
        return wrong("needs NOTIFY_ME_SCHEME to be `https`");
    }
    // No certificate has such a name, and clients treat it differently.
    let is_odd = name.ends_with('.') || name.contains('_');
    // `10.0.0.1` is made of legal labels.
    let is_address = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    let is_valid = DnsName::try_from(name).is_ok() && !is_odd && !is_address;
    if is_valid { Ok(()) } else { wrong("is not a DNS name") }
}

#[cfg(test)]
mod tests;
