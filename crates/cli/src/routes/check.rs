//! `routes check`: reads rules, and lists them or their mistakes.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, where backticks would show")]

use std::io::Write;

use clap::Args;
use notifier::base::Environment;
use notifier::sources::routes::{Rule, RuleScope};
use serde::Serialize;

use super::load;
use crate::args::{ForRoutes, Format, Global, SettingFlags};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::format::{count, duration};
use crate::render::records;
use crate::render::style::{BOLD, DIM};
use crate::render::table::{Cell, Table};

/// Check a rules file, and list its rules
///
/// Reports every mistake with file, line and rule. Calls AWS only for rules that are stored there.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RoutesCheckArgs {
    /// The rules: a path, or env:NAME, file:PATH, secretsmanager:ID or ssm:NAME [default: NOTIFIER_ROUTES]
    #[arg(value_name = "FILE", conflicts_with = "routes")]
    file: Option<String>,
    #[command(flatten)]
    settings: SettingFlags<ForRoutes>,
}

const EXAMPLES: &str = "\
Examples:
  ecs-task-notifier routes check routes.toml
  ecs-task-notifier routes check ssm:/prod/notifier/routes
  ecs-task-notifier routes check routes.toml --format json | jq -r '.rule // empty'";

/// One rule.
#[derive(Debug, Default, Serialize)]
struct Row<'a> {
    rule: &'a str,
    line: usize,
    /// Separated by spaces.
    clusters: String,
    /// `name=value`, separated by spaces.
    tags: String,
    /// Separated by spaces; empty for all.
    services: String,
    standalone: bool,
    /// `null`: the type of the record.
    r#type: Option<&'a str>,
    stop: bool,
    /// `null`: events do not replace each other.
    coalesce_ms: Option<u128>,
}

impl<'a> Row<'a> {
    fn new(rule: &'a Rule) -> Self {
        let scope = rule.scope();
        let tags: Vec<_> = scope.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Self {
            rule: rule.name(),
            line: rule.line(),
            clusters: scope.clusters.join(" "),
            tags: tags.join(" "),
            services: scope.services.join(" "),
            standalone: scope.standalone,
            r#type: rule.event_type(),
            stop: rule.stops(),
            coalesce_ms: rule.coalesce().map(|coalesce| coalesce.window.as_millis()),
        }
    }
}

/// Which tasks a rule notifies, for people.
pub(super) fn scope(scope: &RuleScope) -> String {
    let mut text = scope.clusters.join(", ");
    if !scope.tags.is_empty() {
        let tags: Vec<_> = scope.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        text = format!("{text} with {}", tags.join(", "));
    }
    if !scope.services.is_empty() {
        text = format!("{text}: {}", scope.services.join(", "));
    }
    if scope.standalone {
        text.push_str(", also tasks without a service");
    }
    text
}

pub(super) async fn run(
    global: &Global,
    args: RoutesCheckArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let routes =
        load::routes(global, args.file.as_deref(), &args.settings.flags, environment, console).await?;
    if console.format == Format::Text {
        let mut table = Table::default();
        for rule in routes.rules() {
            let mut notes = Vec::new();
            notes.extend(rule.coalesce().map(|one| format!("newest per key in {}", duration(one.window))));
            notes.extend(rule.pace().map(|_| "in waves".to_owned()));
            notes.extend(rule.cover().map(|cover| format!("open for {}", duration(cover))));
            notes.extend(rule.retain().map(|retain| format!("kept as {}", retain.key)));
            notes.extend(rule.stops().then(|| "stop".to_owned()));
            let cells = [
                Cell::new(rule.name(), BOLD),
                Cell::new(format!("line {}", rule.line()), DIM),
                Cell::from(rule.event_type().unwrap_or("type of the record")),
                Cell::from(scope(rule.scope())),
                Cell::new(notes.join(", "), DIM),
            ];
            table.row(0, cells);
        }
        let text = table.render(console.columns());
        write!(console.out(), "{text}").map_err(Failure::output)?;
        console.note(&format!("no mistakes in {}", count(routes.rules().len(), "rule")));
    } else {
        let summary = serde_json::json!({ "rules": routes.rules().len() });
        let (format, lines) = (console.format, routes.rules().iter().map(Row::new));
        records::write(console.out(), format, lines, &summary).map_err(Failure::output)?;
    }
    Ok(Exit::Done)
}
