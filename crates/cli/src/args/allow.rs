//! Flags that accept a broadcast which did not notify every container.

use clap::Args;

/// Results that exit code 0 accepts.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Result")]
pub(crate) struct AllowArgs {
    /// Skipped containers do not cause exit code 1
    #[arg(long)]
    pub(crate) allow_skips: bool,
    /// A broadcast that notified no container does not cause exit code 1
    ///
    /// Usually the scope or the labels are wrong: no running container opted in, or all were skipped.
    #[arg(long)]
    pub(crate) allow_empty: bool,
}
