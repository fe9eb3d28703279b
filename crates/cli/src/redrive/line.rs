//! Letters as rows and as records.

use std::io::Write;

use notifier::redrive::{Fate, Found};
use serde::Serialize;

use crate::args::Format;
use crate::console::Console;
use crate::failure::Failure;
use crate::render::records;
use crate::render::style::{BAD, DIM, GOOD, PLAIN};
use crate::render::table::{Cell, Table};
use crate::render::units::count;

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

/// Writes letters in the format that was asked for.
pub(super) fn show(found: &[Found], seen: usize, console: &mut Console) -> Result<(), Failure> {
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
