//! The flag for progress.

use clap::{Args, ValueEnum};

/// The flag for progress.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ProgressArgs {
    /// Progress on stderr: auto, json or none
    ///
    /// `auto` shows a live display on a terminal. `json` writes stderr as JSON lines, each with a `kind`: one line for
    /// each event of a container, at once. stdout has the report as usual.
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

/// Form of progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// A live display on a terminal.
    #[default]
    Auto,
    /// JSON lines.
    Json,
    /// No progress.
    None,
}
