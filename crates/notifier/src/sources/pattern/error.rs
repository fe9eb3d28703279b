//! Why a text is not a pattern.

use crate::base::text::printable;

/// The most characters of a path or a value in an error.
pub(super) const SHOWN_CHARS_MAX: usize = 200;

/// Why a text is not a valid pattern: the field, as a path of names, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", prefix(.path))]
pub struct PatternError {
    /// The names down to the field, separated by dots; empty for the whole pattern.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// The line of the JSON text, if it is not JSON.
    pub line: Option<usize>,
    /// Whether a limit is exceeded. Such a pattern is refused however `$or` is read.
    pub(super) is_limit: bool,
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("`{path}`: ") }
}

impl PatternError {
    /// An error of this field.
    pub(super) fn at(path: &[String], problem: impl Into<String>) -> Self {
        let path = printable(&path.join("."), SHOWN_CHARS_MAX);
        Self { path, problem: problem.into(), line: None, is_limit: false }
    }

    /// An error of the whole pattern.
    pub(super) fn whole(problem: impl Into<String>) -> Self {
        Self::at(&[], problem)
    }

    /// A limit that is exceeded.
    pub(super) fn limit(problem: impl Into<String>) -> Self {
        Self { is_limit: true, ..Self::whole(problem) }
    }

    /// The text is not JSON.
    pub(super) fn json(error: &serde_json::Error) -> Self {
        let problem = printable(&format!("the pattern is not JSON: {error}"), SHOWN_CHARS_MAX);
        Self { line: Some(error.line()), ..Self::whole(problem) }
    }
}
