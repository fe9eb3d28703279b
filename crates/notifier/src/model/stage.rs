//! The stages of the pipeline by name.

/// One of the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageName {
    /// Stage 1, service discovery.
    Services,
    /// Stage 2, task discovery.
    Tasks,
    /// Stage 3, notify.
    Notify,
}

impl StageName {
    /// The stage's name in logs, errors and settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Tasks => "tasks",
            Self::Notify => "notify",
        }
    }
}
