//! Flags that accept a broadcast which did not notify everybody.

use clap::Args;

/// What a broadcast may lack and still end with exit code 0.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Result")]
pub(crate) struct AllowArgs {
    /// Containers that cannot be called do not make the exit code 1
    #[arg(long)]
    pub(crate) allow_skips: bool,
    /// A broadcast that notified no container at all does not make the exit code 1
    ///
    /// Usually it is a mistake in the scope or the labels: no running container opted in, or all that did were skipped.
    #[arg(long)]
    pub(crate) allow_empty: bool,
}
