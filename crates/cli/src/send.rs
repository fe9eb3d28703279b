//! `send`: the three stages in one process, live progress, a report, an exit code.

use std::sync::{Arc, Mutex};

use clap::Args;
use notifier::base::Clock;
use notifier::base::Environment;
use notifier::deliver::Signing;
use notifier::model::Cause;
use notifier::model::Delivery;
use notifier::report::{BroadcastState, Counts, Report};
use notifier::settings::Settings;
use notifier::{Notifier, Parts};
use tokio_util::sync::CancellationToken;

use crate::args::{
    AllowArgs, AudienceArgs, EventArgs, ForSend, Global, ProgressArgs, ScopeArgs, SettingFlags,
};
use crate::console::Console;
use crate::failed_of::{self, Again, FailedOf};
use crate::failure::{Exit, Failure};
use crate::live::Live;
use crate::stop::Stop;
use crate::{conclusion, context, interrupt, log, place, progress, services};

/// Tell every running task of a scope, now, and report
///
/// Finds the fleet, calls every opted-in container over HTTP, retries what may still work, and reports for each one what
/// became of it. No queue is involved and nothing needs to be set up.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    audience: AudienceArgs,
    #[command(flatten)]
    event: EventArgs,
    #[command(flatten)]
    allow: AllowArgs,
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

  The latest broadcast again, only to the containers that it did not tell:
    ecs-task-notifier send --failed-of last --ledger dynamodb:ecs-task-notifier

  An event out of another program, the outcomes as CSV:
    jq -n '{type: \"com.example.ping\"}' |
      ecs-task-notifier send --cluster prod --event - --format csv

  What happens to each task as it happens, for another program; stdout is the report:
    ecs-task-notifier send --cluster prod --progress json 2> progress.jsonl

  In a CI job, where a slow task may take its time:
    ecs-task-notifier send --cluster prod --quiet --timeout-ms 10000 --attempts 5

Exit codes:
  0  every opted-in container was told (delivered, or gone)
  1  some were not, or Ctrl-C ended it early
  2  wrong use or settings
  3  AWS, the network or this machine failed";

pub(crate) async fn run(
    global: &Global,
    args: SendArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let SendArgs { audience, event, allow, progress: shown, settings: flags } = args;
    let scope = audience.scope();
    console.show_progress(shown.progress);
    let settings = context::settings(global, &flags.flags, &[], environment, console)?;
    let mut broadcast = event.broadcast(&Clock::system())?;
    log::for_people(console);
    let aws = context::aws(global, &settings).await?;
    context::scope_in_region(&aws, &scope.cluster, &scope.services)?;
    let (place, auth) = tokio::join!(
        place::describe(&aws, &scope.cluster, console),
        context::auth(&aws, &settings, environment)
    );
    let auth = auth?;
    warn_of_unsigned(&settings, console);
    let ledger = match audience.failed_of {
        None => context::ledger(&aws, &settings).await?,
        Some(_) => context::ledger_to_call_again(&aws, &settings).await?,
    };
    let again = match &audience.failed_of {
        None => None,
        Some(named) => {
            let again = match FailedOf::load(&ledger, named, &event, console).await? {
                Again::To(again) => again,
                Again::Nobody(counts) => {
                    conclusion::show(&FailedOf::nobody(named), console)?;
                    return failed_of::conclude(counts, allow, console);
                }
            };
            broadcast = again.broadcast.clone();
            Some(again)
        }
    };
    let state = Arc::new(Mutex::new(BroadcastState::new(broadcast.id.clone())));
    let stop = CancellationToken::new();
    let progress = progress::follow(&state, console)?;
    let parts = Parts { auth, ledger, progress: progress.clone(), stop: stop.clone(), ..Parts::default() };
    let notifier = Notifier::new(settings, aws.clone(), parts);
    let ctx = notifier.ctx();
    let described = match again {
        None => scope.describe(),
        Some(_) => "the containers that were not notified".to_owned(),
    };
    let signals = Stop::listen()?;
    console.say(&format!("broadcast {} to {described}{place}", broadcast.id));

    let live = Live::sending(console.talk(), Arc::clone(&state), aws.budget.clone(), stop.clone());
    let message = scope.message();
    let sending = async {
        match &again {
            None => notifier.send(&message, &broadcast).await,
            Some(again) => notifier.resend(&again.record, &again.recorded, &broadcast).await,
        }
    };
    let ended = interrupt::or_ended(Box::pin(sending), signals, &stop, &state);
    let ended = context::patiently(ended, &aws, console).await;
    live.finish().await;
    progress::finish(&progress).await;
    let (report, is_cut) = ended.report(&state, console)?;
    conclusion::show(&report, console)?;
    if is_cut {
        return Err(interrupt::failure(&report, ctx.ledger.is_kept()));
    }
    services::refuse_unknown(&unknown_services(&report), &scope.cluster, &ctx.discovery).await?;
    let hint = || hint(&report, &scope, ctx.ledger.is_kept());
    conclusion::judge(report.counts(), allow, &conclusion::no_labels(&described), hint, console)
}

fn warn_of_unsigned(settings: &Settings, console: &mut Console) {
    if settings.auth.signing == Signing::Undecided {
        console.warn(context::UNSIGNED);
    }
}

/// The services that were named and are not there: a mistake of the sender, even where skips are forgiven.
fn unknown_services(report: &Report) -> Vec<&str> {
    let unknown = |entry: &&Delivery| entry.cause == Some(Cause::NoSuchService);
    report.entries().iter().filter(unknown).map(|entry| entry.member.service.as_str()).collect()
}

/// What to do when some were not told.
fn hint(report: &Report, scope: &ScopeArgs, is_recorded: bool) -> String {
    let counts = report.counts();
    if counts.skipped + counts.notified() == counts.total() {
        return conclusion::ONLY_SKIPS.to_owned();
    }
    if is_recorded {
        let broadcast = report.broadcast();
        return format!("`ecs-task-notifier send --failed-of {broadcast}` tries them again, and nobody else");
    }
    let failed = |counts: Counts| counts.total() - counts.notified() - counts.skipped > 0;
    let services = report.services();
    let wrong: Vec<_> = services.iter().filter(|s| failed(s.counts)).map(|s| s.key.service).collect();
    // Tasks that no service started have a group with a colon instead of a service.
    match wrong.as_slice() {
        [one] if scope.services.len() != 1 && !one.contains(':') => {
            format!("the same command with only `--service {one}` tries just that service again")
        }
        _ => "the same command tries everybody again; with --ledger, `send --failed-of` tries only these"
            .to_owned(),
    }
}
