//! Mistakes in a rules file, and why a rule cannot make a request.

use std::fmt;

use wire::EventError;

/// One mistake in a rules file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The file, or where else the text came from.
    pub origin: String,
    /// The line, from 1.
    pub line: usize,
    /// The rule: its name, or its number if it has none.
    pub rule: Option<String>,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.origin, self.line)?;
        if let Some(rule) = &self.rule {
            write!(f, "rule {rule}: ")?;
        }
        f.write_str(&self.problem)
    }
}

/// All mistakes in a rules file, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutesError(pub Vec<RuleError>);

impl fmt::Display for RoutesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "the rules have an error: {one}"),
            all => {
                write!(f, "the rules have {} errors", all.len())?;
                all.iter().try_for_each(|error| write!(f, "\n  {error}"))
            }
        }
    }
}

impl std::error::Error for RoutesError {}

/// Why a rule that matches a record cannot make a request of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The record has no value at a pointer of the rule.
    #[error("rule `{rule}`: the record has nothing at `{pointer}` (`{key}`)")]
    Pointer {
        /// The name of the rule.
        rule: String,
        /// The key of the rule, for example `event.data`.
        key: &'static str,
        /// The pointer.
        pointer: String,
    },
    /// The value at a pointer cannot be the subject of an event.
    #[error(
        "rule `{rule}`: the value at `{pointer}` (`event.subject`) must be text or a number, of at most 2048 bytes"
    )]
    Subject {
        /// The name of the rule.
        rule: String,
        /// The pointer.
        pointer: String,
    },
    /// The event breaks a rule of CloudEvents, or is too large.
    #[error("rule `{rule}`: {error}")]
    Event {
        /// The name of the rule.
        rule: String,
        /// What is wrong with the event.
        error: EventError,
    },
}
