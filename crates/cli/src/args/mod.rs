//! Arguments that several subcommands share. Each one's own stand beside it; `command` puts all together.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, where backticks would show")]

mod allow;
mod event;
mod progress;
mod scope;
mod settings;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(crate) use allow::AllowArgs;
pub(crate) use event::EventArgs;
pub(crate) use progress::{Progress, ProgressArgs};
pub(crate) use scope::{AudienceArgs, ScopeArgs};
pub(crate) use settings::{ForLedger, ForPlan, ForQueues, ForSend, ForServe, SettingFlags};

/// What every subcommand takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// How results are written: text, json or csv
    ///
    /// json is one object a line and a closing {"summary": …}; csv has the same columns and no summary.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    pub(crate) format: Format,

    /// Whether to colour: auto, always or never
    ///
    /// `auto` colours a terminal, and honours NO_COLOR and CLICOLOR.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    pub(crate) color: Color,

    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Say nothing but errors on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// A TOML file of settings; else the one that NOTIFIER_CONFIG names
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The AWS region; else AWS_REGION or the profile's
    #[arg(long, global = true, value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// The profile of the AWS configuration files; else AWS_PROFILE
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// One endpoint for ECS, EC2 and SQS, such as a simulator's; else AWS_ENDPOINT_URL
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
    /// One row a line, with a header.
    Csv,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// Where a terminal shows it.
    #[default]
    Auto,
    /// Even in a pipe.
    Always,
    /// Not at all.
    Never,
}
