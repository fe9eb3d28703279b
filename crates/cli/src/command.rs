//! The command line: all subcommands and the help.

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::args::Global;
use crate::{
    ask, cancel, check, completions, demo, go_on, health, history, keygen, man, page, plan, publish, redrive,
    report, retained, routes, send, serve, simulate,
};

/// Notifies every running task of an Amazon ECS fleet, and reports the outcome for each one.
///
/// A load balancer sends a request to one replica. ecs-task-notifier takes one event, finds every running task that
/// opted in with two Docker labels (`NOTIFY_ME_CONTAINER_PORT` and `NOTIFY_ME_API_URI`), calls each of them over HTTP,
/// and reports its outcome: delivered, rejected, failed, gone, or skipped and why.
#[derive(Debug, Parser)]
#[command(
    name = "ecs-task-notifier",
    version,
    after_help = "`ecs-task-notifier demo` runs a whole broadcast on this machine, without an AWS account.",
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
  ecs-task-notifier demo                  run a whole broadcast on this machine, without an AWS account
  ecs-task-notifier plan --cluster prod   show which containers `send` would call, and why not the others
  ecs-task-notifier send --cluster prod   call them, and report

Exit codes:
  0  every opted-in container of the scope was notified (delivered, or gone)
  1  some were not: failed, rejected, pending or skipped
  2  wrong use or settings
  3  AWS, the network or this machine failed

Results go to stdout, everything else to stderr. The settings of AWS (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, …) \
work as in every AWS tool.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArgs),
    Plan(plan::PlanArgs),
    Send(send::SendArgs),
    Ask(ask::AskArgs),
    Publish(publish::PublishArgs),
    Serve(serve::ServeArgs),
    Health(health::HealthArgs),
    Report(report::ReportArgs),
    History(history::HistoryArgs),
    Page(page::PageArgs),
    Cancel(cancel::CancelArgs),
    Continue(go_on::ContinueArgs),
    Retained(retained::RetainedArgs),
    Redrive(redrive::RedriveArgs),
    Drop(redrive::DropArgs),
    Simulate(simulate::SimulateArgs),
    Check(check::CheckArgs),
    Routes(routes::RoutesArgs),
    Keygen(keygen::KeygenArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// Reads the command line of this process. Help and usage errors are returned as an error to print.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let mut command = Cli::command().color(help_color(std::env::args()));
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Help and usage errors are printed before clap has parsed the arguments, so `--color` is searched for first.
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
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_colour_of_help_follows_the_flag_wherever_it_stands() {
        let of = |arguments: &[&str]| help_color(arguments.iter().map(|one| (*one).to_owned()));
        assert_eq!(of(&["send", "--color", "always", "--help"]), ColorChoice::Always);
        assert_eq!(of(&["--color=never", "--help"]), ColorChoice::Never);
        assert_eq!(of(&["--color=always", "--color", "never"]), ColorChoice::Never);
        assert_eq!(of(&["--help"]), ColorChoice::Auto);
        assert_eq!(of(&["--", "--color=never"]), ColorChoice::Auto);
    }
}
