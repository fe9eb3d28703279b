//! `redrive` and `drop`: send dead letters back to their queues, or delete them.

mod line;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, ValueEnum};
use notifier::base::Environment;
use notifier::base::Rng;
use notifier::base::text;
use notifier::ledger::Ledger;
use notifier::model::Cause;
use notifier::pipeline::redrive::{self, Action, Filter, Inventory, LetterStatus, Match};
use notifier::pipeline::{STAGES, StageName};
use notifier::queue::{DeadLetterError, Queue};
use notifier::settings::{QueueUrls, table};

use crate::args::{ForQueues, Global, SettingFlags, id as broadcast_id};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::format::{count, digits, task};
use crate::{context, log, report};

/// Send dead letters back to their queues
///
/// Each task is looked up again before it is called, and its outcome joins the broadcast's report. Dead letters that do
/// not match, and all of them in a dry run, are invisible to other readers while this command runs.
#[derive(Debug, Args)]
#[command(after_long_help = REDRIVE_EXAMPLES)]
pub(crate) struct RedriveArgs {
    #[command(flatten)]
    letters: DeadLetterArgs,
    /// Only show what would be sent back
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingFlags<ForQueues>,
}

/// Delete dead letters for good
///
/// Without --yes, this command only shows what would be deleted. The report of a broadcast keeps the outcome and adds the
/// reason.
#[derive(Debug, Args)]
#[command(after_long_help = DROP_EXAMPLES)]
pub(crate) struct DropArgs {
    #[command(flatten)]
    letters: DeadLetterArgs,
    /// Reason, for the report
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    /// Select every dead letter
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
struct DeadLetterArgs {
    /// Only dead letters of this stage: services, tasks, notify or all
    #[arg(long, value_enum, default_value_t, value_name = "STAGE", hide_possible_values = true)]
    stage: Stage,
    /// Only dead letters of this broadcast: its id, or with a ledger also the beginning of its id, or `last`
    #[arg(long, value_name = "ID")]
    broadcast: Option<String>,
    /// Only dead letters for this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only dead letters with this code, or this outcome, cause or status in the report: rejected, timed-out, 503
    ///
    /// Outcome, cause and status need a ledger.
    #[arg(long, value_name = "WORD")]
    code: Option<String>,
    /// Only dead letters for this task: its ARN or the beginning of its id
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
  1  some dead letters could not be moved
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
  1  some dead letters could not be deleted
  2  wrong use or settings
  3  AWS, the network or this machine failed";

/// The stages whose dead letters are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Service discovery.
    Services,
    /// Task discovery.
    Tasks,
    /// Notify.
    Notify,
    /// The registry of tasks.
    Registry,
    /// Every stage whose queue is set.
    #[default]
    All,
}

impl Stage {
    fn includes(self, stage: StageName) -> bool {
        match self {
            Self::Services => stage == StageName::Services,
            Self::Tasks => stage == StageName::Tasks,
            Self::Notify => stage == StageName::Notify,
            Self::Registry => stage == StageName::Registry,
            Self::All => true,
        }
    }
}

impl DeadLetterArgs {
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
    let action = if args.dry_run { Action::List } else { Action::Redrive };
    run_with(global, &args.letters, &action, &args.settings, environment, console).await
}

pub(crate) async fn drop(
    global: &Global,
    args: DropArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    if args.letters.filter() == Filter::default() && args.letters.stage == Stage::All && !args.all {
        return Err(Failure::usage("no dead letters are selected").hint(
            "select some with --stage, --broadcast, --service, --code or --task, or every one with --all",
        ));
    }
    let action = if args.yes { Action::Drop { reason: args.reason } } else { Action::List };
    let exit = run_with(global, &args.letters, &action, &args.settings, environment, console).await?;
    if !args.yes {
        console.hint("nothing was deleted; add --yes to delete these dead letters");
    }
    Ok(exit)
}

async fn run_with(
    global: &Global,
    letters: &DeadLetterArgs,
    action: &Action,
    flags: &SettingFlags<ForQueues>,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let settings = context::settings(global, &flags.flags, &[], environment, console)?;
    let queues = &settings.queues;
    let url = |stage: StageName| queues.get(&stage.stage().source).filter(|_| letters.stage.includes(stage));
    if STAGES.iter().all(|stage| url(stage.name).is_none()) {
        return Err(Failure::usage("no queue is set").hint(
            "set NOTIFIER_OBSERVER_QUEUE_URL, NOTIFIER_SERVICES_QUEUE_URL or NOTIFIER_TASKS_QUEUE_URL",
        ));
    }
    log::for_people(console);
    let aws = context::aws(global, &settings).await?;
    context::queues_in_region(&aws, queues)?;
    let ledger = context::ledger_to_read(&aws, &settings).await?;
    let filter = filter(letters, &ledger, console).await?;
    warn_of_unnamed(letters.stage, queues, console);
    let run = async |stage| {
        let Some(url) = url(stage) else { return Ok(None) };
        let queue = Queue::at(aws.sqs.clone(), url, Rng::from_entropy());
        redrive::run(stage, queue, &filter, action, &ledger).await.map(|redrive| Some((stage, redrive)))
    };
    // At the same time: each mostly waits, to be sure that its queue has no more messages.
    let (services, tasks, notify, registry) = tokio::join!(
        Box::pin(run(StageName::Services)),
        Box::pin(run(StageName::Tasks)),
        Box::pin(run(StageName::Notify)),
        Box::pin(run(StageName::Registry)),
    );
    let (mut found, mut inventory, mut seen, mut failure) =
        (Vec::new(), Inventory::default(), 0, None::<Failure>);
    for redrive in [services, tasks, notify, registry] {
        match redrive {
            Ok(None) => {}
            Ok(Some((stage, redrive))) => {
                if redrive.is_cut {
                    let stage = stage.as_str();
                    console.warn(&format!(
                        "not all dead letters of stage {stage} were read; run the command again"
                    ));
                }
                found.extend(redrive.found);
                inventory.merge(redrive.inventory);
                seen += redrive.seen;
                failure = failure.or(redrive.error.map(Failure::from));
            }
            Err(error) => failure = failure.or(Some(error.into())),
        }
    }
    // Results come before errors.
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
        recorded_services(&ledger, &filter, &mut inventory).await;
        return nothing_matched(&filter, &inventory, console);
    }
    let failed = found.iter().filter(|one| matches!(one.status, LetterStatus::Failed(_))).count();
    if failed > 0 {
        return Err(Failure::unsuccessful(format!("{} could not be moved", count(failed, "dead letter"))));
    }
    Ok(Exit::Done)
}

