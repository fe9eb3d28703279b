//! `routes test`: shows what each rule does with an event.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use notifier::base::Environment;
use notifier::base::text::{chain, printable};
use notifier::sources::routes::{Decision, Rule};
use notifier::sources::{self, BadRecord, Content, Record, Routed, Routes};
use serde::Serialize;

use super::{check, load};
use crate::args::{ForRoutes, Format, Global, SettingFlags};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::format::count;
use crate::render::records;
use crate::render::style::{BAD, BOLD, DIM, GOOD, UNSURE};
use crate::render::table::{Cell, Table};

/// The most characters of an event's data in a line.
const DATA_CHARS_MAX: usize = 200;

/// Show what each rule does with an event
///
/// The event is a body of the observer queue: a notification of S3 or SNS, an event of EventBridge, records of a DynamoDB
/// stream, or a CloudEvent. For a rule that does not match, the first field that differs is shown. Sends nothing.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RoutesTestArgs {
    /// File of the event; - for stdin
    #[arg(value_name = "EVENT.json")]
    event: PathBuf,
    #[command(flatten)]
    settings: SettingFlags<ForRoutes>,
}

const EXAMPLES: &str = "\
Examples:
  ecs-task-notifier routes test --routes routes.toml event.json
  ecs-task-notifier routes test --routes routes.toml - < event.json
  ecs-task-notifier routes test --routes routes.toml event.json --format json | jq .

Exit codes:
  0  a rule matches
  1  no rule matches, a rule that matches cannot be used, or a record cannot be read
  2  the rules or the event are wrong";

/// What one rule does with one record.
#[derive(Debug, Default, Serialize)]
struct Line {
    /// The number of the record, from 1.
    record: usize,
    /// The kind of source; empty if the record cannot be read.
    source: &'static str,
    /// The id that the source gave the event.
    id: String,
    /// Empty if the record cannot be read.
    rule: String,
    /// `matches`, `differs`, `stopped`, `fails` or `unreadable`.
    verdict: &'static str,
    /// Separated by spaces.
    clusters: Option<String>,
    /// Separated by spaces; empty for all.
    services: Option<String>,
    /// The id of the broadcast.
    broadcast: Option<String>,
    r#type: Option<String>,
    subject: Option<String>,
    /// The data as JSON text, shortened.
    data: Option<String>,
    coalesce_ms: Option<u128>,
    /// Of a rule that does not match: the first field that differs.
    field: Option<String>,
    expected: Option<String>,
    found: Option<String>,
    /// Why the rule fails or is not asked, or why the record cannot be read.
    reason: Option<String>,
}

impl Line {
    fn new(number: usize, record: &Record, rule: &Rule, decision: Decision) -> Self {
        let line = Self {
            record: number,
            source: record.source_kind().as_str(),
            id: record.id().to_owned(),
            rule: rule.name().to_owned(),
            ..Self::default()
        };
        match decision {
            Decision::Matches(routed) => line.routed(*routed),
            Decision::Differs(mismatch) => Self {
                verdict: "differs",
                field: Some(mismatch.path),
                expected: Some(mismatch.expected),
                found: mismatch.found,
                ..line
            },
            Decision::Stopped(by) => {
                Self { verdict: "stopped", reason: Some(format!("rule `{by}` stops")), ..line }
            }
        }
    }

    fn routed(self, routed: Routed) -> Self {
        let request = match routed.request {
            Ok(request) => request,
            Err(error) => return Self { verdict: "fails", reason: Some(chain(&error)), ..self },
        };
        let event = request.event.unwrap_or_default();
        let clusters: Vec<_> = std::iter::once(request.cluster).chain(request.clusters).collect();
        let data = event.data.as_ref().map(|data| shortened(data.as_json()));
        Self {
            verdict: "matches",
            clusters: Some(clusters.join(" ")),
            services: Some(request.services.join(" ")),
            broadcast: event.id,
            r#type: event.kind,
            subject: event.subject,
            data,
            coalesce_ms: routed.fold.map(|fold| fold.window.as_millis()),
            ..self
        }
    }

