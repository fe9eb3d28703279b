//! `send`: the three stages in one process, live progress, a report, an exit code.

use std::sync::{Arc, Mutex};

use clap::Args;
use notifier::ambient::Clock;
use notifier::deliver::Signing;
use notifier::report::{Counts, Report, Tally};
use notifier::settings::Environment;

use crate::args::{EventArgs, ForSend, Global, ProgressArgs, ScopeArgs, SettingFlags};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::live::Live;
use crate::{conclusion, context, log, progress};

/// Tell every running task of a scope, now, and report
///
/// Finds the fleet, calls every opted-in container over HTTP, retries what may still work, and reports for each one what
/// became of it. No queue is involved and nothing needs to be set up.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    event: EventArgs,
    /// Containers that cannot be called do not make the exit code 1
    #[arg(long, help_heading = "Result")]
    allow_skips: bool,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    settings: SettingFlags<ForSend>,
}

const EXAMPLES: &str = "\
Examples:
  Tell a whole cluster:
    ecs-task-notifier send --cluster prod

  Tell two services something in particular:
    ecs-task-notifier send --cluster prod --service checkout --service search \\
      --type com.example.cache.clear --data '{\"keys\": [\"prices\"]}'

  An event out of another program, the outcomes as CSV:
    jq -n '{type: \"com.example.ping\"}' |
      ecs-task-notifier send --cluster prod --event - --format csv

  What happens to each task as it happens, for another program; stdout is the report:
    ecs-task-notifier send --cluster prod --progress json 2> progress.jsonl

  In a CI job, where a slow task may take its time:
    ecs-task-notifier send --cluster prod --quiet --timeout-ms 10000 --attempts 5

Exit codes:
  0  every opted-in container was told (delivered, or gone)
  1  some were not
  2  wrong use or settings
  3  AWS, the network or this machine failed";

pub(crate) async fn run(
    global: &Global,
    args: SendArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let SendArgs { scope, event, allow_skips, progress: shown, settings: flags } = args;
    console.show_progress(shown.progress);
    let settings = context::settings(global, &flags.flags, &[], environment, console)?;
    let broadcast = event.broadcast(&Clock::system())?;
    log::for_people(console);
    let aws = context::aws(global, &settings).await?;
    context::in_region(&aws, "cluster", &scope.cluster)?;
    let trust = context::trust(&aws, &settings, environment).await?;
    if settings.trust.signing == Signing::Undecided {
        console.warn(context::UNSIGNED);
    }
    let tally = Arc::new(Mutex::new(Tally::new(broadcast.id.clone())));
    let ledger = context::ledger(&aws, &settings).await?;
    let ctx = context::stages(&aws, &settings, ledger, trust, progress::follow(&tally, console));
    console.say(&format!("broadcast {} to {}", broadcast.id, scope.describe()));

    let live = Live::start(console.talk(), Arc::clone(&tally));
    let message = scope.message();
    let sending = notifier::direct::send(&ctx, &message, &broadcast, None);
    let report = context::patiently(sending, &aws, console).await;
    live.finish().await;
    let report = report?;
    conclusion::show(&report, console)?;
    conclude(&report, allow_skips, &scope, console)
}

/// The exit code of a report, or what was not told and what to do about it.
fn conclude(
    report: &Report,
    allow_skips: bool,
    scope: &ScopeArgs,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let counts = report.counts();
    if counts.total() == 0 {
        console
            .warn(&format!("nobody was told: no running container in {} has the labels", scope.describe()));
    }
    if counts.all_told(allow_skips) {
        return Ok(Exit::Done);
    }
    Err(Failure::not_told(conclusion::not_told(counts)).hint(hint(report, scope)))
}

/// What to do when some were not told.
fn hint(report: &Report, scope: &ScopeArgs) -> String {
    let counts = report.counts();
    if counts.skipped + counts.told() == counts.total() {
        return conclusion::ONLY_SKIPS.to_owned();
    }
    let failed = |counts: Counts| counts.total() - counts.told() - counts.skipped > 0;
    let services = report.services();
    let wrong: Vec<_> = services.iter().filter(|s| failed(s.counts)).map(|s| s.service).collect();
    // Tasks that no service started have a group with a colon instead of a service.
    match wrong.as_slice() {
        [one] if scope.services.len() != 1 && !one.contains(':') => {
            format!("the same command with only `--service {one}` tries just that service again")
        }
        _ => "the same command tries again; --attempts and --timeout-ms give the tasks more time".to_owned(),
    }
}
