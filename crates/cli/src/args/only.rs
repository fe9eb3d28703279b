//! A filter by outcome.

use clap::ValueEnum;
use notifier::model::{Delivery, Outcome};

/// Which containers of a report are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    Delivered,
    Rejected,
    Failed,
    Gone,
    Skipped,
    Pending,
    Untold,
}

impl Only {
    pub(crate) fn wants(self, entry: &Delivery) -> bool {
        match self {
            Self::Delivered => entry.outcome == Some(Outcome::Delivered),
            Self::Rejected => entry.outcome == Some(Outcome::Rejected),
            Self::Failed => entry.outcome == Some(Outcome::Failed),
            Self::Gone => entry.outcome == Some(Outcome::Gone),
            Self::Skipped => entry.outcome == Some(Outcome::Skipped),
            Self::Pending => entry.outcome.is_none(),
            Self::Untold => !entry.is_notified(),
        }
    }
}
