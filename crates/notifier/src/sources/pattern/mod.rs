//! The event patterns of EventBridge.
//!
//! A pattern is parsed and checked once ([`Pattern::parse`]); then it is compared with events ([`Pattern::matches`]), or says
//! which field of an event does not match ([`Pattern::explain`]). Pure.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`json`] | JSON with the order of its members, which decides what `$or` means |
//! | `expand` | expands `$or` into alternatives, and checks the shape of the pattern |
//! | `condition` | the values and operators of one field: their grammar |
//! | `accept` | whether the conditions of a field accept a value |
//! | `compare` | the values of operators: numbers, texts without regard to case, wildcards, addresses |
//! | `walk` | compares an alternative with an event |
//! | `work` | counts steps, in tests |
//!
//! Sources: EventBridge User Guide, "Creating Amazon EventBridge event patterns" and "Comparison operators for use in event
//! patterns"; for all that these do not say, the behaviour of event-ruler, the library that EventBridge is built on. The
//! operators are exact values, `prefix`, `suffix`, `equals-ignore-case`, `wildcard`, `anything-but`, `numeric`, `exists`,
//! `cidr`, `exactly` and `$or`.
//!
//! # Rules that surprise
//!
//! - A field matches if *any* element of an array matches, also with `anything-but`. Conditions of one nested object must match
//!   within the same element of an array.
//! - `exists` asks for a leaf: `false` matches an object, an empty array and an empty object.
//! - A dot in a name separates names: `{"a.b": …}` is `{"a": {"b": …}}`, in patterns and in events.
//! - `$or` is expanded where it stands. A field inside and outside of it keeps the condition that is written last.
//! - `$or` with fewer than two objects, or with the name of an operator as a field, is an ordinary field.
//! - An exact value that is an IP address matches every text of that address.

mod accept;
mod compare;
mod condition;
mod error;
mod expand;
pub mod json;
mod walk;
mod work;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub use error::PatternError;
pub use walk::Mismatch;

use json::Json;
use walk::Conditions;

/// The largest pattern, in bytes of JSON. EventBridge allows 4,096 characters.
pub const PATTERN_BYTES_MAX: usize = 16 * 1024;
/// How deep a pattern may be nested.
pub const DEPTH_MAX: usize = 100;
/// The most alternatives that the `$or` of a pattern may stand for. EventBridge's own limit.
pub const ALTERNATIVES_MAX: usize = 1_000;
/// The most conditions of all alternatives together.
const LEAVES_MAX: usize = 50_000;

/// A valid event pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The pattern matches an event if one of these does.
    alternatives: Vec<Conditions>,
}

impl Pattern {
    /// Reads a pattern from JSON text, as it stands in an EventBridge rule.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::whole(format!(
                "the pattern has {} bytes, but at most {PATTERN_BYTES_MAX} are allowed",
                text.len()
            )));
        }
        Self::from_json(&serde_json::from_str(text).map_err(|error| PatternError::json(&error))?)
    }

    /// Reads a pattern from JSON.
    pub fn from_json(json: &Json) -> Result<Self, PatternError> {
        let alternatives = expand::alternatives(json)?;
        Ok(Self { alternatives: alternatives.iter().map(Conditions::new).collect() })
    }

    /// Whether the event matches.
    pub fn matches(&self, event: &Value) -> bool {
        let event = walk::undotted(event);
        self.alternatives.iter().any(|fields| fields.check(&event).is_ok())
    }

    /// Returns the first field that does not match; `None` if the event matches.
    ///
    /// Of several alternatives and of several elements of an array, the one with the most matching fields is described.
    pub fn explain(&self, event: &Value) -> Option<Mismatch> {
        let event = walk::undotted(event);
        let mut nearest: Option<walk::Miss<'_>> = None;
        for fields in &self.alternatives {
            let Err(miss) = fields.check(&event) else { return None };
            if nearest.as_ref().is_none_or(|nearest| miss.passed > nearest.passed) {
                nearest = Some(miss);
            }
        }
        nearest.map(Mismatch::from)
    }
}
