//! Compares one alternative of a pattern with an event.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::DEPTH_MAX;
use super::error::SHOWN_CHARS_MAX;
use super::expand::{Alternative, Leaf};
use super::work;
use crate::base::text::printable;

/// The conditions of one object, and of the objects in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions(Vec<Field>);

/// The conditions of one name.
#[derive(Clone, Debug)]
struct Field {
    name: String,
    /// On its value.
    leaf: Option<Arc<Leaf>>,
    /// On the members of its value.
    members: Conditions,
}

/// The first field that does not match.
#[derive(Clone, Debug)]
pub(super) struct Miss<'a> {
    /// The number of fields that match.
    pub(super) passed: usize,
    leaf: &'a Leaf,
    found: Option<&'a Value>,
}

/// The first field of an event that does not match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The names down to the field, separated by dots.
    pub path: String,
    /// The conditions of the pattern as JSON, shortened.
    pub expected: String,
    /// The value of the event as JSON, shortened; `None` if there is none.
    pub found: Option<String>,
}

impl From<Miss<'_>> for Mismatch {
    fn from(miss: Miss<'_>) -> Self {
        Self {
            path: printable(&miss.leaf.names.join("."), SHOWN_CHARS_MAX),
            expected: printable(&miss.leaf.text, SHOWN_CHARS_MAX),
            found: miss.found.map(|value| printable(&value.to_string(), SHOWN_CHARS_MAX)),
        }
    }
}

impl Conditions {
    /// The conditions as a tree, in the order of the text.
    pub(super) fn new(alternative: &Alternative) -> Self {
        let mut leaves: Vec<_> = alternative.values().collect();
        leaves.sort_unstable_by_key(|leaf| leaf.place);
        let mut all = Self::default();
        for leaf in leaves {
            all.add(&leaf.names, leaf);
        }
        all
    }

    fn add(&mut self, names: &[String], leaf: &Arc<Leaf>) {
        let Some((name, deeper)) = names.split_first() else { return };
        // The text mostly lists the fields of one object together, so the last one is the likely one.
        let place = self.0.iter().rposition(|field| field.name == *name).unwrap_or_else(|| {
            self.0.push(Field { name: name.clone(), leaf: None, members: Self::default() });
            self.0.len() - 1
        });
        let Some(field) = self.0.get_mut(place) else { return };
        if deeper.is_empty() {
            field.leaf = Some(Arc::clone(leaf));
        } else {
            field.members.add(deeper, leaf);
        }
    }

    /// Compares an event; returns the number of fields that match, or the first one that does not.
    pub(super) fn check<'a>(&'a self, event: &'a Value) -> Result<usize, Miss<'a>> {
        self.check_object(event.as_object())
    }

    /// `None` stands for a value that is not an object: only `exists: false` accepts its fields.
    fn check_object<'a>(&'a self, object: Option<&'a Map<String, Value>>) -> Result<usize, Miss<'a>> {
        let mut passed = 0;
        for field in &self.0 {
            work::add(1);
            let value = object.and_then(|object| object.get(&field.name));
            if let Some(leaf) = &field.leaf {
                if !leaf.any_of.accepts_field(value) {
                    return Err(Miss { passed, leaf, found: value });
                }
                passed += 1;
            }
            if !field.members.0.is_empty() {
                match field.members.check_value(value) {
                    Ok(more) => passed += more,
                    Err(miss) => return Err(Miss { passed: passed + miss.passed, ..miss }),
                }
            }
        }
        Ok(passed)
    }

    /// Compares every object of a value: all fields must match within the same one.
    fn check_value<'a>(&'a self, value: Option<&'a Value>) -> Result<usize, Miss<'a>> {
        let mut nearest = None;
        match value.and_then(|value| self.first_match(value, &mut nearest)) {
            Some(passed) => Ok(passed),
            None => match nearest {
                Some(miss) => Err(miss),
                None => self.check_object(None),
            },
        }
    }

    /// Returns the result of the first object that matches, and keeps the nearest of the others.
    fn first_match<'a>(&'a self, value: &'a Value, nearest: &mut Option<Miss<'a>>) -> Option<usize> {
        match value {
            Value::Array(values) => values.iter().find_map(|value| self.first_match(value, nearest)),
            Value::Object(object) => match self.check_object(Some(object)) {
                Ok(passed) => Some(passed),
                Err(miss) => {
                    if nearest.as_ref().is_none_or(|nearest| miss.passed > nearest.passed) {
                        *nearest = Some(miss);
                    }
                    None
                }
            },
            _ => None,
        }
    }
}

/// The event with `{"a": {"b": …}}` in place of `{"a.b": …}`: EventBridge knows no difference between them.
pub(super) fn undotted(event: &Value) -> Cow<'_, Value> {
    if has_dots(event) { Cow::Owned(without_dots(event, 0)) } else { Cow::Borrowed(event) }
}

fn has_dots(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(has_dots),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('.') || has_dots(value)),
        _ => false,
    }
}

/// `depth` counts the objects that dots add, so that a name of thousands of dots stays one name.
fn without_dots(value: &Value, depth: usize) -> Value {
    match value {
        Value::Array(values) => values.iter().map(|value| without_dots(value, depth)).collect(),
        Value::Object(members) => {
            let mut all = Map::new();
            for (name, value) in members {
                let dots = name.matches('.').count();
                let value = without_dots(value, depth + dots);
                if dots == 0 || depth + dots > DEPTH_MAX {
                    put(&mut all, name, value);
                } else {
                    let (first, rest) = name.split_once('.').unwrap_or((name, ""));
                    put(&mut all, first, nested(rest, value));
                }
            }
            Value::Object(all)
        }
        scalar => scalar.clone(),
    }
}

fn nested(names: &str, value: Value) -> Value {
    names.rsplit('.').fold(value, |value, name| Value::Object(Map::from_iter([(name.to_owned(), value)])))
}

/// Adds a member. Two objects of one name become one object, other values become elements of one array.
fn put(members: &mut Map<String, Value>, name: &str, value: Value) {
    match (members.get_mut(name), value) {
        (None, value) => {
            members.insert(name.to_owned(), value);
        }
        (Some(Value::Object(present)), Value::Object(more)) => {
            more.into_iter().for_each(|(name, value)| put(present, &name, value));
        }
        // Not an array of arrays: thousands of names may stand for one path, and depth must stay limited.
        (Some(Value::Array(values)), value) => values.push(value),
        (Some(present), value) => *present = Value::Array(vec![present.take(), value]),
    }
}
