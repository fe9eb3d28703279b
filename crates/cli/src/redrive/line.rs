//! DeadLetterQueue as rows and as records.

use std::collections::BTreeMap;
use std::io::Write;

use notifier::model::{Cause, Outcome};
use notifier::pipeline::StageName;
use notifier::pipeline::redrive::{Fate, SortedLetter};
use serde::Serialize;

use crate::args::Format;
use crate::console::Console;
use crate::failure::Failure;
use crate::render::records;
use crate::render::style::{BAD, BOLD, DIM, GOOD, PLAIN};
use crate::render::table::{Cell, Table};
use crate::render::units::{count, digits, task};

/// Length of a UUID, and of the part of it that is a time.
const UUID_BYTES: usize = 36;
const UUID_TIME_BYTES: usize = 13;

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
    /// What the report says of its delivery; `null` without a ledger.
    outcome: Option<&'a str>,
    cause: Option<&'a str>,
    status: Option<u16>,
}

impl<'a> Line<'a> {
    fn new(found: &'a SortedLetter) -> Self {
        let (became, error) = match &found.fate {
            Fate::Left => ("left", None),
            Fate::Redriven => ("redriven", None),
            Fate::Dropped => ("dropped", None),
            Fate::Told => ("told", None),
            Fate::Stayed(why) => ("stayed", Some(why.as_str())),
        };
        let known = found.known.as_ref();
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
            outcome: known.and_then(|entry| entry.outcome).map(Outcome::as_str),
            cause: known.and_then(|entry| entry.cause).map(Cause::as_str),
            status: known.and_then(|entry| entry.status),
        }
    }

    /// What went wrong, in the word by which `--code` finds it and the report shows it.
    fn word(&self) -> String {
        match (self.status, self.cause, self.code) {
            (Some(status), None | Some("answered"), _) => status.to_string(),
            (_, Some(cause), _) => cause.to_owned(),
            (_, None, Some(code)) => code.to_owned(),
            (_, None, None) => Cause::GivenUp.as_str().to_owned(),
        }
    }

    fn cells(&self, in_full: bool) -> [Cell; 6] {
        let style = match self.became {
            "stayed" => BAD,
            "left" => PLAIN,
            _ => GOOD,
        };
        let why = self.error.or(self.reason).unwrap_or("moved by SQS, its receives were used up");
        let who = match (self.task, self.container) {
            (Some(arn), Some(container)) => format!("{}/{container}", task(arn, in_full)),
            (Some(arn), None) => task(arn, in_full).to_owned(),
            (None, _) => "-".to_owned(),
        };
        let service = if self.service.is_empty() { "-" } else { &self.service };
        [
            Cell::new(self.became, style),
            Cell::from(self.stage),
            Cell::new(service, BOLD),
            Cell::new(who, DIM),
            Cell::from(short(self.broadcast.unwrap_or("-"), in_full)),
            Cell::from(format!("{}: {why}", self.word())),
        ]
    }
}

/// So much of a broadcast's id as tells it from others: a UUID of version 7 begins with the time, to the millisecond.
fn short(id: &str, in_full: bool) -> &str {
    let is_uuid = id.len() == UUID_BYTES && id.is_ascii();
    if is_uuid && !in_full { id.get(..UUID_TIME_BYTES).unwrap_or(id) } else { id }
}

/// How many letters came to what, and what had gone wrong with them: `3 left: 2 timed-out, 1 503`.
fn totals(lines: &[Line<'_>]) -> Vec<String> {
    let mut fates = BTreeMap::<&str, BTreeMap<String, usize>>::new();
    for line in lines {
        *fates.entry(line.became).or_default().entry(line.word()).or_default() += 1;
    }
    let total = |(fate, words): (&&str, &BTreeMap<String, usize>)| {
        let parts: Vec<_> =
            words.iter().map(|(word, number)| format!("{} {word}", digits(*number))).collect();
        format!("{} {fate}: {}", digits(words.values().sum()), parts.join(", "))
    };
    fates.iter().map(total).collect()
}

/// Writes letters in the format that was asked for, in the order of stage, service, what went wrong and task.
pub(super) fn show(found: &mut [SortedLetter], seen: usize, console: &mut Console) -> Result<(), Failure> {
    found.sort_by(|a, b| key(a).cmp(&key(b)));
    let lines: Vec<Line<'_>> = found.iter().map(Line::new).collect();
    if console.format == Format::Text {
        let mut table = Table::default();
        for line in &lines {
            table.row(0, line.cells(console.verbose > 0));
        }
        let text = table.render(console.columns());
        let total = format!("{} of {} matched", lines.len(), count(seen, "dead letter"));
        let all: Vec<_> = std::iter::once(total).chain(totals(&lines)).collect();
        return writeln!(console.out(), "{text}{}", all.join("; ")).map_err(Failure::output);
    }
    let summary = serde_json::json!({ "matched": lines.len(), "seen": seen });
    let format = console.format;
    records::write(console.out(), format, lines, &summary).map_err(Failure::output)
}

fn key(found: &SortedLetter) -> (StageName, &[String], String, Option<&str>) {
    (found.stage, &found.services, Line::new(found).word(), found.task.as_deref())
}
