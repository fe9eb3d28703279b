//! Reading a request's members by their types.

use serde_json::Value;

use crate::error::AwsError;

use super::invalid;

/// The members of a request.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    members: &'a Value,
}

impl<'a> Input<'a> {
    pub(super) fn new(members: &'a Value) -> Self {
        Self { members }
    }

    /// A member that is there and not null.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(self, name: &str) -> Result<Option<&'a str>, AwsError> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| ill_typed(name, "a string"))).transpose()
    }

    pub(super) fn integer(self, name: &str) -> Result<Option<i64>, AwsError> {
        self.get(name).map(|value| value.as_i64().ok_or_else(|| ill_typed(name, "an integer"))).transpose()
    }

    /// A member with one of a few values.
    pub(super) fn one_of(self, name: &str, values: &[&str]) -> Result<Option<&'a str>, AwsError> {
        match self.text(name)? {
            Some(value) if !values.contains(&value) => {
                Err(invalid(format!("{name} must be one of {}, not {value}", values.join(", "))))
            }
            value => Ok(value),
        }
    }

    /// The list that a Describe call is about: 1 to `max` strings.
    pub(super) fn named(self, name: &str, max: usize) -> Result<Vec<&'a str>, AwsError> {
        let list = self.list(name)?.unwrap_or_default();
        if list.is_empty() {
            return Err(invalid(format!("{} cannot be empty.", capitalised(name))));
        }
        if list.len() > max {
            return Err(invalid(format!("{} cannot have more than {max} elements.", capitalised(name))));
        }
        Ok(list)
    }

    pub(super) fn list(self, name: &str) -> Result<Option<Vec<&'a str>>, AwsError> {
        let strings = |value: &'a Value| -> Option<Vec<&'a str>> {
            value.as_array()?.iter().map(Value::as_str).collect()
        };
        self.get(name)
            .map(|value| strings(value).ok_or_else(|| ill_typed(name, "a list of strings")))
            .transpose()
    }

    /// Everything but where the page is: two pages of one list agree on it.
    pub(super) fn without_paging(self) -> Vec<(&'a str, &'a Value)> {
        let members = self.members.as_object().into_iter().flatten();
        members
            .filter(|(name, _)| !matches!(name.as_str(), "nextToken" | "maxResults"))
            .map(|(name, value)| (name.as_str(), value))
            .collect()
    }
}

fn ill_typed(name: &str, expected: &str) -> AwsError {
    AwsError::client("SerializationException", format!("{name} is not {expected}"))
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