/// The filter that the flags name, with the full id of a broadcast whose beginning was given.
async fn filter(letters: &DeadLetterArgs, ledger: &Ledger, console: &mut Console) -> Result<Filter, Failure> {
    let mut filter = letters.filter();
    if let (true, Some(named)) = (ledger.is_kept(), &filter.broadcast)
        && let Ok(named) = broadcast_id(named)
    {
        filter.broadcast = Some(report::resolve(ledger, &named, console).await?.to_string());
    }
    Ok(filter)
}

/// Warns about stages whose dead letters are not read, so that an empty list is not misleading.
fn warn_of_unnamed(wanted: Stage, queues: &QueueUrls, console: &mut Console) {
    for stage in &STAGES {
        let is_named = wanted != Stage::All || !stage.is_optional;
        if is_named && wanted.includes(stage.name) && !queues.contains_key(&stage.source) {
            let (name, setting) = (stage.name, table::queue(stage.source).variable());
            console.warn(&format!(
                "the dead letters of stage {name} are not read, because {setting} is not set"
            ));
        }
    }
}

/// Warns about cancelled broadcasts: their dead letters are sent back, but no container is called.
async fn warn_of_cancelled(found: &[Match], ledger: &Ledger, console: &mut Console) {
    let broadcasts: BTreeSet<&str> = found.iter().filter_map(|one| one.letter.broadcast.as_deref()).collect();
    for broadcast in broadcasts.into_iter().filter_map(|id| broadcast_id(id).ok()).take(NAMED_MAX) {
        // An unavailable ledger only costs the warning.
        if let Ok(Some(_)) = ledger.cancelled(&broadcast).await {
            console.warn(&format!(
                "broadcast {broadcast} was cancelled: its containers are not called, but skipped"
            ));
        }
    }
}

/// Adds the services of these broadcasts that have no dead letter: their names are no typing errors.
async fn recorded_services(ledger: &Ledger, filter: &Filter, inventory: &mut Inventory) {
    if filter.service.is_none() {
        return;
    }
    let broadcasts = inventory.broadcasts.keys().filter_map(|id| broadcast_id(id).ok()).take(NAMED_MAX);
    for broadcast in broadcasts {
        // An unavailable ledger only makes a correct name look like a typing error.
        if let Ok(Some(recorded)) = ledger.read(&broadcast).await {
            for service in recorded.report.services() {
                inventory.services.entry(service.key.service.to_owned()).or_default();
            }
        }
    }
}

/// Lists the values that would match when nothing did. A name that is similar to one of these is a typing error.
fn nothing_matched(filter: &Filter, inventory: &Inventory, console: &mut Console) -> Result<Exit, Failure> {
    let codes = Cause::ALL.map(|cause| (cause.as_str().to_owned(), 0));
    let all_codes: BTreeMap<String, usize> = codes.into_iter().chain(inventory.codes.clone()).collect();
    for (what, wanted, known) in
        [("service", &filter.service, &inventory.services), ("code", &filter.code, &all_codes)]
    {
        let Some(wanted) = wanted else { continue };
        let near = text::near(wanted, known.keys().map(String::as_str));
        if let (false, Some(near)) = (known.contains_key(wanted), near) {
            return Err(Failure::usage(format!("no dead letter has the {what} {wanted}"))
                .hint(format!("did you mean {near}?")));
        }
    }
    let list = |all: &BTreeMap<String, usize>| {
        let present = all.iter().filter(|(_, number)| **number > 0);
        let mut all: Vec<_> = present.map(|(name, number)| (Reverse(*number), name)).collect();
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
        ("services", filter.service.is_some(), &inventory.services),
        ("tasks", filter.task.is_some(), &inventory.tasks),
        ("codes", filter.code.is_some(), &inventory.codes),
        ("broadcasts", filter.broadcast.is_some(), &inventory.broadcasts),
    ] {
        if wanted && all.values().all(|number| *number == 0) {
            console.note(&format!("the dead letters have no {what}"));
        } else if wanted {
            console.note(&format!("{what} of the dead letters: {}", list(all)));
        }
    }
    Ok(Exit::Done)
}

impl From<DeadLetterError> for Failure {
    fn from(error: DeadLetterError) -> Self {
        match error {
            DeadLetterError::Unknown(error) => error.into(),
            other => Self::usage(other.to_string()).hint("set a redrive policy for the queue"),
        }
    }
}
