//! Errors of settings, with the name that the user wrote.

use std::fmt::{self, Display};

use super::table::{self, Setting};
use crate::base::url::UrlError;

/// One error of the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A value, a key or the file is wrong.
    #[error("{origin}: {problem}")]
    Wrong {
        /// Where it was set: a flag, a variable, or a key of the file.
        origin: String,
        /// What is wrong.
        problem: String,
    },
    /// An endpoint variable of AWS is wrong.
    #[error("{variable}: {problem}")]
    Endpoint {
        /// The variable.
        variable: String,
        /// What is wrong.
        problem: UrlError,
    },
    /// A required setting has no value.
    #[error("{} is not set, and neither is --{}{}", .0.variable(), .0.flag(), what_to_set(.0))]
    Missing(&'static Setting),
}

fn what_to_set(setting: &Setting) -> &'static str {
    if *setting == table::SIGNING_SECRET {
        "; make a key with `ecs-task-notifier keygen`, or use `none` for unsigned requests"
    } else {
        ""
    }
}

/// Says that a name is not a setting, and which setting is probably meant.
pub(super) fn unknown(likely: Option<impl Display>) -> String {
    let likely = likely.map(|name| format!("; did you mean {name}?"));
    format!("unknown setting{}", likely.unwrap_or_default())
}

/// All errors, in the order of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingErrors(pub Vec<SettingError>);

impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "a setting is wrong: {one}"),
            all => {
                write!(f, "{} settings are wrong", all.len())?;
                all.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
        }
    }
}

impl std::error::Error for SettingErrors {}
