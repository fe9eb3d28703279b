//! `continue`: ends the pause of a broadcast in waves, through the ledger.

use clap::Args;
use notifier::base::Environment;
use notifier::ledger::NoPause;
use notifier::store::Use;
use wire::BroadcastId;

use crate::args::{ForLedger, Global, SettingFlags, id};
use crate::console::Console;
use crate::context;
use crate::failure::{Exit, Failure};

/// End the pause of a broadcast in waves: the next wave begins
///
/// Writes to the ledger. `send` reads it each second; through the queues, a pause without an end is looked at each minute,
/// and one with an end at least every 15 minutes. A wave that has not ended is waited for all the same.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ContinueArgs {
    /// The broadcast's whole id
    #[arg(value_name = "BROADCAST", value_parser = id)]
    broadcast: BroadcastId,
    #[command(flatten)]
    settings: SettingFlags<ForLedger>,
}

const EXAMPLES: &str = "\
Examples:
  ecs-task-notifier continue 0197fb1c-… --ledger dynamodb:ecs-task-notifier";

pub(crate) async fn run(
    global: &Global,
    args: ContinueArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let ledger = context::only_ledger(global, &args.settings.flags, environment, Use::Read, console).await?;
    let broadcast = &args.broadcast;
    let Some(recorded) = ledger.read(broadcast).await? else {
        return Err(Failure::usage(format!("the ledger has no record of broadcast {broadcast}"))
            .hint("`ecs-task-notifier history` lists the broadcasts"));
    };
    let none =
        |why: NoPause| Failure::usage(format!("broadcast {broadcast} {why}, so there is no pause to end"));
    let pauses = recorded.pauses().map_err(none)?;
    for wave in &pauses {
        if ledger.continue_after(broadcast, *wave).await? {
            console.note(&format!("broadcast {broadcast} continues after wave {wave}"));
            return Ok(Exit::Done);
        }
    }
    let wave = pauses.last().copied().unwrap_or_default();
    console.note(&format!(
        "broadcast {broadcast} was continued after wave {wave} before; the next wave has not begun yet"
    ));
    Ok(Exit::Done)
}
