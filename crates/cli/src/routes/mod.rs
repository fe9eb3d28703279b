//! `routes`: checks rules, and shows what they do with an event.

mod check;
mod load;
mod test;

use clap::{Args, Subcommand};
use notifier::base::Environment;

use crate::args::Global;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::log;

/// Check rules that turn events into broadcasts, and try them
///
/// docs/routes.md describes the rules.
#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct RoutesArgs {
    #[command(subcommand)]
    command: RoutesCommand,
}

#[derive(Debug, Subcommand)]
enum RoutesCommand {
    Check(check::RoutesCheckArgs),
    Test(test::RoutesTestArgs),
}

pub(crate) async fn run(
    global: &Global,
    args: RoutesArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    log::for_people(console);
    match args.command {
        RoutesCommand::Check(args) => check::run(global, args, environment, console).await,
        RoutesCommand::Test(args) => test::run(global, args, environment, console).await,
    }
}
