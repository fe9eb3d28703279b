//! The event that a broadcast carries: a CloudEvent 1.0.2 in JSON.
//!
//! The sender of a broadcast may omit every attribute ([`Draft`]). The first stage completes the event ([`Event`]).
//! `data` keeps its exact bytes from the sender to the task, so numbers lose no digits.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use serde::de::Error as _;
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::id::{BroadcastId, IdError};
use crate::rfc3339;

/// The `type` of an event whose sender set none.
pub const TYPE_DEFAULT: &str = "com.ecs-task-notifier.notify";
/// The `source` of an event whose sender set none.
pub const SOURCE_DEFAULT: &str = "ecs-task-notifier";
/// The maximum length of an attribute's text in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 2048;
/// The maximum size of an event as JSON in bytes: an SQS message, less room for the fields of one task.
pub const EVENT_BYTES_MAX: usize = crate::MESSAGE_BYTES_MAX - 64 * 1024;
/// The extension attribute that marks an event as a question, whose 2xx response is the answer: `true`.
pub const QUESTION: &str = "question";
/// The extension attribute with the time after which an event need not be handled. Source: CloudEvents, "Expiry Time".
pub const EXPIRY_TIME: &str = "expirytime";
/// How many characters of a name an error repeats.
const SHOWN_CHARS_MAX: usize = 80;
/// The attributes of the recipient, which only the notifier may set.
pub(crate) const AUDIENCE: [&str; 5] = ["deliveryid", "ecscluster", "ecscontainer", "ecsservice", "ecstask"];

/// Why an event is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The `id` is not a valid id.
    #[error("event attribute `id`: {0}")]
    Id(IdError),
    /// An attribute is invalid.
    #[error("event attribute `{name}` {rule}")]
    Attribute {
        /// The name of the attribute.
        name: String,
        /// The rule that it breaks, as the end of a sentence.
        rule: &'static str,
    },
    /// The event would not fit into the message for a task.
    #[error("the event has {bytes} bytes of JSON, but at most {max} are allowed", max = EVENT_BYTES_MAX)]
    TooLarge {
        /// The size of the event in bytes.
        bytes: usize,
    },
}

// Not `#[from]`: the message contains the cause, which would otherwise be shown twice.
impl From<IdError> for EventError {
    fn from(error: IdError) -> Self {
        Self::Id(error)
    }
}

/// The payload of an event: JSON text, exactly as the sender wrote it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Data(Box<RawValue>);

impl Data {
    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// Uses this JSON text as the payload.
    ///
    /// # Errors
    ///
    /// Fails if the text is not one JSON value.
    pub fn from_json(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

/// The value of an extension attribute. In JSON, every type of CloudEvents is one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Extension {
    /// `true` or `false`.
    Boolean(bool),
    /// A 32-bit integer.
    Integer(i32),
    /// Any other value.
    Text(String),
}

/// An event as its sender wrote it. Every attribute is optional.
///
/// ```
/// use std::time::SystemTime;
///
/// use ecs_task_notifier_wire::Draft;
///
/// let mut draft = Draft::new("com.example.cache.clear");
/// draft.subject = Some("prices".to_owned());
/// let event = draft.complete(&"release-42".parse()?, SystemTime::UNIX_EPOCH)?;
/// assert_eq!((event.id().as_str(), event.time()), ("release-42", "1970-01-01T00:00:00Z"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Draft {
    /// The unique id of the event, which becomes the id of the broadcast.
    pub id: Option<String>,
    /// `source`: where the event happened, as a URI reference.
    pub source: Option<String>,
    /// `type`: the kind of event, for example `com.example.cache.clear`.
    pub kind: Option<String>,
    /// When the event happened, in RFC 3339.
    pub time: Option<String>,
    /// What the event is about, within its source.
    pub subject: Option<String>,
    /// The media type of `data`. Default: JSON.
    pub datacontenttype: Option<String>,
    /// The schema of `data`, as a URI.
    pub dataschema: Option<String>,
    /// The payload.
    pub data: Option<Data>,
    /// All other attributes.
    pub extensions: BTreeMap<String, Extension>,
}

/// A complete and valid event, with an id, a source, a type and a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    id: BroadcastId,
    source: String,
    kind: String,
    time: String,
    rest: Draft,
}

