//! `completions`: prints a shell's script to complete commands and flags.

use std::io::Write;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::console::Console;
use crate::failure::{Exit, Failure};

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell: bash, elvish, fish, powershell or zsh
    #[arg(value_enum, hide_possible_values = true)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  For bash, in this session:
    source <(ecs-task-notifier completions bash)

  For fish, permanently:
    ecs-task-notifier completions fish > ~/.config/fish/completions/ecs-task-notifier.fish";

/// Prints the completion script of `command`.
pub(crate) fn run(
    args: &CompletionsArgs,
    mut command: Command,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let name = command.get_name().to_owned();
    // Generated in memory first: clap_complete panics on a write error.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    console.out().write_all(&script).map_err(Failure::output)?;
    Ok(Exit::Done)
}
