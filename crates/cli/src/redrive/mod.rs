//! `redrive` and `drop`: dead letters back to work, or away for good.

mod line;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, ValueEnum};
use notifier::base::Environment;
use notifier::base::Rng;
use notifier::base::text;
use notifier::ledger::Ledger;
use notifier::model::Cause;
use notifier::pipeline::StageName;
use notifier::pipeline::redrive::{self, Action, Fate, Filter, RedriveError, SortedLetter, There};
use notifier::queue::Queue;
use notifier::settings::QueueUrls;

use crate::args::{ForQueues, Global, SettingFlags};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::units::{count, digits, task};
use crate::{context, log, report};

/// Send dead letters back to work
///
/// Their tasks are looked up again before they are called, and the outcomes join the broadcast's report. DeadLetterQueue that do
/// not match, and all of them in a dry run, are hidden from others for as long as this runs.
#[derive(Debug, Args)]
#[command(after_long_help = REDRIVE_EXAMPLES)]
pub(crate) struct RedriveArgs {
    #[command(flatten)]
    letters: LetterArgs,
    /// Only show what would be sent back
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingFlags<ForQueues>,
}

/// Delete dead letters that shall not come back
///
/// Without --yes it only shows what would be deleted. The report of a broadcast keeps the outcome, and says that its
/// letter was dropped and why.
#[derive(Debug, Args)]
#[command(after_long_help = DROP_EXAMPLES)]
pub(crate) struct DropArgs {
    #[command(flatten)]
    letters: LetterArgs,
    /// Why, for the report
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    /// Every letter, when nothing else says which
    #[arg(long)]
    all: bool,
    /// Really delete them
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    settings: SettingFlags<ForQueues>,
}

/// Which dead letters.
#[derive(Debug, Args)]
struct LetterArgs {
    /// Of which stage: services, tasks, notify or all
    #[arg(long, value_enum, default_value_t, value_name = "STAGE", hide_possible_values = true)]
    stage: Stage,
    /// Only those of this broadcast: its id, or with a ledger the beginning of it or `last`
    #[arg(long, value_name = "ID")]
    broadcast: Option<String>,
    /// Only those for this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only those that failed like this, in a word of the letter or of the report: rejected, timed-out, 503
    ///
    /// The outcome, cause and status of a report are known where a ledger is named.
    #[arg(long, value_name = "WORD")]
    code: Option<String>,
    /// Only those for this task: its ARN or the beginning of its id
    #[arg(long, value_name = "ARN")]
    task: Option<String>,
}

/// Names of one kind that are listed when nothing matched.
const NAMED_MAX: usize = 10;

const REDRIVE_EXAMPLES: &str = "\
Examples:
  See what would go back:
    ecs-task-notifier redrive --dry-run

  The failed calls of one service:
    ecs-task-notifier redrive --stage notify --service checkout --code failed

Exit codes:
  0  done, also when nothing matched
  1  some letters could not be moved
  2  wrong use or settings
  3  AWS, the network or this machine failed";

const DROP_EXAMPLES: &str = "\
Examples:
  See what would be deleted:
    ecs-task-notifier drop --code rejected --reason 'the endpoint was retired'

  Delete it:
    ecs-task-notifier drop --code rejected --reason 'the endpoint was retired' --yes

Exit codes:
  0  done, also when nothing matched
  1  some letters could not be deleted
  2  wrong use or settings
  3  AWS, the network or this machine failed";

/// Whose dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Of service discovery.
    Services,
    /// Of task discovery.
    Tasks,
    /// Of notify.
    Notify,
    /// Of every stage whose queue is named.
    #[default]
    All,
}

impl LetterArgs {
    fn filter(&self) -> Filter {
        let Self { broadcast, service, code, task, .. } = self;
        Filter {
            broadcast: broadcast.clone(),
            service: service.clone(),
            code: code.clone(),
            task: task.clone(),
        }
    }
}

pub(crate) async fn run(
    global: &Global,
    args: RedriveArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let action = if args.dry_run { Action::Look } else { Action::Redrive };
    sort(global, &args.letters, &action, &args.settings, environment, console).await
}

