//! `report`: the outcomes of a broadcast, from the ledger.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use notifier::base::Environment;
use notifier::ledger::Ledger;
use notifier::model::Delivery;
use notifier::report::Counts;
use notifier::rollout::{Pause, Plan};
use wire::BroadcastId;

use crate::args::{
    AllowArgs, ForQueues, Format, Global, Only, ProgressArgs, SettingFlags, describe_clusters, id,
};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::page::feed::Snapshot;
use crate::page::query::Filter;
use crate::watch::{self, Seen, Watch};
use crate::{context, log, page, summary};

/// How many of the latest broadcasts are searched for `last` or for the beginning of an id.
const RECENT_MAX: usize = 1_000;
/// The fewest characters that count as the beginning of an id.
const PREFIX_CHARS_MIN: usize = 4;
/// Ids that are listed if several match.
const NAMED_MAX: usize = 5;

/// Show the outcome of each container of a broadcast
///
/// Reads the ledger that the daemon, the functions or `send` wrote. If the settings name the queues, it also searches
/// their dead letters: SQS moves messages there itself, without a record in the ledger.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// The broadcast's id, the beginning of it, or `last`
    #[arg(value_name = "BROADCAST", value_parser = id)]
    broadcast: BroadcastId,
    /// Only containers with this outcome: delivered, rejected, failed, gone, skipped, pending, or untold; repeat it for more
    ///
    /// `untold` means all but delivered and gone. Totals and the exit code still count all containers.
    #[arg(long, value_enum, value_name = "OUTCOME", hide_possible_values = true, help_heading = "Result")]
    only: Vec<Only>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    settings: SettingFlags<ForQueues>,
}

/// Whether to wait for the end of a broadcast, and which results exit code 0 accepts.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Wait for the end of the broadcast, for at most SECONDS [default with --wait: 600]
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
    #[command(flatten)]
    pub(crate) allow: AllowArgs,
}

const EXAMPLES: &str = "\
Examples:
  The outcomes of the latest broadcast:
    ecs-task-notifier report last --ledger dynamodb:ecs-task-notifier

  The containers that were not notified, of a broadcast whose id begins like this:
    ecs-task-notifier report 0197fb1c --only untold

  In a CI job, for at most five minutes:
    ecs-task-notifier report 0197fb1c-… --wait=300 --allow-skips

  The containers that were not notified and what to do about them, for another program:
    ecs-task-notifier report 0197fb1c-… --format json | jq 'select(.advice) | {task, reason, advice}'

  One HTML file for an incident ticket:
    ecs-task-notifier report last --format html > broadcast.html

  Progress as JSON lines, for another program:
    ecs-task-notifier report 0197fb1c-… --wait --progress json 2> progress.jsonl

Exit codes:
  0  every opted-in container was notified (delivered, or gone)
  1  some were not, or not yet
  2  wrong use or settings, or no such broadcast
  3  AWS, the network or this machine failed";

pub(crate) async fn run(
    global: &Global,
    args: ReportArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    console.show_progress(args.progress.progress);
    let settings = context::settings(global, &args.settings.flags, &[], environment, console)?;
    log::for_people(console);
    let aws = context::aws_of_ledger(global, &settings).await?;
    context::queues_in_region(&aws, &settings.queues)?;
    let ledger = context::kept_ledger(&aws, &settings).await?;
    let broadcast = resolve(&ledger, &args.broadcast, console).await?;
    let watch = Watch::new(&ledger, &aws, &settings);
    let Some(seen) = watch.see(&broadcast, args.wait.wait.map(Duration::from_secs), console).await? else {
        return Err(unknown(&broadcast));
    };
    let only = args.only;
    if console.format == Format::Html {
        show_file(&seen, only, console)?;
    } else {
        show(&seen, |entry| only.is_empty() || only.iter().any(|only| only.wants(entry)), console)?;
    }
    conclude(&seen, &broadcast, &args.wait, console)
}

/// The broadcast that the command line names: by its id, by the beginning of its id, or as `last`.
pub(crate) async fn resolve(
    ledger: &Ledger,
    named: &BroadcastId,
    console: &mut Console,
) -> Result<BroadcastId, Failure> {
    let text = named.as_str();
    let may_be_short = text == "last" || text.len() >= PREFIX_CHARS_MIN;
    if !may_be_short || ledger.asked(named).await?.is_some() {
        return Ok(named.clone());
    }
    let mut ids: Vec<BroadcastId> = Vec::new();
    for record in ledger.recent(RECENT_MAX).await? {
        if (text == "last" || record.id.as_str().starts_with(text)) && !ids.contains(&record.id) {
            ids.push(record.id);
        }
        if text == "last" && !ids.is_empty() {
            break;
        }
    }
    match ids.as_slice() {
        [] if text == "last" => Err(Failure::usage(
            "the ledger has no record of any broadcast, so there is no last one",
        )
        .hint(
            "--ledger or NOTIFIER_LEDGER must name the ledger that `send`, the daemon or the functions write",
        )),
        [] => Ok(named.clone()),
        [one] => {
            console.note(&format!("broadcast {one}"));
            Ok(one.clone())
        }
        many => {
            let some: Vec<_> = many.iter().take(NAMED_MAX).map(BroadcastId::as_str).collect();
            let more = if many.len() > NAMED_MAX { ", …" } else { "" };
            Err(Failure::usage(format!("the ids of {} broadcasts begin with {text}", many.len()))
                .hint(format!("give more characters of the id: {}{more}", some.join(", "))))
        }
    }
}

