//! `history`: the latest broadcasts, out of the ledger.

use std::io::Write;

use clap::Args;
use notifier::ledger::BroadcastRecord;
use notifier::settings::Environment;
use serde::Serialize;

use crate::args::{ForLedger, Format, Global, SettingFlags};
use crate::console::Console;
use crate::context;
use crate::failure::{Exit, Failure};
use crate::render::records;
use crate::render::style::{BOLD, DIM};
use crate::render::table::{Cell, Table};

/// The latest broadcasts, the newest first
///
/// Reads the ledger that the daemon, the functions or `send` wrote. `report` tells what became of one.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct HistoryArgs {
    /// How many
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    #[command(flatten)]
    settings: SettingFlags<ForLedger>,
}

const EXAMPLES: &str = "\
Examples:
  ecs-task-notifier history --ledger dynamodb:ecs-task-notifier
  ecs-task-notifier history -n 1 --format json | jq -r '.broadcast // empty'";

/// One broadcast.
#[derive(Debug, Default, Serialize)]
struct Line<'a> {
    asked_at: String,
    broadcast: &'a str,
    r#type: &'a str,
    source: &'a str,
    subject: Option<&'a str>,
    cluster: &'a str,
    /// Empty for the whole cluster.
    services: String,
    asked_by: Option<&'a str>,
    failure: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(recent: &'a BroadcastRecord) -> Self {
        Self {
            asked_at: recent.asked(),
            broadcast: recent.id.as_str(),
            r#type: recent.event.kind(),
            source: recent.event.source(),
            subject: recent.event.subject(),
            cluster: &recent.cluster,
            services: recent.services.join(" "),
            asked_by: recent.asked_by.as_deref(),
            failure: recent.failure.as_deref(),
        }
    }

    fn scope(&self) -> String {
        if self.services.is_empty() {
            self.cluster.to_owned()
        } else {
            format!("{}: {}", self.cluster, self.services)
        }
    }
}

pub(crate) async fn run(
    global: &Global,
    args: HistoryArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let ledger = context::only_ledger(global, &args.settings.flags, environment, console).await?;
    let recent = ledger.recent(usize::from(args.limit)).await?;
    let lines: Vec<Line<'_>> = recent.iter().map(Line::new).collect();
    if console.format == Format::Text {
        let mut table = Table::default();
        for line in &lines {
            table.row(
                0,
                [
                    Cell::new(line.asked_at.as_str(), DIM),
                    Cell::new(line.broadcast, BOLD),
                    Cell::from(line.r#type),
                    Cell::from(line.scope()),
                ],
            );
        }
        let text = table.render(console.columns());
        write!(console.out(), "{text}").map_err(Failure::output)?;
        if lines.is_empty() {
            console.say("the ledger knows no broadcast");
        }
    } else {
        let summary = serde_json::json!({ "broadcasts": lines.len() });
        let format = console.format;
        records::write(console.out(), format, lines, &summary).map_err(Failure::output)?;
    }
    Ok(Exit::Done)
}
