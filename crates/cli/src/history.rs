//! `history`: the latest broadcasts, from the ledger.

use std::fmt::Write as _;
use std::io::Write;

use anstyle::Style;
use clap::Args;
use notifier::base::Environment;
use notifier::ledger::{BroadcastRecord, Ledger};
use notifier::model::Outcome;
use notifier::report::{Counts, Verdict};
use notifier::rollout::place;
use notifier::store::Use;
use serde::Serialize;

use crate::args::{ForLedger, Format, Global, SettingFlags, clusters};
use crate::console::Console;
use crate::context;
use crate::failure::{Exit, Failure};
use crate::render::format::{count, digits};
use crate::render::records;
use crate::render::style::{BOLD, DIM, GOOD, UNSURE};
use crate::render::table::{Cell, Table};

/// List the latest broadcasts, newest first
///
/// Reads the ledger that the daemon, the functions or `send` wrote. `report` shows the outcomes of one broadcast. To
/// count outcomes, every record of each broadcast is read, about 1 KB per container; --no-outcomes does not count them.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct HistoryArgs {
    /// Number of broadcasts
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    /// Of these, only broadcasts that did not notify every container
    #[arg(long, conflicts_with = "no_outcomes")]
    failed: bool,
    /// Do not count outcomes
    #[arg(long)]
    no_outcomes: bool,
    #[command(flatten)]
    settings: SettingFlags<ForLedger>,
}

const EXAMPLES: &str = "\
Examples:
  ecs-task-notifier history --ledger dynamodb:ecs-task-notifier
  ecs-task-notifier history --limit 100 --failed
  ecs-task-notifier history -n 1 --format json | jq -r '.broadcast // empty'";

/// One broadcast.
#[derive(Debug, Default, Serialize)]
struct Line<'a> {
    asked_at: String,
    broadcast: &'a str,
    r#type: &'a str,
    source: &'a str,
    subject: Option<&'a str>,
    /// The clusters as they were named, with the tags that select among every cluster.
    cluster: String,
    /// Empty for the whole cluster.
    services: String,
    asked_by: Option<&'a str>,
    failure: Option<&'a str>,
    /// All opted-in containers. This and the following fields are `null` with --no-outcomes.
    total: Option<usize>,
    delivered: Option<usize>,
    rejected: Option<usize>,
    failed: Option<usize>,
    gone: Option<usize>,
    skipped: Option<usize>,
    pending: Option<usize>,
    /// Whether it was cancelled.
    cancelled: Option<bool>,
    /// Older events whose place it has taken.
    folded: usize,
    /// The wave at which it was stopped, if it was; 0 before the first. This and the following fields are only in JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_at_wave: Option<u16>,
    /// The latest wave that has begun, and the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waves: Option<u16>,
    /// Distinct answers that are recorded of a question.
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct: Option<usize>,
}

/// How a broadcast ended, as far as the ledger knows.
#[derive(Clone, Copy)]
struct End {
    counts: Counts,
    is_cancelled: bool,
    is_complete: bool,
    /// The wave at which it was stopped.
    stopped_at: Option<u16>,
    /// The latest wave that has begun, and the last one.
    wave: Option<(u16, u16)>,
    /// Distinct answers that are recorded.
    distinct: Option<usize>,
}

impl End {
    fn is_failed(&self) -> bool {
        !self.is_complete || self.counts.verdict(false) != Verdict::Notified
    }

    /// `8 of 9 notified, 1 failed`.
    fn text(&self) -> (Style, String) {
        let Self { counts, is_cancelled, .. } = *self;
        let mut text = format!("{} of {} notified", digits(counts.notified()), digits(counts.total()));
        let others = [Some(Outcome::Rejected), Some(Outcome::Failed), Some(Outcome::Skipped), None];
        for outcome in others.into_iter().filter(|outcome| counts.of(*outcome) > 0) {
            let word = outcome.map_or("pending", Outcome::as_str);
            // Writing to a `String` cannot fail.
            let _ = write!(text, ", {} {word}", digits(counts.of(outcome)));
        }
        if is_cancelled {
            text.push_str(", cancelled");
        }
        if let Some(wave) = self.stopped_at {
            let _ = write!(text, ", stopped {}", place(wave));
        } else if let Some((wave, waves)) = self.wave.filter(|_| !self.is_complete) {
            let _ = write!(text, ", in wave {wave} of {waves}");
        }
        if let Some(distinct) = self.distinct {
            let _ = write!(text, ", {}", count(distinct, "distinct answer"));
        }
        (if self.is_failed() { UNSURE } else { GOOD }, text)
    }
}

