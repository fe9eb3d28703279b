//! `cancel`: ends a broadcast, through the ledger.

use clap::Args;
use notifier::base::Environment;
use notifier::store::Use;
use wire::BroadcastId;

use crate::args::{ForLedger, Global, SettingFlags, id};
use crate::console::Console;
use crate::context;
use crate::failure::{Exit, Failure};

/// End a broadcast: containers that have not been called are not called any more
///
/// The daemon and the functions check the ledger before they call, so it takes effect after a second or two. Calls in
/// flight continue. The report shows the other containers as skipped.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CancelArgs {
    /// The broadcast's whole id
    #[arg(value_name = "BROADCAST", value_parser = id)]
    broadcast: BroadcastId,
    /// Reason, for the report
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
    /// Cancel a broadcast before the ledger has a record of it: it ends as soon as it begins
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
    // The cancellation of a broadcast that has not begun may be the first record of the ledger.
    let purpose = if args.before_it_begins { Use::Call } else { Use::Read };
    let ledger = context::only_ledger(global, &args.settings.flags, environment, purpose, console).await?;
    // Only the whole id: a beginning could match another broadcast.
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
        console.note(&format!(
            "broadcast {broadcast} is cancelled; `ecs-task-notifier report {broadcast}` shows the notified containers"
        ));
    } else {
        console.note(&format!("broadcast {broadcast} was cancelled before"));
    }
    Ok(Exit::Done)
}