/// What to do if the ledger has no record of a broadcast.
pub(crate) const NO_RECORD: &str = "its message may still be on the observer queue (does the notifier run?) or in its dead letters \
    (`ecs-task-notifier redrive --stage services --dry-run`); `ecs-task-notifier history` lists the broadcasts that have begun";

pub(crate) fn unknown(broadcast: &BroadcastId) -> Failure {
    Failure::usage(format!("the ledger has no record of broadcast {broadcast}")).hint(NO_RECORD)
}

/// Shows the `wanted` containers of the report, with the totals of the whole report.
pub(crate) fn show(
    seen: &Seen,
    wanted: impl Fn(&Delivery) -> bool,
    console: &mut Console,
) -> Result<(), Failure> {
    summary::show_some(&seen.recorded.report, &seen.recorded.report.clone().only(wanted), console)
}

/// Writes the page of a broadcast as one file.
fn show_file(seen: &Seen, outcomes: Vec<Only>, console: &mut Console) -> Result<(), Failure> {
    let snapshot = Snapshot::new(seen.recorded.clone(), seen.silence.is_some(), Duration::ZERO);
    let page = page::view::broadcast::as_file(&snapshot, &Filter { outcomes, ..Filter::default() });
    write!(console.out(), "{page}").map_err(Failure::output)
}

/// The exit code or the error for the state of a broadcast.
pub(crate) fn conclude(
    seen: &Seen,
    broadcast: &BroadcastId,
    wait: &WaitArgs,
    console: &mut Console,
) -> Result<Exit, Failure> {
    if let Some(cancel) = &seen.recorded.cancelled {
        let why = if cancel.reason.is_empty() { String::new() } else { format!(": {}", cancel.reason) };
        console.warn(&format!("the broadcast was cancelled{why}"));
    }
    let counts = seen.recorded.report.counts();
    if let Some(stopped) = seen.recorded.stopped.as_ref().filter(|_| seen.recorded.is_complete) {
        return Err(summary::stopped(stopped, counts));
    }
    if !seen.recorded.is_complete {
        if seen.recorded.report.is_interrupted() {
            // The process that sent it has ended, so no more outcomes will follow.
            return Err(Failure::unsuccessful(summary::interrupted(counts)).hint(summary::go_on(broadcast)));
        }
        if seen.is_interrupted && seen.recorded.cancelled.is_none() {
            return Err(Failure::unsuccessful(summary::interrupted(counts)).hint(watch::goes_on(broadcast)));
        }
        return Err(not_ended(seen, broadcast, wait.wait));
    }
    let empty = match (&seen.recorded.cancelled, &seen.recorded.broadcast) {
        (Some(_), _) => "the broadcast was cancelled".to_owned(),
        (None, Some(record)) => summary::no_labels(&describe_clusters(&record.scope())),
        (None, None) => summary::no_labels("the scope of the broadcast"),
    };
    summary::judge(counts, wait.allow, &empty, || advice(counts, broadcast), console)
}

fn not_ended(seen: &Seen, broadcast: &BroadcastId, waited: Option<u64>) -> Failure {
    if let Some(silence) = seen.silence {
        let hours = silence.as_secs() / 3_600;
        return Failure::unsuccessful("the broadcast has not ended, and no further outcome is expected")
            .because_of(format!("nothing was recorded for {hours} h, which is longer than all attempts of a delivery take"))
            .hint(format!(
                "`ecs-task-notifier redrive --broadcast {broadcast}` sends its dead letters back to their queues, and \
                 `ecs-task-notifier send --failed-of {broadcast}` calls the containers that were not notified"
            ));
    }
    let failure = Failure::unsuccessful("the broadcast has not ended");
    if seen.recorded.cancelled.is_some() {
        return failure.hint("deliveries that are still on a queue will be skipped, if the notifier runs");
    }
    if is_paused(seen) {
        return failure.hint(format!(
            "`ecs-task-notifier continue {broadcast}` ends its pause, and `ecs-task-notifier cancel {broadcast}` the broadcast"
        ));
    }
    let wait = match waited {
        None => "`--wait` waits for the end".to_owned(),
        Some(seconds) => {
            format!("it waited {seconds} s; `--wait={}` waits longer", seconds.max(60) * 10)
        }
    };
    let dead_letters = if seen.is_compared {
        "no pending container is in the dead letters"
    } else {
        "set NOTIFIER_SERVICES_QUEUE_URL and NOTIFIER_TASKS_QUEUE_URL, and the report also shows the dead letters"
    };
    failure.hint(format!("{wait}; {dead_letters}"))
}

/// Whether somebody has to continue the broadcast.
fn is_paused(seen: &Seen) -> bool {
    let pace = seen.recorded.broadcast.as_ref().and_then(|record| record.pace.as_ref());
    let is_manual =
        pace.and_then(|pace| Plan::read(pace).ok()).is_some_and(|plan| plan.pause == Pause::Manual);
    is_manual && seen.recorded.pauses().is_ok()
}

/// What to do about the containers that were not notified.
fn advice(counts: Counts, broadcast: &BroadcastId) -> String {
    let redrive =
        format!("`ecs-task-notifier redrive --broadcast {broadcast}` retries the tasks that still run");
    match counts {
        Counts { failed: 0, rejected: 0, .. } => summary::ONLY_SKIPS.to_owned(),
        Counts { failed: 0, .. } => {
            format!("correct the Notify API or the labels of the tasks that reject; then {redrive}")
        }
        _ => format!("{redrive}; `drop` deletes their dead letters"),
    }
}
