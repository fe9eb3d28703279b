//! `cancel`: ends a broadcast, through the ledger.

use clap::Args;
use notifier::base::Environment;
use notifier::ledger::Use;
use wire::BroadcastId;

use crate::args::{ForLedger, Global, SettingFlags};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::{context, report};

/// End a broadcast: whoever has not been called is not called any more
///
/// The daemon and the functions look at the ledger before they call, so it takes a second or two. Calls under way end by
/// themselves. In the report, whoever was not called is skipped, because the broadcast was cancelled.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CancelArgs {
    /// The broadcast's whole id
    #[arg(value_name = "BROADCAST", value_parser = report::id)]
    broadcast: BroadcastId,
    /// Why, for the report
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
    /// Cancel a broadcast that the ledger has no record of yet, so that it ends as soon as it begins
    #[arg(long)]
    before_it_begins: bool,
    #[command(flatten)]
    settings: SettingFlags<ForLedger>,
}

const EXAMPLES: &str = "\
Examples:
  ecs-task-notifier cancel 0197fb1c-… --reason 'wrong cache' --ledger dynamodb:ecs-task-notifier";

pub(crate) async fn run(
    global: &Global,
    args: CancelArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    // Who cancels what has not begun may be the first to write to the ledger.
    let purpose = if args.before_it_begins { Use::Call } else { Use::Read };
    let ledger = context::only_ledger(global, &args.settings.flags, environment, purpose, console).await?;
    // By its whole id alone: the beginning of one could end another broadcast.
    let broadcast = &args.broadcast;
    if ledger.read(broadcast).await?.is_none() {
        if !args.before_it_begins {
            let failure = Failure::usage(format!(
                "the ledger has no record of broadcast {broadcast}, so nothing was cancelled"
            ));
            return Err(failure.hint(
                "its message may still be on the observer queue: --before-it-begins cancels it there; \
                 `ecs-task-notifier history` lists the broadcasts that have begun",
            ));
        }
        console.warn(&format!("the ledger has no record of {broadcast} yet; if it begins, it ends at once"));
    }
    if ledger.cancel(broadcast, args.reason).await? {
        console.say(&format!(
            "broadcast {broadcast} is cancelled; `ecs-task-notifier report {broadcast}` shows who was told"
        ));
    } else {
        console.say(&format!("broadcast {broadcast} was cancelled before"));
    }
    Ok(Exit::Done)
}
