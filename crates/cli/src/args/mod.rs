//! What the command line takes. Each subcommand's own arguments stand beside it; what several share stands here.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, where backticks would show")]

mod event;
mod scope;
mod settings;

use std::path::PathBuf;

use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub(crate) use event::EventArgs;
pub(crate) use scope::ScopeArgs;
pub(crate) use settings::{ForLedger, ForPlan, ForQueues, ForSend, ForServe, SettingFlags};

use crate::{
    cancel, check, completions, demo, history, keygen, plan, publish, redrive, report, send, serve, simulate,
};

/// Tells every running task of an ECS fleet something, and knows that each one heard.
///
/// A load balancer hands a request to one replica. ecs-task-notifier takes one event, finds every running task that
/// opted in with two Docker labels (`NOTIFY_ME_CONTAINER_PORT` and `NOTIFY_ME_API_URI`), calls each of them over HTTP,
/// and reports for every one: delivered, rejected, failed, gone, or skipped and why.
#[derive(Debug, Parser)]
#[command(
    name = "ecs-task-notifier",
    version,
    after_help = "`ecs-task-notifier demo` shows all of it on this machine, without an AWS account.",
    after_long_help = AFTER_HELP,
    disable_help_subcommand = true,
    max_term_width = 110
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
First steps:
  ecs-task-notifier demo                  all of it on this machine, without an AWS account
  ecs-task-notifier plan --cluster prod   who would be called, and who not and why; calls nobody
  ecs-task-notifier send --cluster prod   calls them, and reports

Exit codes:
  0  every opted-in container of the scope was told (delivered, or gone)
  1  some were not: failed, rejected, pending or skipped
  2  wrong use or settings
  3  AWS, the network or this machine failed

Results go to stdout, everything else to stderr. AWS's own settings (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, …) \
work as in every AWS tool.";

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

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArgs),
    Plan(plan::PlanArgs),
    Send(send::SendArgs),
    Publish(publish::PublishArgs),
    Serve(serve::ServeArgs),
    Report(report::ReportArgs),
    History(history::HistoryArgs),
    Cancel(cancel::CancelArgs),
    Redrive(redrive::RedriveArgs),
    Drop(redrive::DropArgs),
    Simulate(simulate::SimulateArgs),
    Check(check::CheckArgs),
    Keygen(keygen::KeygenArgs),
    Completions(completions::CompletionsArgs),
}

/// Reads the command line of this process; help and mistakes come back as an error that can be printed.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let mut command = Cli::command().color(help_color(std::env::args()));
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Help and mistakes are printed before the arguments are known, so `--color` is looked for beforehand.
fn help_color(arguments: impl Iterator<Item = String>) -> ColorChoice {
    let arguments: Vec<String> = arguments.take_while(|argument| argument != "--").collect();
    let asked = arguments.iter().zip(arguments.iter().skip(1).map(Some).chain([None]));
    let asked = asked.filter_map(|(argument, next)| match argument.strip_prefix("--color") {
        Some("") => next.map(String::as_str),
        Some(joined) => joined.strip_prefix('='),
        None => None,
    });
    match asked.last() {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests;
