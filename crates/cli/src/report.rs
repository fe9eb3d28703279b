//! `report`: what became of a broadcast, out of the ledger.

use std::time::Duration;

use clap::Args;
use notifier::ledger::{Ledger, Recorded};
use notifier::report::Counts;
use notifier::settings::Environment;
use tokio::time::{Instant, sleep, timeout_at};
use wire::BroadcastId;

use crate::args::{ForLedger, Global, ProgressArgs, SettingFlags};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::progress::Looks;
use crate::{conclusion, context};

/// Between two looks at a broadcast that has not ended; a look that took long is followed by a longer pause.
const LOOK: Duration = Duration::from_secs(1);
/// How many times as long as the look itself the pause is at least: reading a large broadcast again and again costs.
const LOOK_SHARE: u32 = 5;

/// What became of a broadcast, container by container
///
/// Reads the ledger that the daemon, the functions or `send` wrote.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// The broadcast's id: what `publish` answered, and `history` lists
    #[arg(value_name = "BROADCAST", value_parser = id)]
    broadcast: BroadcastId,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    settings: SettingFlags<ForLedger>,
}

/// Whether to wait for the end of a broadcast, and what its end means.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Wait until the broadcast has ended, so many seconds at most [default with --wait: 600]
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "600",
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        help_heading = "Result"
    )]
    pub(crate) wait: Option<u64>,
    /// Containers that cannot be called do not make the exit code 1
    #[arg(long, help_heading = "Result")]
    pub(crate) allow_skips: bool,
}

const EXAMPLES: &str = "\
Examples:
  What became of a broadcast:
    ecs-task-notifier report 0197fb1c-… --ledger dynamodb:ecs-task-notifier

  In a CI job, five minutes at most:
    ecs-task-notifier report 0197fb1c-… --wait=300 --allow-skips

  Who was not told and what to do about it, for another program:
    ecs-task-notifier report 0197fb1c-… --format json | jq 'select(.advice) | {task, reason, advice}'

  How it goes meanwhile, for another program:
    ecs-task-notifier report 0197fb1c-… --wait --progress json 2> progress.jsonl

Exit codes:
  0  every opted-in container was told (delivered, or gone)
  1  some were not, or not yet
  2  wrong use or settings, or no such broadcast
  3  AWS, the network or this machine failed";

/// Reads an id from the command line.
pub(crate) fn id(text: &str) -> Result<BroadcastId, String> {
    BroadcastId::try_from(text.to_owned()).map_err(|error| error.to_string())
}

pub(crate) async fn run(
    global: &Global,
    args: ReportArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    console.show_progress(args.progress.progress);
    let ledger = context::only_ledger(global, &args.settings.flags, environment, console).await?;
    if args.wait.wait.is_none() && ledger.read(&args.broadcast).await?.is_none() {
        return Err(unknown(&args.broadcast));
    }
    conclude(&ledger, &args.broadcast, &args.wait, console).await
}

fn unknown(broadcast: &BroadcastId) -> Failure {
    Failure::usage(format!("the ledger knows no broadcast {broadcast}")).hint(
        "`ecs-task-notifier history` lists those that it knows; one that was just published may not have begun",
    )
}

/// Waits for the end of a broadcast if that is wanted, shows its report, and says what it means.
pub(crate) async fn conclude(
    ledger: &Ledger,
    broadcast: &BroadcastId,
    wait: &WaitArgs,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let found = match wait.wait {
        Some(seconds) => ended(ledger, broadcast, Duration::from_secs(seconds), console).await?,
        None => ledger.read(broadcast).await?,
    };
    let Some(Recorded { cancelled, report, is_complete, .. }) = found else {
        return Err(unknown(broadcast));
    };
    conclusion::show(&report, console)?;
    if let Some(cancel) = cancelled {
        let why = if cancel.reason.is_empty() { String::new() } else { format!(": {}", cancel.reason) };
        console.warn(&format!("the broadcast was cancelled{why}"));
    }
    let counts = report.counts();
    if !is_complete {
        let hint = "`--wait` waits for it; a delivery that stays like this may lie in the dead letters: \
                    `ecs-task-notifier redrive --dry-run` shows them";
        return Err(Failure::not_told("the broadcast has not ended").hint(hint));
    }
    if counts.all_told(wait.allow_skips) {
        return Ok(Exit::Done);
    }
    Err(Failure::not_told(conclusion::not_told(counts)).hint(advice(counts)))
}

/// What to do about those that were not told.
fn advice(counts: Counts) -> &'static str {
    match counts {
        Counts { failed: 0, rejected: 0, .. } => conclusion::ONLY_SKIPS,
        Counts { failed: 0, .. } => {
            "a task that rejects needs its Notify API or its labels mended; then `ecs-task-notifier redrive` \
             tries again whoever is still running"
        }
        _ => "`ecs-task-notifier redrive` tries again whoever is still running; `drop` gives them up",
    }
}

/// What is known of the broadcast when it has ended, or when the time is over.
async fn ended(
    ledger: &Ledger,
    broadcast: &BroadcastId,
    most: Duration,
    console: &mut Console,
) -> Result<Option<Recorded>, Failure> {
    let end = Instant::now() + most;
    let mut looks = Looks::default();
    let mut last = None;
    while let Ok(found) = timeout_at(end, look(ledger, broadcast)).await {
        let (found, pause) = found?;
        looks.tell(found.as_ref(), console);
        let is_complete = found.as_ref().is_some_and(|found| found.is_complete);
        last = found;
        if is_complete || timeout_at(end, sleep(pause)).await.is_err() {
            break;
        }
    }
    Ok(last)
}

/// One look, and how long to pause after it.
async fn look(ledger: &Ledger, broadcast: &BroadcastId) -> Result<(Option<Recorded>, Duration), Failure> {
    let started = Instant::now();
    let found = ledger.read(broadcast).await?;
    Ok((found, LOOK.max(started.elapsed() * LOOK_SHARE)))
}
