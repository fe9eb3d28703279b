//! Dead letters as rows and as records.

use std::collections::BTreeMap;
use std::io::Write;

use notifier::model::{Cause, Outcome, StageName};
use notifier::pipeline::redrive::{LetterStatus, Match};
use serde::Serialize;

use crate::args::Format;
use crate::console::Console;
use crate::failure::Failure;
use crate::render::format::{count, digits, task};
use crate::render::records;
use crate::render::style::{BAD, BOLD, DIM, GOOD, PLAIN};
use crate::render::table::{Cell, Table};

/// Length of a UUID, and of the part of it that is a time.
const UUID_BYTES: usize = 36;
const UUID_TIME_BYTES: usize = 13;

/// A dead letter as scripts read it.
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
    /// The delivery's values in the report; `null` without a ledger.
    outcome: Option<&'a str>,
    cause: Option<&'a str>,
    status: Option<u16>,
}

impl<'a> Line<'a> {
    fn new(found: &'a Match) -> Self {
        let (became, error) = match &found.status {
            LetterStatus::Listed => ("left", None),
            LetterStatus::Redriven => ("redriven", None),
            LetterStatus::Dropped => ("dropped", None),
            LetterStatus::AlreadyNotified => ("told", None),
            LetterStatus::Failed(why) => ("stayed", Some(why.as_str())),
        };
        let (letter, state) = (&found.letter, found.state.as_ref());
        Self {
            stage: letter.stage.as_str(),
            broadcast: letter.broadcast.as_deref(),
            service: letter.services.join(" "),
            task: letter.task.as_deref(),
            container: letter.container.as_deref(),
            code: letter.code.as_deref(),
            reason: letter.reason.as_deref(),
            body_bytes: letter.body_bytes,
            sent: letter.sent.unix_timestamp(),
            became,
            error,
            outcome: state.and_then(|state| state.outcome).map(Outcome::as_str),
            cause: state.and_then(|state| state.cause).map(Cause::as_str),
            status: state.and_then(|state| state.status),
        }
    }

    /// The code of the failure, for `--code` and as in the report.
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
        let why = self.error.or(self.reason).unwrap_or("moved by SQS after the last receive");
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

/// The part of a broadcast's id that distinguishes it from others: a UUID of version 7 begins with the time, to the millisecond.
fn short(id: &str, in_full: bool) -> &str {
    let is_uuid = id.len() == UUID_BYTES && id.is_ascii();
    if is_uuid && !in_full { id.get(..UUID_TIME_BYTES).unwrap_or(id) } else { id }
}

/// The number of dead letters by status and code: `3 left: 2 timed-out, 1 503`.
fn totals(lines: &[Line<'_>]) -> Vec<String> {
    let mut statuses = BTreeMap::<&str, BTreeMap<String, usize>>::new();
    for line in lines {
        *statuses.entry(line.became).or_default().entry(line.word()).or_default() += 1;
    }
    let total = |(status, words): (&&str, &BTreeMap<String, usize>)| {
        let parts: Vec<_> =
            words.iter().map(|(word, number)| format!("{} {word}", digits(*number))).collect();
        format!("{} {status}: {}", digits(words.values().sum()), parts.join(", "))
    };
    statuses.iter().map(total).collect()
}

/// Writes dead letters in the chosen format, in the order of stage, service, code and task.
pub(super) fn show(found: &mut [Match], seen: usize, console: &mut Console) -> Result<(), Failure> {
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

fn key(found: &Match) -> (StageName, &[String], String, Option<&str>) {
    let letter = &found.letter;
    (letter.stage, &letter.services, Line::new(found).word(), letter.task.as_deref())
}
