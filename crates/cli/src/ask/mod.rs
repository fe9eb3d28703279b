//! `ask`: a question to every task of a scope, and what the fleet answers.
//!
//! `args` has the flags, `round` asks the fleet once; this module decides whether to ask again, and how it ended.

mod args;
mod round;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use notifier::aws::Aws;
use notifier::base::{Clock, Environment};
use notifier::deliver::Signing;
use notifier::ledger::Ledger;
use notifier::pipeline::ask::Asking;
use notifier::report::answers::Answers;
use notifier::settings::Settings;
use notifier::{Notifier, Parts};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use wire::{Broadcast, Draft};

use crate::args::{AllowArgs, EventArgs, ForAsk, Global, ProgressArgs, ScopeArgs, SettingFlags, describe};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::format::{count, digits};
use crate::stop::Stop;
use crate::{context, interrupt, log, place, summary};
use args::QuestionArgs;
pub(crate) use args::Show;
use round::{Asker, End};

/// Ask every running task of a scope a question, and compare the answers
///
/// Finds the fleet, calls every opted-in container over HTTP, and groups equal answers. Lists who answered, who said no, and
/// who was silent, with the reason. Needs no queue and no ledger.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    event: EventArgs,
    #[command(flatten)]
    question: QuestionArgs,
    #[command(flatten)]
    allow: AllowArgs,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    settings: SettingFlags<ForAsk>,
}

const EXAMPLES: &str = "\
Examples:
  Which version runs where:
    ecs-task-notifier ask --cluster prod --type com.example.status --pick /version

  The tasks whose answer differs from most:
    ecs-task-notifier ask --cluster prod --type com.example.status --pick /version --show outliers

  How full the queues are:
    ecs-task-notifier ask --cluster prod --service checkout \\
      --type com.example.status --pick /queue --show numbers

  After a deployment, wait until every task has the new version:
    ecs-task-notifier ask --cluster prod --service checkout \\
      --type com.example.status --pick /version --expect '\"v42\"' --wait 5m

  Each answer as a JSON line, for another program:
    ecs-task-notifier ask --cluster prod --type com.example.status --format json | jq -c .answer

Exit codes:
  0  every opted-in container answered and, if that is required, the answers agree
  1  some did not answer or do not agree, or Ctrl-C interrupted the question
  2  wrong use or settings
  3  AWS, the network or this machine failed";

/// Time limit at the end for the collector of traces.
const TRACES_FLUSH_MAX: Duration = Duration::from_secs(5);
/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(2);

pub(crate) async fn run(
    global: &Global,
    args: AskArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let AskArgs { scope, event, question, allow, progress: shown, settings: flags } = args;
    let scope = scope.message()?;
    if !event.names_type() {
        return Err(Failure::usage("a question needs a type of its own").hint(
            "--type com.example.status, for example: receivers tell by the type what is asked, and a notification must \
             not be repeated as a question",
        ));
    }
    console.show_progress(shown.progress);
    let mut settings = context::settings(global, &flags.flags, &[], environment, console)?;
    // One slow answer may take the whole time.
    settings.delivery.timeout = question.timeout;
    let first = event.broadcast(&Clock::system())?;
    log::for_people(console);
    let aws = context::aws(global, &settings).await?;
    context::scope_in_region(&aws, &scope)?;
    let (place, auth) =
        tokio::join!(place::of_scope(&aws, &scope, console), context::auth(&aws, &settings, environment));
    let auth = auth?;
    if settings.auth.signing == Signing::Undecided {
        console.warn(context::UNSIGNED);
    }
    let ledger = ledger(&aws, &settings, question.keep).await?;
    let traces = context::traces(&aws, &settings, environment).await?;
    let (stop, signals) = (CancellationToken::new(), Stop::listen()?);
    let mut asker = Asker::new(scope, question, stop.clone(), signals, console)?;
    let parts = Parts {
        auth,
        ledger,
        unrecorded: !asker.question.keep,
        progress: asker.progress.clone(),
        spans: traces.spans(),
        stop,
        ..Parts::default()
    };
    let notifier = Notifier::new(settings, aws.clone(), parts);
    let described = describe(&asker.scope);
    console.note(&format!("question {} to {described}{place}", first.id));
    let ended = until_agreed(&mut asker, &notifier, &aws, first, allow, console).await;
    traces.flush(TRACES_FLUSH_MAX).await;
    let (asking, rounds, end) = ended?;
    asker.show(&asking, rounds, console)?;
    let result = match end {
        End::Whole => {
            asker.refuse_unknown(&notifier).await?;
            judge(&asking.answers(), &asker.question, allow, &described, console)
        }
        End::Interrupted => Err(Failure::unsuccessful(interrupted(&asking.answers()))),
        End::Failed(error) => Err(error.into()),
    };
    interrupt::leave_at_the_next(asker.signals);
    result
}