impl<'a> Line<'a> {
    fn new(recent: &'a BroadcastRecord, end: Option<End>) -> Self {
        let counts = end.map(|end| end.counts);
        Self {
            total: counts.map(Counts::total),
            delivered: counts.map(|counts| counts.delivered),
            rejected: counts.map(|counts| counts.rejected),
            failed: counts.map(|counts| counts.failed),
            gone: counts.map(|counts| counts.gone),
            skipped: counts.map(|counts| counts.skipped),
            pending: counts.map(|counts| counts.pending),
            cancelled: end.map(|end| end.is_cancelled),
            folded: recent.folded,
            stopped_at_wave: end.and_then(|end| end.stopped_at),
            wave: end.and_then(|end| end.wave).map(|(wave, _)| wave),
            waves: end.and_then(|end| end.wave).map(|(_, waves)| waves),
            distinct: end.and_then(|end| end.distinct),
            asked_at: recent.asked(),
            broadcast: recent.id.as_str(),
            r#type: recent.event.kind(),
            source: recent.event.source(),
            subject: recent.event.subject(),
            cluster: named(recent),
            services: recent.services.join(" "),
            asked_by: recent.asked_by.as_deref(),
            failure: recent.failure.as_deref(),
        }
    }

    /// The same without what only JSON has: every row of a CSV file has the same columns.
    fn columns(self) -> Self {
        Self { stopped_at_wave: None, wave: None, waves: None, distinct: None, ..self }
    }

    fn scope(&self) -> String {
        if self.services.is_empty() {
            self.cluster.clone()
        } else {
            format!("{}: {}", self.cluster, self.services)
        }
    }
}

/// `prod test`, or `* team=shop`.
fn named(record: &BroadcastRecord) -> String {
    let scope = record.scope();
    let tags = scope.tags.iter().map(|(key, value)| format!("{key}={value}"));
    clusters(&scope).map(str::to_owned).chain(tags).collect::<Vec<_>>().join(" ")
}

pub(crate) async fn run(
    global: &Global,
    args: HistoryArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let ledger = context::only_ledger(global, &args.settings.flags, environment, Use::Read, console).await?;
    let recent = ledger.recent(usize::from(args.limit)).await?;
    let mut ended = Vec::new();
    for record in &recent {
        let end = if args.no_outcomes { None } else { end(&ledger, record).await? };
        if !args.failed || end.is_none_or(|end| end.is_failed()) {
            ended.push((record, end));
        }
    }
    let lines: Vec<Line<'_>> = ended.iter().map(|(record, end)| Line::new(record, *end)).collect();
    if console.format == Format::Text {
        let mut table = Table::default();
        for (line, (_, end)) in lines.iter().zip(&ended) {
            let outcomes = end.map(|end| end.text()).map(|(style, text)| Cell::new(text, style));
            let others = [
                Cell::new(line.asked_at.as_str(), DIM),
                Cell::new(line.broadcast, BOLD),
                Cell::from(line.r#type),
                Cell::from(line.scope()),
            ];
            table.row(0, others.into_iter().chain(outcomes));
        }
        let text = table.render(console.columns());
        write!(console.out(), "{text}").map_err(Failure::output)?;
        if lines.is_empty() {
            let none = if recent.is_empty() {
                "the ledger has no record of a broadcast".to_owned()
            } else {
                match recent.len() {
                    1 => "the latest broadcast notified every container".to_owned(),
                    number => format!("the latest {} notified every container", count(number, "broadcast")),
                }
            };
            console.note(&none);
        }
    } else {
        let summary = serde_json::json!({ "broadcasts": lines.len() });
        let format = console.format;
        let lines = lines.into_iter().map(|line| if format == Format::Csv { line.columns() } else { line });
        records::write(console.out(), format, lines, &summary).map_err(Failure::output)?;
    }
    Ok(Exit::Done)
}

/// How a broadcast ended; `None` if its records have expired. Broadcasts are read one after another, because each may
/// have many records.
async fn end(ledger: &Ledger, record: &BroadcastRecord) -> Result<Option<End>, Failure> {
    let recorded = ledger.read(&record.id).await?;
    Ok(recorded.map(|recorded| End {
        counts: recorded.report.counts(),
        is_cancelled: recorded.cancelled.is_some(),
        is_complete: recorded.is_complete,
        stopped_at: recorded.stopped.as_ref().map(|stopped| stopped.wave),
        wave: recorded.report.latest_wave(),
        distinct: recorded.report.kept_answers().map(|kept| kept.distinct()),
    }))
}
