//! How progress is shown.

use clap::{Args, ValueEnum};

/// How progress is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ProgressArgs {
    /// How progress is shown on stderr: auto, json or none
    ///
    /// `auto` draws it on a terminal. `json` makes all of stderr JSON lines, each with its `kind`: what happens to each
    /// container, as it happens. stdout stays the report.
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "HOW",
        hide_possible_values = true,
        help_heading = "Result"
    )]
    pub(crate) progress: Progress,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// For people at a terminal.
    #[default]
    Auto,
    /// As JSON lines.
    Json,
    /// Not at all.
    None,
}
