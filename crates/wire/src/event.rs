//! The event that a broadcast carries: a CloudEvent 1.0.2 in JSON.
//!
//! Whoever asks for a broadcast may leave most of it out ([`Draft`]); from the first stage on it is whole
//! ([`Event`]). `data` keeps its bytes from the sender to the task: it is never parsed into numbers that could lose
//! digits, nor written anew.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::id::{BroadcastId, IdError};

/// The `type` of an event whose sender named none.
pub const TYPE_DEFAULT: &str = "com.ecs-task-notifier.notify";
/// The `source` of an event whose sender named none.
pub const SOURCE_DEFAULT: &str = "ecs-task-notifier";
/// The most bytes of one attribute's text.
pub const ATTRIBUTE_BYTES_MAX: usize = 2048;
/// The most bytes of a whole event as JSON: what an SQS message holds, less room for what is said of one task.
pub const EVENT_BYTES_MAX: usize = crate::MESSAGE_BYTES_MAX - 64 * 1024;
/// The most characters of a name that an error repeats.
const SHOWN_CHARS_MAX: usize = 80;
/// Attributes that say whom an event is for: only the notifier sets them.
pub(crate) const AUDIENCE: [&str; 5] = ["deliveryid", "ecscluster", "ecscontainer", "ecsservice", "ecstask"];

/// What is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The `id` cannot be an id.
    #[error("event attribute `id`: {0}")]
    Id(#[from] IdError),
    /// An attribute's value breaks its rule.
    #[error("event attribute `{name}` {rule}")]
    Attribute {
        /// The attribute.
        name: String,
        /// What it must be, as the end of a sentence.
        rule: &'static str,
    },
    /// The whole event would not fit into the message for a task.
    #[error("the event has {bytes} bytes of JSON, but at most {max} reach a task", max = EVENT_BYTES_MAX)]
    TooLarge {
        /// The size of the event.
        bytes: usize,
    },
}

/// The payload of an event, exactly as its sender wrote it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Data(Box<RawValue>);

impl Data {
    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// Takes JSON text as a payload.
    ///
    /// # Errors
    ///
    /// When the text is not one JSON value.
    pub fn from_json(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

/// The value of an extension attribute. CloudEvents knows more types; in JSON all of them are one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Extension {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number of 32 bits.
    Integer(i32),
    /// Any other value.
    Text(String),
}

/// An event as its sender wrote it: everything may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// Tells this event from every other one; becomes the broadcast's id.
    pub id: Option<String>,
    /// What happened where, as a URI reference.
    pub source: Option<String>,
    /// What kind of thing happened.
    pub kind: Option<String>,
    /// When, in RFC 3339.
    pub time: Option<String>,
    /// What it happened to.
    pub subject: Option<String>,
    /// The media type of `data`; without it, JSON.
    pub datacontenttype: Option<String>,
    /// The schema of `data`, as a URI.
    pub dataschema: Option<String>,
    /// The payload.
    pub data: Option<Data>,
    /// Every other attribute.
    pub extensions: BTreeMap<String, Extension>,
}

/// A whole event: valid, with an id, a source, a type and a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    id: BroadcastId,
    source: String,
    kind: String,
    time: String,
    rest: Draft,
}

impl Draft {
    /// The whole event: what the sender left out is taken from `id`, `time` and the defaults.
    ///
    /// The caller passes what stays the same when the same message is handled again, so that a repeat is a repeat.
    ///
    /// # Errors
    ///
    /// The first attribute that breaks a rule of CloudEvents or of this contract.
    pub fn complete(mut self, id: &BroadcastId, time: OffsetDateTime) -> Result<Event, EventError> {
        let id = self.id.take().map(BroadcastId::try_from).transpose()?.unwrap_or_else(|| id.clone());
        let source = self.source.take().unwrap_or_else(|| SOURCE_DEFAULT.to_owned());
        let kind = self.kind.take().unwrap_or_else(|| TYPE_DEFAULT.to_owned());
        let time = match self.time.take() {
            Some(text) if OffsetDateTime::parse(&text, &Rfc3339).is_ok() => text,
            Some(_) => return Err(wrong("time", "must be a time as in RFC 3339, 2026-11-24T09:30:00Z")),
            None => time.format(&Rfc3339).map_err(|_| wrong("time", "is outside the years 0 to 9999"))?,
        };
        let text = |name: &str, value: &str, legal: fn(char) -> bool| match value {
            "" => Err(wrong(name, "must not be empty")),
            _ if value.len() > ATTRIBUTE_BYTES_MAX => Err(wrong(name, "is longer than 2048 bytes")),
            _ if !value.chars().all(legal) => Err(wrong(name, "has a character that is not allowed there")),
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
    /// The event's id, which is the broadcast's.
    #[must_use]
    pub fn id(&self) -> &BroadcastId {
        &self.id
    }

    /// What happened where.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What kind of thing happened.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// When, in RFC 3339.
    #[must_use]
    pub fn time(&self) -> &str {
        &self.time
    }

    /// What it happened to.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.rest.subject.as_deref()
    }

    /// The payload.
    #[must_use]
    pub fn data(&self) -> Option<&Data> {
        self.rest.data.as_ref()
    }

    /// The attributes that CloudEvents does not define.
    #[must_use]
    pub fn extensions(&self) -> &BTreeMap<String, Extension> {
        &self.rest.extensions
    }

    /// Writes the event's members into a JSON object that more members may follow.
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
    /// The event as somebody may send it again, with nothing left out.
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

    /// Takes the members of a JSON object apart.
    pub(crate) fn read(mut members: BTreeMap<String, Box<RawValue>>) -> Result<Self, ReadError> {
        if let Some(version) = text(&mut members, "specversion")?
            && version != "1.0"
        {
            return Err(ReadError::Version(shown(&version)));
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
        // `null` is how some writers say that an attribute is not there.
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
    #[error("event member `data_base64` is not supported: put the text into `data`")]
    Binary,
}

/// Takes the member out of the object; `null` is the same as not there.
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

/// A text from outside as an error may repeat it: printable, and not longer than a line.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect()
}

/// The rule of CloudEvents 1.0.2 for attribute names, and that nobody but the notifier says whom an event is for.
fn check_name(name: &str) -> Result<(), EventError> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Err(wrong(name, "must have a name of lower-case letters and digits"));
    }
    if name.len() > 64 {
        return Err(wrong(name, "has a name of more than 64 characters"));
    }
    if AUDIENCE.contains(&name) {
        return Err(wrong(name, "is set by the notifier itself"));
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
        draft.complete(&id, OffsetDateTime::UNIX_EPOCH).map_err(D::Error::custom)
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