impl Draft {
    /// A draft of this type, without any other attribute.
    #[must_use]
    pub fn new(kind: impl Into<String>) -> Self {
        Self { kind: Some(kind.into()), ..Self::default() }
    }

    /// Completes the event: missing attributes come from `id`, `time` and the defaults.
    ///
    /// `id` and `time` must be the same each time a message is handled, so that a repeat produces the same event.
    ///
    /// # Errors
    ///
    /// Returns the first attribute that breaks a rule of CloudEvents or of this contract.
    pub fn complete(mut self, id: &BroadcastId, time: impl Into<SystemTime>) -> Result<Event, EventError> {
        let id = self.id.take().map(BroadcastId::try_from).transpose()?.unwrap_or_else(|| id.clone());
        let source = self.source.take().unwrap_or_else(|| SOURCE_DEFAULT.to_owned());
        let kind = self.kind.take().unwrap_or_else(|| TYPE_DEFAULT.to_owned());
        let time = match self.time.take() {
            Some(text) if rfc3339::is_timestamp(&text) => text,
            Some(_) => {
                return Err(wrong("time", "must be a time in RFC 3339, for example 2026-11-24T09:30:00Z"));
            }
            None => {
                rfc3339::format(time.into()).ok_or_else(|| wrong("time", "is outside the years 0 to 9999"))?
            }
        };
        let text = |name: &str, value: &str, legal: fn(char) -> bool| match value {
            "" => Err(wrong(name, "must not be empty")),
            _ if value.len() > ATTRIBUTE_BYTES_MAX => Err(wrong(name, "is longer than 2048 bytes")),
            _ if !value.chars().all(legal) => Err(wrong(name, "contains a character that is not allowed")),
            _ => Ok(()),
        };
        text("source", &source, |c| c.is_ascii_graphic())?;
        text("type", &kind, |c| !c.is_control())?;
        for (name, value) in [
            ("subject", &self.subject),
            ("datacontenttype", &self.datacontenttype),
            ("dataschema", &self.dataschema),
        ] {
            value.as_deref().map_or(Ok(()), |value| text(name, value, |c| !c.is_control()))?;
        }
        for (name, value) in &self.extensions {
            check_name(name)?;
            if let Extension::Text(value) = value {
                text(name, value, |c| !c.is_control())?;
            }
        }
        let event = Event { id, source, kind, time, rest: self };
        match serde_json::to_string(&event).map_or(0, |json| json.len()) {
            bytes if bytes > EVENT_BYTES_MAX => Err(EventError::TooLarge { bytes }),
            _ => Ok(event),
        }
    }
}

impl Event {
    /// The id of the event, which is also the id of the broadcast.
    #[must_use]
    pub fn id(&self) -> &BroadcastId {
        &self.id
    }

    /// `source`: where the event happened.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// `type`: the kind of event.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// When the event happened, in RFC 3339.
    #[must_use]
    pub fn time(&self) -> &str {
        &self.time
    }

    /// What the event is about, within its source.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.rest.subject.as_deref()
    }

    /// The payload.
    #[must_use]
    pub fn data(&self) -> Option<&Data> {
        self.rest.data.as_ref()
    }

    /// The extension attributes: all that CloudEvents does not define.
    #[must_use]
    pub fn extensions(&self) -> &BTreeMap<String, Extension> {
        &self.rest.extensions
    }

    /// Whether it is a question: its sender waits for an answer in the body of the response.
    #[must_use]
    pub fn is_question(&self) -> bool {
        self.extensions().get(QUESTION) == Some(&Extension::Boolean(true))
    }

    /// The time after which it need not be handled, to the second; `None` without a valid one.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        match self.extensions().get(EXPIRY_TIME) {
            Some(Extension::Text(text)) => rfc3339::time(text),
            _ => None,
        }
    }

    /// Writes the members of the event into a JSON object. The caller may add more members.
    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("id", self.id.as_str())?;
        map.serialize_entry("source", &self.source)?;
        map.serialize_entry("type", &self.kind)?;
        map.serialize_entry("time", &self.time)?;
        self.rest.write(map)
    }
}