/// Asks the fleet, and again until all have answered and agree or the time has ended, if that is asked for. Returns the
/// last round, the number of rounds if there may be several, and how the last one ended.
async fn until_agreed(
    asker: &mut Asker,
    notifier: &Notifier,
    aws: &Aws,
    first: Broadcast,
    allow: AllowArgs,
    console: &mut Console,
) -> Result<(Arc<Asking>, Option<usize>, End), Failure> {
    let end = asker.question.wait.map(|wait| Instant::now() + wait);
    let mut number = 1;
    loop {
        let event = if number == 1 { first.clone() } else { again(&first, number)? };
        let (asking, ended) = asker.ask(notifier, aws, event, console).await?;
        let rounds = end.is_some().then_some(number);
        let is_over = end.is_none_or(|end| Instant::now() + PAUSE >= end);
        let is_wanted = is_wanted(&asking.answers(), &asker.question, allow);
        if is_over || is_wanted || !matches!(ended, End::Whole) {
            return Ok((asking, rounds, ended));
        }
        let state = progress(&asking.answers());
        console.note(&format!("round {number}: {state}; asking again in {} s", PAUSE.as_secs()));
        asker.show_round(&asking, console)?;
        tokio::select! {
            () = sleep_until(Instant::now() + PAUSE) => {}
            _ = asker.signals.next() => return Ok((asking, rounds, End::Interrupted)),
        }
        number += 1;
    }
}

/// The question of a later round: receivers would ignore one with an id that they know.
fn again(first: &Broadcast, number: usize) -> Result<Broadcast, Failure> {
    let mut draft = Draft::from(first.event.clone());
    (draft.id, draft.time) = (Some(format!("{}-{number}", first.id)), None);
    let event = draft.complete(&first.id, Clock::system().now());
    let event = event.map_err(|error| Failure::usage(error.to_string()).because(&error))?;
    Ok(Broadcast::new(event))
}

/// The ledger for records, or only for what the installation shares.
async fn ledger(aws: &Aws, settings: &Settings, keeps: bool) -> Result<Ledger, Failure> {
    let ledger = context::ledger(aws, settings).await?;
    if keeps && !ledger.is_kept() {
        return Err(Failure::usage("--keep records the answers, but no ledger is set")
            .hint("--ledger dynamodb:TABLE or sqlite:PATH, or NOTIFIER_LEDGER"));
    }
    Ok(ledger)
}

/// Containers that should have answered and did not.
fn missing(answers: &Answers, allow: AllowArgs) -> usize {
    let counts = answers.counts();
    let forgiven = if allow.allow_skips { counts.skipped } else { 0 };
    counts.total() - counts.notified() - forgiven
}

/// Whether all have answered and, where it is required, agree.
fn is_wanted(answers: &Answers, question: &QuestionArgs, allow: AllowArgs) -> bool {
    let is_agreed = question.quorum().is_none_or(|quorum| answers.is_agreed(quorum));
    answers.counts().delivered > 0 && missing(answers, allow) == 0 && is_agreed
}

fn judge(
    answers: &Answers,
    question: &QuestionArgs,
    allow: AllowArgs,
    described: &str,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let counts = answers.counts();
    let missing = missing(answers, allow);
    if missing > 0 {
        let of = count(counts.total(), "container");
        let failure = Failure::unsuccessful(format!("{} of {of} did not answer", digits(missing)));
        return Err(if missing == counts.skipped { failure.hint(summary::ONLY_SKIPS) } else { failure });
    }
    if counts.delivered == 0 {
        let why = match counts.total() {
            0 => summary::no_labels(described),
            all => format!("{} could not be asked", count(all, "container")),
        };
        if allow.allow_empty {
            console.warn(&format!("no container answered: {why}"));
            return Ok(Exit::Done);
        }
        return Err(Failure::unsuccessful("no container answered").because_of(why).hint(
            "`ecs-task-notifier plan` shows the containers of a scope, and why they are not called; if none is expected, \
             use --allow-empty",
        ));
    }
    match question.quorum() {
        Some(quorum) if !answers.is_agreed(quorum) => {
            let (agreed, all) = (digits(answers.agreed()), count(counts.delivered, "answer"));
            Err(Failure::unsuccessful(format!("{agreed} of {all} agree, but {quorum} % have to"))
                .hint("`--show outliers` names the tasks of the others; `--wait 5m` asks until they agree"))
        }
        _ => Ok(Exit::Done),
    }
}

/// `12 of 20 containers answered, 10 agree`.
fn progress(answers: &Answers) -> String {
    let counts = answers.counts();
    let all = count(counts.total(), "container");
    format!("{} of {all} answered, {} agree", digits(counts.delivered), digits(answers.agreed()))
}

fn interrupted(answers: &Answers) -> String {
    format!("interrupted: {}", progress(answers))
}