pub(crate) async fn drop(
    global: &Global,
    args: DropArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    if args.letters.filter() == Filter::default() && args.letters.stage == Stage::All && !args.all {
        return Err(Failure::usage("nothing says which letters to drop")
            .hint("narrow it with --stage, --broadcast, --service, --code or --task, or say --all"));
    }
    let action = if args.yes { Action::Drop { reason: args.reason } } else { Action::Look };
    let exit = sort(global, &args.letters, &action, &args.settings, environment, console).await?;
    if !args.yes {
        console.hint("nothing was deleted; the same command with --yes deletes these");
    }
    Ok(exit)
}

async fn sort(
    global: &Global,
    letters: &LetterArgs,
    action: &Action,
    flags: &SettingFlags<ForQueues>,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let settings = context::settings(global, &flags.flags, &[], environment, console)?;
    let queues = &settings.queues;
    let wanted =
        |stage, url: &Option<String>| url.clone().filter(|_| [stage, Stage::All].contains(&letters.stage));
    let [observer, services, tasks] = [
        wanted(Stage::Services, &queues.observer),
        wanted(Stage::Tasks, &queues.services),
        wanted(Stage::Notify, &queues.tasks),
    ];
    if observer.is_none() && services.is_none() && tasks.is_none() {
        return Err(Failure::usage("no queue is named").hint(
            "name it with NOTIFIER_OBSERVER_QUEUE_URL, NOTIFIER_SERVICES_QUEUE_URL or NOTIFIER_TASKS_QUEUE_URL",
        ));
    }
    log::for_people(console);
    let aws = context::aws(global, &settings).await?;
    context::queues_in_region(&aws, queues)?;
    let ledger = context::ledger_to_read(&aws, &settings).await?;
    let filter = filter(letters, &ledger, console).await?;
    warn_of_unnamed(letters.stage, queues, console);
    let sort = async |stage, url: Option<String>| {
        let Some(url) = url else { return Ok(None) };
        let queue = Queue::at(aws.sqs.clone(), url, Rng::from_entropy());
        redrive::sort(stage, queue, &filter, action, &ledger).await.map(|sorted| Some((stage, sorted)))
    };
    // At the same time: each mostly waits, to be sure that its queue has no more.
    let (services, tasks, notify) = tokio::join!(
        Box::pin(sort(StageName::Services, observer)),
        Box::pin(sort(StageName::Tasks, services)),
        Box::pin(sort(StageName::Notify, tasks)),
    );
    let (mut found, mut there, mut seen, mut failure) = (Vec::new(), There::default(), 0, None::<Failure>);
    for sorted in [services, tasks, notify] {
        match sorted {
            Ok(None) => {}
            Ok(Some((stage, sorted))) => {
                if sorted.is_cut {
                    let stage = stage.as_str();
                    console.warn(&format!("not every letter of stage {stage} was looked at; run it again"));
                }
                found.extend(sorted.found);
                there.merge(sorted.there);
                seen += sorted.seen;
                failure = failure.or(sorted.error.map(Failure::from));
            }
            Err(error) => failure = failure.or(Some(error.into())),
        }
    }
    // What was done is shown before what failed is told.
    if failure.is_none() || !found.is_empty() {
        line::show(&mut found, seen, console)?;
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    if !matches!(action, Action::Drop { .. }) {
        warn_of_cancelled(&found, &ledger, console).await;
    }
    if found.is_empty() && seen > 0 {
        recorded_services(&ledger, &filter, &mut there).await;
        return nothing_matched(&filter, &there, console);
    }
    let stayed = found.iter().filter(|one| matches!(one.fate, Fate::Stayed(_))).count();
    if stayed > 0 {
        return Err(Failure::not_told(format!("{} could not be moved", count(stayed, "letter"))));
    }
    Ok(Exit::Done)
}

/// What is looked for. The beginning of a broadcast's id means the one broadcast of the ledger that begins so.
async fn filter(letters: &LetterArgs, ledger: &Ledger, console: &mut Console) -> Result<Filter, Failure> {
    let mut filter = letters.filter();
    if let (true, Some(named)) = (ledger.is_kept(), &filter.broadcast)
        && let Ok(named) = report::id(named)
    {
        filter.broadcast = Some(report::resolve(ledger, &named, console).await?.to_string());
    }
    Ok(filter)
}

/// Names the stages whose dead letters were not looked at, so that an empty list is not mistaken for good news.
fn warn_of_unnamed(wanted: Stage, queues: &QueueUrls, console: &mut Console) {
    for (stage, url, setting) in [
        (Stage::Services, &queues.observer, "NOTIFIER_OBSERVER_QUEUE_URL"),
        (Stage::Tasks, &queues.services, "NOTIFIER_SERVICES_QUEUE_URL"),
        (Stage::Notify, &queues.tasks, "NOTIFIER_TASKS_QUEUE_URL"),
    ] {
        if url.is_none() && [stage, Stage::All].contains(&wanted) {
            let name = format!("{stage:?}").to_lowercase();
            console.warn(&format!(
                "the dead letters of stage {name} were not looked at: set {setting} to look at them"
            ));
        }
    }
}

/// Names the broadcasts that were cancelled: their letters go back, and nobody is called.
async fn warn_of_cancelled(found: &[SortedLetter], ledger: &Ledger, console: &mut Console) {
    let broadcasts: BTreeSet<&str> = found.iter().filter_map(|one| one.broadcast.as_deref()).collect();
    for broadcast in broadcasts.into_iter().filter_map(|id| report::id(id).ok()).take(NAMED_MAX) {
        // Without an answer there is no warning, and nothing worse.
        if let Ok(Some(_)) = ledger.cancelled(&broadcast).await {
            console.warn(&format!(
                "broadcast {broadcast} was cancelled: its letters call nobody, and their containers are skipped"
            ));
        }
    }
}

/// Adds the services of the letters' broadcasts that have no letter: their names are not mistaken.
async fn recorded_services(ledger: &Ledger, filter: &Filter, there: &mut There) {
    if filter.service.is_none() {
        return;
    }
    let broadcasts = there.broadcasts.keys().filter_map(|id| report::id(id).ok()).take(NAMED_MAX);
    for broadcast in broadcasts {
        // Without an answer a name may be taken for a mistake, and nothing worse.
        if let Ok(Some(recorded)) = ledger.read(&broadcast).await {
            for service in recorded.report.services() {
                there.services.entry(service.service.to_owned()).or_default();
            }
        }
    }
}

/// Lists what there is when nothing matched. A name that is close to one of those is a typing error.
fn nothing_matched(filter: &Filter, there: &There, console: &mut Console) -> Result<Exit, Failure> {
    let codes = Cause::ALL.map(|cause| (cause.as_str().to_owned(), 0));
    let all_codes: BTreeMap<String, usize> = codes.into_iter().chain(there.codes.clone()).collect();
    for (what, wanted, known) in
        [("service", &filter.service, &there.services), ("code", &filter.code, &all_codes)]
    {
        let Some(wanted) = wanted else { continue };
        let near = text::near(wanted, known.keys().map(String::as_str));
        if let (false, Some(near)) = (known.contains_key(wanted), near) {
            return Err(Failure::usage(format!("no letter has the {what} {wanted}"))
                .hint(format!("did you mean {near}?")));
        }
    }
    let list = |all: &BTreeMap<String, usize>| {
        let there = all.iter().filter(|(_, number)| **number > 0);
        let mut all: Vec<_> = there.map(|(name, number)| (Reverse(*number), name)).collect();
        all.sort();
        let more = if all.len() > NAMED_MAX { ", …" } else { "" };
        let some = all.iter().take(NAMED_MAX);
        let short = |name: &'_ String| {
            if name.starts_with("arn:") { task(name, false).to_owned() } else { name.clone() }
        };
        let some = some.map(|(Reverse(number), name)| format!("{} ({})", short(name), digits(*number)));
        format!("{}{more}", some.collect::<Vec<_>>().join(", "))
    };
    for (what, wanted, all) in [
        ("services", filter.service.is_some(), &there.services),
        ("tasks", filter.task.is_some(), &there.tasks),
        ("codes", filter.code.is_some(), &there.codes),
        ("broadcasts", filter.broadcast.is_some(), &there.broadcasts),
    ] {
        if wanted && all.values().all(|number| *number == 0) {
            console.say(&format!("the letters have no {what}"));
        } else if wanted {
            console.say(&format!("{what} that letters have: {}", list(all)));
        }
    }
    Ok(Exit::Done)
}

impl From<RedriveError> for Failure {
    fn from(error: RedriveError) -> Self {
        match error {
            RedriveError::Unknown(error) => error.into(),
            other => Self::usage(other.to_string()).hint("its redrive policy names none"),
        }
    }
}
