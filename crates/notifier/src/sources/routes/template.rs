//! Makes the event of a broadcast from a record.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;
use serde_json::value::RawValue;
use wire::event::Extension;
use wire::{BroadcastId, Data, Draft};

use super::error::RouteError;
use crate::sources::cloudevents::CAUSATION;
use crate::sources::fields;
use crate::sources::record::Record;

/// The `event` of a rule. Attributes that it does not set are those of the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) kind: Option<String>,
    pub(super) source: Option<String>,
    pub(super) subject: Option<Subject>,
    pub(super) data: DataTemplate,
}

/// `event.subject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Text(String),
    Pointer(String),
}

/// `event.data`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum DataTemplate {
    /// The whole record.
    #[default]
    Whole,
    /// The value at a pointer.
    Pointer(String),
    /// An object of values at pointers.
    Object(BTreeMap<String, String>),
}

impl Template {
    /// Makes the event that rule `rule` sends with this id.
    pub(super) fn event(&self, rule: &str, id: &BroadcastId, record: &Record) -> Result<Draft, RouteError> {
        let given = &record.attributes;
        let mut draft = Draft::new(self.kind.clone().unwrap_or_else(|| given.kind.clone()));
        draft.id = Some(id.to_string());
        draft.source = Some(self.source.clone().unwrap_or_else(|| given.source.clone()));
        draft.time.clone_from(&given.time);
        draft.subject = match &self.subject {
            None => given.subject.clone(),
            Some(Subject::Text(text)) => Some(text.clone()),
            Some(Subject::Pointer(pointer)) => Some(subject(rule, pointer, record)?),
        };
        draft.data = Some(self.data.fill(rule, record)?);
        draft.extensions.clone_from(&given.extensions);
        let causation = fields::subject(&given.id).map(|id| (CAUSATION.to_owned(), Extension::Text(id)));
        draft.extensions.extend(causation);
        // The first stage sets the time of an event without one, so a time does not matter here.
        match draft.clone().complete(id, SystemTime::UNIX_EPOCH) {
            Ok(_) => Ok(draft),
            Err(error) => Err(RouteError::Event { rule: rule.to_owned(), error }),
        }
    }
}

fn subject(rule: &str, pointer: &str, record: &Record) -> Result<String, RouteError> {
    let value = record.value_at(pointer).ok_or_else(|| missing(rule, "event.subject", pointer))?;
    let text = match value {
        Value::String(text) => fields::subject(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    text.ok_or_else(|| RouteError::Subject { rule: rule.to_owned(), pointer: pointer.to_owned() })
}

impl DataTemplate {
    fn fill(&self, rule: &str, record: &Record) -> Result<Data, RouteError> {
        let at =
            |pointer: &str| record.at_pointer(pointer).ok_or_else(|| missing(rule, "event.data", pointer));
        let json = match self {
            Self::Whole => record.raw().get().to_owned(),
            Self::Pointer(pointer) => at(pointer)?.get().to_owned(),
            Self::Object(members) => {
                let found = members.iter().map(|(name, pointer)| Ok((name.as_str(), at(pointer)?)));
                let found: BTreeMap<&str, &RawValue> = found.collect::<Result<_, RouteError>>()?;
                serde_json::to_string(&found).unwrap_or_else(|_| "{}".to_owned())
            }
        };
        // The text is JSON already.
        Data::from_json(json).map_err(|_| missing(rule, "event.data", ""))
    }
}

fn missing(rule: &str, key: &'static str, pointer: &str) -> RouteError {
    RouteError::Pointer { rule: rule.to_owned(), key, pointer: pointer.to_owned() }
}
