//! `send`: runs the three stages in one process, with live progress, a report and an exit code.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Args;
use notifier::base::Clock;
use notifier::base::Environment;
use notifier::deliver::Signing;
use notifier::report::{BroadcastState, Counts, Report};
use notifier::settings::Settings;
use notifier::{Notifier, Parts};
use tokio_util::sync::CancellationToken;
use wire::ObserverMessage;

use crate::args::{
    AllowArgs, AudienceArgs, EventArgs, ForSend, Global, LateArgs, PaceArgs, ProgressArgs, SettingFlags,
    describe,
};
use crate::console::Console;
use crate::failed_of::{self, Again, FailedOf};
use crate::failure::{Exit, Failure};
use crate::live::Live;
use crate::stop::Stop;
use crate::{context, interrupt, log, place, progress, services, summary};

/// Notify every running task of a scope now, and report
///
/// Finds the fleet, calls every opted-in container over HTTP, retries temporary failures, and reports the outcome of each
/// container. Needs no queue and no set-up.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    audience: AudienceArgs,
    #[command(flatten)]
    event: EventArgs,
    #[command(flatten)]
    late: LateArgs,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    allow: AllowArgs,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    settings: SettingFlags<ForSend>,
}

const EXAMPLES: &str = "\
Examples:
  Notify a whole cluster:
    ecs-task-notifier send --cluster prod

  Notify two services, with an event of your own:
    ecs-task-notifier send --cluster prod --service checkout --service search \\
      --type com.example.cache.clear --data '{\"keys\": [\"prices\"]}'

  The latest broadcast again, only to the containers that it did not notify:
    ecs-task-notifier send --failed-of last --ledger dynamodb:ecs-task-notifier

  An event from another program, outcomes as CSV:
    jq -n '{type: \"com.example.ping\"}' |
      ecs-task-notifier send --cluster prod --event - --format csv

  During a deployment: also the tasks that start in the next ten minutes:
    ecs-task-notifier send --cluster prod --cover 10m --ledger dynamodb:ecs-task-notifier

  Carefully: one task of each service, then a tenth, then all; the first error stops it:
    ecs-task-notifier send --cluster prod --type com.example.config.reload --waves 1,10%,100% --pause 5m

  Progress of each task as JSON lines for another program, the report on stdout:
    ecs-task-notifier send --cluster prod --progress json 2> progress.jsonl

  In a CI job, with more time for slow tasks:
    ecs-task-notifier send --cluster prod --quiet --timeout-ms 10000 --attempts 5

Exit codes:
  0  every opted-in container was notified (delivered, or gone)
  1  some were not, or Ctrl-C interrupted the broadcast
  2  wrong use or settings
  3  AWS, the network or this machine failed";

/// Time limit at the end for the collector of traces.
const TRACES_FLUSH_MAX: Duration = Duration::from_secs(5);

pub(crate) async fn run(
    global: &Global,
    args: SendArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let SendArgs { audience, event, late, pace, allow, progress: shown, settings: flags } = args;
    let mut scope = audience.scope()?;
    late.apply(&mut scope);
    pace.apply(&mut scope)?;
    console.show_progress(shown.progress);
    let settings = context::settings(global, &flags.flags, &[], environment, console)?;
    let mut broadcast = event.broadcast(&Clock::system())?;
    log::for_people(console);
    let aws = context::aws(global, &settings).await?;
    context::scope_in_region(&aws, &scope)?;
    let (place, auth) =
        tokio::join!(place::of_scope(&aws, &scope, console), context::auth(&aws, &settings, environment));
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
                    summary::show(&FailedOf::empty_report(named), console)?;
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
    let traces = context::traces(&aws, &settings, environment).await?;
    let (spans, following) = (traces.spans(), progress.clone());
    let parts = Parts { auth, ledger, progress: following, spans, stop: stop.clone(), ..Parts::default() };
    let notifier = Notifier::new(settings, aws.clone(), parts);
    let ctx = notifier.ctx();
    let described = match again {
        None => describe(&scope),
        Some(_) => "the containers that were not notified".to_owned(),
    };
    let signals = Stop::listen()?;
    console.note(&format!("broadcast {} to {described}{place}", broadcast.id));

    let live = Live::sending(console.stderr(), Arc::clone(&state), aws.budget.clone(), stop.clone());
    let sending = async {
        match &again {
            None => notifier.send(&scope, &broadcast).await,
            Some(again) => notifier.resend(&again.record, &again.recorded, &broadcast).await,
        }
    };
    let ended = interrupt::or_ended(Box::pin(sending), signals, &stop, &state);
    let ended = context::patiently(ended, &aws, console).await;
    live.finish().await;
    tokio::join!(progress::finish(&progress), traces.flush(TRACES_FLUSH_MAX));
    let (report, is_cut) = ended.report(&state, console)?;
    summary::show(&report, console)?;
    if let Some(stopped) = report.stopped() {
        return Err(summary::stopped(stopped, report.counts()));
    }
    if is_cut {
        return Err(interrupt::failure(&report, ctx.ledger.is_kept()));
    }
    services::refuse_unknown(&services::unknown(report.entries().iter()), &scope, &ctx.discovery).await?;
    let hint = || hint(&report, &scope, ctx.ledger.is_kept());
    summary::judge(report.counts(), allow, &summary::no_labels(&described), hint, console)
}

fn warn_of_unsigned(settings: &Settings, console: &mut Console) {
    if settings.auth.signing == Signing::Undecided {
        console.warn(context::UNSIGNED);
    }
}

/// What to do if some containers were not notified.
fn hint(report: &Report, scope: &ObserverMessage, is_recorded: bool) -> String {
    let counts = report.counts();
    if counts.skipped + counts.notified() == counts.total() {
        return summary::ONLY_SKIPS.to_owned();
    }
    if is_recorded {
        let broadcast = report.broadcast();
        return format!("to retry only those containers: `ecs-task-notifier send --failed-of {broadcast}`");
    }
    let failed = |counts: Counts| counts.total() - counts.notified() - counts.skipped > 0;
    let services = report.services();
    let wrong: Vec<_> = services.iter().filter(|s| failed(s.counts)).map(|s| s.key.service).collect();
    // A standalone task has a group with a colon instead of a service.
    match wrong.as_slice() {
        [one] if scope.services.len() != 1 && !one.contains(':') => {
            format!("to retry only that service, repeat the command with `--service {one}`")
        }
        _ => "the same command calls every container again; with --ledger, `send --failed-of` retries only these"
            .to_owned(),
    }
}
