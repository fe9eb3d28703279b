//! Arguments that several subcommands share. Other arguments are in the module of their subcommand.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, where backticks would show")]

mod allow;
mod event;
mod late;
mod only;
mod pace;
mod progress;
pub(crate) mod scope;
mod settings;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(crate) use allow::AllowArgs;
pub(crate) use event::EventArgs;
pub(crate) use late::{LateArgs, key};
pub(crate) use only::Only;
pub(crate) use pace::PaceArgs;
pub(crate) use progress::{Progress, ProgressArgs};
pub(crate) use scope::{AudienceArgs, ScopeArgs, clusters, describe, describe_clusters, has_several, id};
pub(crate) use settings::{
    ForAsk, ForLedger, ForPlan, ForQueues, ForRoutes, ForSend, ForServe, SettingFlags,
};

/// Arguments of every subcommand.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Format of results: text, json or csv; of a report also html
    ///
    /// json writes one object per line and a final {"summary": …}; csv has the same columns and no summary.
    /// html is one file without scripts, for an incident ticket.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    pub(crate) format: Format,

    /// Colours: auto, always or never
    ///
    /// `auto` uses colours on a terminal, and respects NO_COLOR and CLICOLOR.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    pub(crate) color: Color,

    /// More output on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Only errors on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// TOML file of settings [default: NOTIFIER_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// AWS region [default: AWS_REGION, else the region of the profile]
    #[arg(long, global = true, value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// Profile of the AWS configuration files [default: AWS_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Endpoint for all AWS services, such as a simulator [default: AWS_ENDPOINT_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
}

/// Format of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables for people.
    #[default]
    Text,
    /// JSON Lines.
    Json,
    /// CSV with a header.
    Csv,
    /// A page in one file.
    Html,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Even in a pipe.
    Always,
    /// Never.
    Never,
}
