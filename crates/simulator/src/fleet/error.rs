//! Why a fleet cannot be simulated.

use std::fmt;

/// A fleet file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// The text is not TOML, or has an unknown or ill-typed field; the message points at it.
    #[error("the fleet file is not valid: {0}")]
    Toml(#[from] toml::de::Error),
    /// The file is well-formed and describes something that cannot be.
    #[error("the fleet is not valid: {}", join(.0))]
    Mistakes(Vec<Mistake>),
}

/// One thing wrong with a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, by name: `cluster prod, service checkout`.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

fn join(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
