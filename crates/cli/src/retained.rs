//! `retained`: the events that tasks which start later hear.

use std::io::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use notifier::base::{self, Clock, Environment};
use notifier::ledger::{Ledger, Standing};
use notifier::store::Use;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::{ForLedger, Format, Global, SettingFlags, key};
use crate::console::Console;
use crate::context;
use crate::failure::{Exit, Failure};
use crate::render::format::count;
use crate::render::records;
use crate::render::style::{BOLD, DIM};
use crate::render::table::{Cell, Table};

/// List, show or clear the events that tasks which start later hear
///
/// `send` and `publish` keep an event with --retain. Each task of its scope that starts later is notified of it, until it is
/// cleared, a newer event has the same key, or its time is over. Broadcasts that are open (--cover) are listed too.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
pub(crate) struct RetainedArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the retained events (the default)
    List(ListArgs),
    /// Show the retained events of a key, with their data
    Show(OneArgs),
    /// Clear the retained events of a key: tasks that start from now on do not hear them
    Clear(OneArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only of this cluster: its name or ARN
    #[arg(short, long, value_name = "NAME")]
    cluster: Option<String>,
    #[command(flatten)]
    settings: SettingFlags<ForLedger>,
}

#[derive(Debug, Args)]
struct OneArgs {
    /// Its key
    #[arg(value_parser = key)]
    key: String,
    #[command(flatten)]
    of: ListArgs,
}

const EXAMPLES: &str = "\
Examples:
  ecs-task-notifier retained --ledger dynamodb:ecs-task-notifier
  ecs-task-notifier retained show config --cluster prod
  ecs-task-notifier retained clear config --cluster prod

Exit codes:
  0  done
  1  no retained event has this key
  2  wrong use or settings
  3  AWS, the network or this machine failed";

/// One retained event or open broadcast.
#[derive(Debug, Default, Serialize)]
struct Line<'a> {
    /// The key; `None` for a broadcast that is open.
    key: Option<&'a str>,
    cluster: &'a str,
    /// Empty for the whole cluster.
    services: String,
    standalone: bool,
    broadcast: &'a str,
    r#type: &'a str,
    asked_at: Option<String>,
    until: Option<String>,
}

impl<'a> Line<'a> {
    fn of(one: &'a Standing) -> Self {
        Self {
            key: one.key.as_deref(),
            cluster: &one.cluster,
            services: one.services.join(" "),
            standalone: one.standalone,
            broadcast: one.broadcast.as_ref().map_or("", |broadcast| broadcast.id.as_str()),
            r#type: one.broadcast.as_ref().map_or("", |broadcast| broadcast.event.kind()),
            asked_at: one.asked_at().and_then(|at| at.format(&Rfc3339).ok()),
            until: until(one).and_then(|at| at.format(&Rfc3339).ok()),
        }
    }
}

pub(crate) async fn run(
    global: &Global,
    args: RetainedArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let (of, purpose) = match &args.command {
        None => (&args.list, Use::Read),
        Some(Command::List(of)) => (of, Use::Read),
        Some(Command::Show(one)) => (&one.of, Use::Read),
        Some(Command::Clear(one)) => (&one.of, Use::CallAgain),
    };
    let ledger = context::only_ledger(global, &of.settings.flags, environment, purpose, console).await?;
    let found = find(&ledger, of.cluster.as_deref()).await?;
    match args.command {
        None | Some(Command::List(_)) => list(&found, console),
        Some(Command::Show(one)) => show(&of_key(&found, &one.key)?, console),
        Some(Command::Clear(one)) => {
            let found = of_key(&found, &one.key)?;
            for event in &found {
                ledger.clear(event).await?;
            }
            console.note(&format!("{} cleared", count(found.len(), "retained event")));
            Ok(Exit::Done)
        }
    }
}

/// What is kept for a cluster, by its name or ARN; without one, for every cluster.
async fn find(ledger: &Ledger, cluster: Option<&str>) -> Result<Vec<Standing>, Failure> {
    let mut found = ledger.standing(cluster.filter(|cluster| cluster.starts_with("arn:"))).await?;
    found.retain(|one| {
        cluster
            .is_none_or(|cluster| one.cluster == cluster || one.cluster.rsplit('/').next() == Some(cluster))
    });
    Ok(found)
}

fn of_key(found: &[Standing], key: &str) -> Result<Vec<Standing>, Failure> {
    let found: Vec<_> = found.iter().filter(|one| one.key.as_deref() == Some(key)).cloned().collect();
    if found.is_empty() {
        return Err(Failure::unsuccessful(format!("no retained event has the key {key}"))
            .hint("`ecs-task-notifier retained` lists them"));
    }
    Ok(found)
}

fn list(found: &[Standing], console: &mut Console) -> Result<Exit, Failure> {
    if console.format != Format::Text {
        let summary = serde_json::json!({ "retained": found.len() });
        let format = console.format;
        records::write(console.out(), format, found.iter().map(Line::of), &summary)
            .map_err(Failure::output)?;
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        console.note("no event is retained, and no broadcast is open");
        return Ok(Exit::Done);
    }
    let now = Clock::system().now();
    let mut table = Table::default();
    let head = ["KEY", "CLUSTER", "SERVICES", "ENDS IN", "TYPE", "BROADCAST"];
    table.row(0, head.map(|text| Cell::new(text, BOLD)));
    for one in found {
        let Line { key, cluster, services, broadcast, r#type, .. } = Line::of(one);
        let left = until(one).map_or_else(String::new, |until| left(until - now));
        let services = if services.is_empty() { Cell::new("all", DIM) } else { services.into() };
        let key = key.map_or_else(|| Cell::new("(open)", DIM), Cell::from);
        let cluster = cluster.rsplit('/').next().unwrap_or(cluster);
        table.row(0, [key, cluster.into(), services, left.into(), r#type.into(), broadcast.into()]);
    }
    let columns = console.columns();
    write!(console.out(), "{}", table.render(columns)).map_err(Failure::output)?;
    Ok(Exit::Done)
}

/// The events with their data, as JSON: one on each line.
fn show(found: &[Standing], console: &mut Console) -> Result<Exit, Failure> {
    for broadcast in found.iter().filter_map(|one| one.broadcast.as_ref()) {
        let text = serde_json::to_string(&broadcast.event);
        let text = text.map_err(|error| Failure::failed("the event cannot be shown").because(&error))?;
        writeln!(console.out(), "{text}").map_err(Failure::output)?;
    }
    Ok(Exit::Done)
}

fn until(one: &Standing) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(one.until / 1_000).ok()
}

/// The whole minutes that are left, or the seconds.
fn left(left: time::Duration) -> String {
    let seconds = u64::try_from(left.whole_seconds()).unwrap_or_default();
    let whole = if seconds < 120 { seconds } else { seconds / 60 * 60 };
    base::time(Duration::from_secs(whole))
}