impl From<Event> for Draft {
    /// A draft with all attributes of the event, to send it again.
    fn from(Event { id, source, kind, time, rest }: Event) -> Self {
        Self { id: Some(id.into()), source: Some(source), kind: Some(kind), time: Some(time), ..rest }
    }
}

impl Draft {
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for (name, value) in [
            ("id", &self.id),
            ("source", &self.source),
            ("type", &self.kind),
            ("time", &self.time),
            ("subject", &self.subject),
            ("datacontenttype", &self.datacontenttype),
            ("dataschema", &self.dataschema),
        ] {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        for (name, value) in &self.extensions {
            map.serialize_entry(name, value)?;
        }
        self.data.as_ref().map_or(Ok(()), |data| map.serialize_entry("data", data))
    }

    /// Reads a draft from the members of a JSON object.
    pub(crate) fn read(mut members: BTreeMap<String, Box<RawValue>>) -> Result<Self, ReadError> {
        match text(&mut members, "specversion")?.as_deref() {
            None | Some("1.0") => {}
            Some(other) => return Err(ReadError::Version(shown(other))),
        }
        if members.contains_key("data_base64") {
            return Err(ReadError::Binary);
        }
        let draft = Self {
            id: text(&mut members, "id")?,
            source: text(&mut members, "source")?,
            kind: text(&mut members, "type")?,
            time: text(&mut members, "time")?,
            subject: text(&mut members, "subject")?,
            datacontenttype: text(&mut members, "datacontenttype")?,
            dataschema: text(&mut members, "dataschema")?,
            data: members.remove("data").map(Data),
            extensions: BTreeMap::new(),
        };
        // Some writers set a missing attribute to `null`.
        members.retain(|_, value| value.get() != "null");
        let extensions = members
            .into_iter()
            .map(|(name, value)| match serde_json::from_str(value.get()) {
                Ok(value) => Ok((name, value)),
                Err(_) => Err(ReadError::Member {
                    name: shown(&name),
                    expected: "text, a 32-bit integer or a boolean",
                }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { extensions, ..draft })
    }
}

/// Why a JSON object is not an event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("event member `{name}` must be {expected}")]
    Member { name: String, expected: &'static str },
    #[error("event member `specversion` must be `1.0`, not `{0}`")]
    Version(String),
    #[error("event member `data_base64` is not supported; use `data`")]
    Binary,
}

/// Removes the member from the object and returns its text. `null` counts as missing.
pub(crate) fn text(
    members: &mut BTreeMap<String, Box<RawValue>>,
    name: &str,
) -> Result<Option<String>, ReadError> {
    members.remove(name).map_or(Ok(None), |value| {
        serde_json::from_str(value.get())
            .map_err(|_| ReadError::Member { name: name.to_owned(), expected: "text" })
    })
}

fn wrong(name: &str, rule: &'static str) -> EventError {
    EventError::Attribute { name: shown(name), rule }
}

/// Escapes and shortens untrusted text for an error message.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect()
}

/// Whether an extension attribute may have this name: lower-case letters and digits, and not reserved for the notifier.
#[must_use]
pub fn is_extension_name(name: &str) -> bool {
    check_name(name).is_ok()
}

/// Checks an attribute name by the rules of CloudEvents 1.0.2. The attributes of the recipient are reserved.
fn check_name(name: &str) -> Result<(), EventError> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Err(wrong(name, "must have a name of lower-case letters and digits"));
    }
    if name.len() > 64 {
        return Err(wrong(name, "has a name of more than 64 characters"));
    }
    if AUDIENCE.contains(&name) {
        return Err(wrong(name, "is reserved: the notifier sets it"));
    }
    Ok(())
}

impl<'de> Deserialize<'de> for Draft {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(BTreeMap::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Draft {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.write(&mut map)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let draft = Draft::deserialize(deserializer)?;
        let Some(id) = draft.id.clone() else { return Err(D::Error::missing_field("id")) };
        if draft.time.is_none() {
            return Err(D::Error::missing_field("time"));
        }
        let id = BroadcastId::try_from(id).map_err(D::Error::custom)?;
        draft.complete(&id, SystemTime::UNIX_EPOCH).map_err(D::Error::custom)
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.write(&mut map).map_err(S::Error::custom)?;
        map.end()
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.kind)
    }
}

#[cfg(test)]
mod tests;