    fn unreadable(number: usize, bad: &BadRecord) -> Self {
        Self { record: number, verdict: "unreadable", reason: Some(chain(&bad.error)), ..Self::default() }
    }

    /// What the rule does, for people.
    fn text(&self, scope: &str) -> String {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        match self.verdict {
            "matches" => {
                let subject = self.subject.as_ref().map(|subject| format!(" about {subject}"));
                let (kind, data) = (or_dash(&self.r#type), or_dash(&self.data));
                format!("{kind}{} to {scope}, data {data}", subject.unwrap_or_default())
            }
            "differs" => {
                let found = self
                    .found
                    .as_ref()
                    .map_or_else(|| "is missing".to_owned(), |found| format!("is {found}"));
                format!("{} {found}, expected {}", or_dash(&self.field), or_dash(&self.expected))
            }
            _ => or_dash(&self.reason),
        }
    }
}

pub(super) async fn run(
    global: &Global,
    args: RoutesTestArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let routes = load::routes(global, None, &args.settings.flags, environment, console).await?;
    let body = load::event(&args.event)?;
    let records = match sources::read(&body) {
        Ok(Content::Records(records)) => records,
        Ok(Content::Direct(message)) => {
            console.note(&format!(
                "this is a direct message for cluster {}: rules do not apply",
                message.cluster
            ));
            return Ok(Exit::Unsuccessful);
        }
        Ok(Content::Test) => {
            console.note(
                "this is the test message that S3 sends first: it is acknowledged, and nothing is sent",
            );
            return Ok(Exit::Unsuccessful);
        }
        Err(error) => return Err(Failure::usage("the event cannot be read").because(&error)),
    };
    let lines = lines(&routes, &records);
    let number = |verdict: &str| lines.iter().filter(|line| line.verdict == verdict).count();
    let (matching, wrong) = (number("matches"), number("fails") + number("unreadable"));
    let total = records.len();
    if console.format == Format::Text {
        let text = table(&routes, &lines, total).render(console.columns());
        write!(console.out(), "{text}").map_err(Failure::output)?;
        console.note(&format!("{} for {}", count(matching, "broadcast"), count(total, "record")));
    } else {
        let summary = serde_json::json!({ "records": total, "broadcasts": matching, "wrong": wrong });
        let format = console.format;
        records::write(console.out(), format, lines, &summary).map_err(Failure::output)?;
    }
    Ok(if matching > 0 && wrong == 0 { Exit::Done } else { Exit::Unsuccessful })
}

/// The beginning of a text, with a mark if more follows.
fn shortened(text: &str) -> String {
    let mut short = printable(text, DATA_CHARS_MAX);
    if text.chars().nth(DATA_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

fn lines(routes: &Routes, records: &[Result<Record, BadRecord>]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (record, number) in records.iter().zip(1..) {
        match record {
            Ok(record) => {
                let decisions = routes.rules().iter().zip(routes.decide(record));
                lines.extend(decisions.map(|(rule, decision)| Line::new(number, record, rule, decision)));
            }
            Err(bad) => lines.push(Line::unreadable(number, bad)),
        }
    }
    lines
}

fn table(routes: &Routes, lines: &[Line], records: usize) -> Table {
    let mut table = Table::default();
    let mut last = 0;
    for line in lines {
        if line.record != last && records > 1 {
            let title = format!("record {}: {} {}", line.record, line.source, line.id);
            table.row(0, [Cell::new(title.trim_end(), DIM)]);
        }
        last = line.record;
        let style = match line.verdict {
            "matches" => GOOD,
            "fails" | "unreadable" => BAD,
            "differs" => UNSURE,
            _ => DIM,
        };
        let rule = routes.rules().iter().find(|rule| rule.name() == line.rule);
        let scope = rule.map(|rule| check::scope(rule.scope())).unwrap_or_default();
        let cells = [
            Cell::new(line.rule.as_str(), BOLD),
            Cell::new(line.verdict, style),
            Cell::from(line.text(&scope)),
        ];
        table.row(usize::from(records > 1), cells);
    }
    table
}
