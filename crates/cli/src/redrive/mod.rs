//! `redrive` and `drop`: dead letters back to work, or away for good.

use std::io::Write;

use clap::{Args, ValueEnum};
use notifier::ambient::Chance;
use notifier::queue::Queue;
use notifier::redrive::{self, Action, Fate, Filter, Found, RedriveError};
use notifier::settings::Environment;
use notifier::stage::StageName;
use serde::Serialize;

use crate::args::{ForQueues, Format, Global, SettingFlags};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::records;
use crate::render::style::{BAD, DIM, GOOD, PLAIN};
use crate::render::table::{Cell, Table};
use crate::render::units::count;
use crate::{context, log};

/// Send dead letters back to work
///
/// Their tasks are looked up again before they are called, and the outcomes join the broadcast's report. Letters that do
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
    /// Only those of this broadcast
    #[arg(long, value_name = "ID")]
    broadcast: Option<String>,
    /// Only those for this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only those that failed like this, such as rejected or failed
    #[arg(long, value_name = "WORD")]
    code: Option<String>,
    /// Only those for this task
    #[arg(long, value_name = "ARN")]
    task: Option<String>,
}

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

/// A letter as scripts read it.
#[derive(Debug, Default, Serialize)]
struct Line<'a> {
    stage: &'a str,
    broadcast: Option<&'a str>,
    /// Separated by spaces.
    service: String,
    task: Option<&'a str>,
    container: Option<&'a str>,
    code: Option<&'a str>,
    reason: Option<&'a str>,
    body_bytes: usize,
    /// When the message was first sent, in seconds since 1970.
    sent: i64,
    became: &'a str,
    error: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(found: &'a Found) -> Self {
        let (became, error) = match &found.fate {
            Fate::Left => ("left", None),
            Fate::Redriven => ("redriven", None),
            Fate::Dropped => ("dropped", None),
            Fate::Told => ("told", None),
            Fate::Stayed(why) => ("stayed", Some(why.as_str())),
        };
        Self {
            stage: found.stage.as_str(),
            broadcast: found.broadcast.as_deref(),
            service: found.services.join(" "),
            task: found.task.as_deref(),
            container: found.container.as_deref(),
            code: found.code.as_deref(),
            reason: found.reason.as_deref(),
            body_bytes: found.body_bytes,
            sent: found.sent.unix_timestamp(),
            became,
            error,
        }
    }

    fn cells(&self) -> [Cell; 5] {
        let style = match self.became {
            "stayed" => BAD,
            "left" => PLAIN,
            _ => GOOD,
        };
        let why = self.error.or(self.reason).unwrap_or("moved by SQS after too many tries");
        let whom = self.task.unwrap_or(&self.service);
        [
            Cell::new(self.became, style),
            Cell::from(self.stage),
            Cell::from(self.broadcast.unwrap_or("-")),
            Cell::new(whom, DIM),
            Cell::from(format!("{}: {why}", self.code.unwrap_or("-"))),
        ]
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
    let queues = [
        (StageName::Services, Stage::Services, settings.queues.observer.clone()),
        (StageName::Tasks, Stage::Tasks, settings.queues.services.clone()),
        (StageName::Notify, Stage::Notify, settings.queues.tasks.clone()),
    ];
    let wanted = queues.into_iter().filter(|(_, stage, _)| [*stage, Stage::All].contains(&letters.stage));
    let wanted: Vec<_> = wanted.filter_map(|(name, _, url)| Some((name, url?))).collect();
    if wanted.is_empty() {
        return Err(Failure::usage("no queue is named").hint(
            "name it with NOTIFIER_OBSERVER_QUEUE_URL, NOTIFIER_SERVICES_QUEUE_URL or NOTIFIER_TASKS_QUEUE_URL",
        ));
    }
    log::for_people(console);
    let aws = context::aws(global, &settings).await;
    let ledger = context::ledger(&aws, &settings).await?;
    let (mut found, mut seen, mut error) = (Vec::new(), 0, None);
    for (stage, url) in wanted {
        let queue = Queue::at(aws.sqs.clone(), url, Chance::from_entropy());
        let sorted = Box::pin(redrive::sort(stage, queue, &letters.filter(), action, &ledger)).await?;
        if sorted.is_cut {
            console
                .warn(&format!("not every letter of stage {} was looked at; run it again", stage.as_str()));
        }
        found.extend(sorted.found);
        seen += sorted.seen;
        error = error.or(sorted.error);
    }
    show(&found, seen, console)?;
    if let Some(error) = error {
        return Err(error.into());
    }
    let stayed = found.iter().filter(|one| matches!(one.fate, Fate::Stayed(_))).count();
    if stayed > 0 {
        return Err(Failure::not_told(format!("{} could not be moved", count(stayed, "letter"))));
    }
    Ok(Exit::Done)
}

fn show(found: &[Found], seen: usize, console: &mut Console) -> Result<(), Failure> {
    let lines: Vec<Line<'_>> = found.iter().map(Line::new).collect();
    if console.format == Format::Text {
        let mut table = Table::default();
        for line in &lines {
            table.row(0, line.cells());
        }
        let text = table.render(console.columns());
        let total = format!("{} of {} matched", lines.len(), count(seen, "dead letter"));
        return writeln!(console.out(), "{text}{total}").map_err(Failure::output);
    }
    let summary = serde_json::json!({ "matched": lines.len(), "seen": seen });
    let format = console.format;
    records::write(console.out(), format, lines, &summary).map_err(Failure::output)
}

impl From<RedriveError> for Failure {
    fn from(error: RedriveError) -> Self {
        match error {
            RedriveError::Unknown(error) => error.into(),
            other => Self::usage(other.to_string()).hint("its redrive policy names none"),
        }
    }
}
