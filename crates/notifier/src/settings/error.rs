//! Errors of settings, with the name that the user wrote.

use std::fmt;
use std::path::PathBuf;

use super::table::Setting;
use crate::base::text::quoted;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line, with its dashes.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A key of the file.
    File {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// The default.
    Default(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File { path, key } => write!(f, "{} in {}", quoted(key), path.display()),
            Self::Default(name) => write!(f, "the default of {name}"),
        }
    }
}

/// One error of the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum SettingError {
    #[error("{origin}: `{value}` is not {expected}")]
    Value { origin: Origin, value: String, expected: String },
    /// A value is well-formed and cannot be used.
    #[error("{origin}: {problem}")]
    Unusable { origin: Origin, problem: String },
    #[error("{} is not set, and neither is --{}{}", .0.variable(), .0.flag(), what_to_set(.0))]
    Missing(&'static Setting),
    #[error("{origin}: unknown setting{}", did_you_mean(.likely.as_deref()))]
    Unknown { origin: Origin, likely: Option<String> },
    #[error("{origin}: {path} cannot be read: {problem}", path = .path.display())]
    File { origin: Origin, path: PathBuf, problem: String },
}

fn what_to_set(setting: &Setting) -> &'static str {
    if *setting == super::table::SIGNING_SECRET {
        "; make a key with `ecs-task-notifier keygen`, or use `none` for unsigned requests"
    } else {
        ""
    }
}

pub(super) fn did_you_mean(likely: Option<&str>) -> String {
    likely.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
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
