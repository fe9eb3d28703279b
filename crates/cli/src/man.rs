//! `man`: writes the manual pages of a release. Hidden, because only packaging needs it.

use std::path::PathBuf;

use clap::{Args, Command};

use crate::failure::{Exit, Failure};

/// Write a manual page for every subcommand
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// An existing directory for the pages
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the pages of `command` and of its visible subcommands, one file each.
pub(crate) fn run(args: &ManArgs, command: Command) -> Result<Exit, Failure> {
    clap_mangen::generate_to(command, &args.directory).map_err(|error| {
        Failure::usage(format!("cannot write manual pages into {}", args.directory.display())).because(&error)
    })?;
    Ok(Exit::Done)
}
