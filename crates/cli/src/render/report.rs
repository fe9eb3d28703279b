//! A report as text.

use anstyle::Style;
use notifier::outcome::Outcome;
use notifier::report::{Counts, Latency, Line, Report, ServiceReport};

use super::style::{self, BOLD, DIM, GOOD, UNSURE};
use super::table::{Cell, Table};
use super::units::{count, digits, duration, task};

/// Which latencies a service's line shows, the most first.
const LATENCIES: [&[&str]; 4] = [&["p50", "p99", "max"], &["p50", "max"], &["max"], &[]];

/// The report, each service with those of its containers that were not told. `in_full` shows whole task ids.
pub(crate) fn report(report: &Report, columns: Option<usize>, in_full: bool) -> String {
    // What a narrow terminal has no room for are latencies, not names and counts.
    let with = |latencies| table(report, latencies, in_full);
    let fits = |table: &Table| columns.is_none_or(|columns| table.width(0) <= columns);
    let fitting = LATENCIES.into_iter().map(with).find(fits);
    fitting.unwrap_or_else(|| with(&[])).render(columns)
}

fn table(report: &Report, latencies: &[&str], in_full: bool) -> Table {
    let services = report.services();
    let lines = report.lines();
    let mut table = Table::default();
    for service in &services {
        let of_service = services.iter().map(|s| s.latency);
        table.row(0, headline(service, &shown(latencies, service.latency, of_service)));
        let untold = lines.iter().filter(|line| !line.is_told());
        for line in untold.filter(|line| line.service.unwrap_or_default() == service.service) {
            table.row(1, detail(line, in_full));
        }
    }
    table
}

fn headline(service: &ServiceReport<'_>, latencies: &[String]) -> Vec<Cell> {
    let (told, total) = (service.counts.told(), service.counts.total());
    let name = if service.service.is_empty() { "(no service)" } else { service.service };
    let style = if told == total { GOOD } else { UNSURE };
    let mut cells =
        vec![Cell::new(name, BOLD), Cell::new(format!("{} of {} told", digits(told), digits(total)), style)];
    cells.extend(latencies.iter().map(|latency| Cell::new(latency.as_str(), DIM)));
    cells
}

/// The latencies of one service, each aligned with those of all services.
#[expect(clippy::needless_pass_by_value, reason = "an iterator is passed by value")]
fn shown(
    names: &[&str],
    latency: Option<Latency>,
    all: impl Iterator<Item = Option<Latency>> + Clone,
) -> Vec<String> {
    let value = |latency: Option<Latency>, name: &str| {
        let Latency { p50, p99, max } = latency?;
        Some(duration(match name {
            "p50" => p50,
            "p99" => p99,
            _ => max,
        }))
    };
    let column = |name: &&str| {
        let width = all.clone().filter_map(|one| value(one, name)).map(|text| text.len()).max();
        value(latency, name).map_or_else(String::new, |text| {
            format!("{name} {text:>width$}", width = width.unwrap_or_default())
        })
    };
    names.iter().map(column).collect()
}

fn detail(line: &Line<'_>, in_full: bool) -> Vec<Cell> {
    let tries = match line.attempts {
        Some(attempts) if attempts > 1 => format!(", {attempts} tries"),
        _ => String::new(),
    };
    let reason = line.reason.as_deref().unwrap_or("no answer yet");
    vec![
        Cell::new(word(line.outcome), style::of(line.outcome)),
        Cell::from(line.address.as_deref().unwrap_or("-")),
        Cell::new(place(line, in_full), DIM),
        Cell::from(format!("{reason}{tries}")),
    ]
}

/// Task and container, as far as they are known.
pub(super) fn place(line: &Line<'_>, in_full: bool) -> String {
    match (line.task, line.container) {
        (Some(arn), Some(container)) => format!("{}/{container}", task(arn, in_full)),
        (Some(arn), None) => task(arn, in_full).to_owned(),
        (None, Some(container)) => container.to_owned(),
        (None, None) => "-".to_owned(),
    }
}

/// `17 containers: 14 delivered, 1 rejected, 2 skipped`.
pub(crate) fn total(counts: Counts) -> String {
    let all = count(counts.total(), "container");
    let parts: Vec<String> =
        outcomes(counts).into_iter().map(|(style, text)| format!("{style}{text}{style:#}")).collect();
    if parts.is_empty() { all } else { format!("{all}: {}", parts.join(", ")) }
}

/// `14 delivered` and so on, for each outcome that there was.
pub(crate) fn outcomes(counts: Counts) -> Vec<(Style, String)> {
    let outcomes = Outcome::ALL.into_iter().map(Some).chain([None]);
    let there = outcomes.filter(|outcome| counts.of(*outcome) > 0);
    there
        .map(|outcome| (style::of(outcome), format!("{} {}", digits(counts.of(outcome)), word(outcome))))
        .collect()
}

fn word(outcome: Option<Outcome>) -> &'static str {
    outcome.map_or("pending", Outcome::as_str)
}
