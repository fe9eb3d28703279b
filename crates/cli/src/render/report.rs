//! A report as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use anstyle::Style;
use notifier::base::text::printable;
use notifier::model::{Cause, DiscoveryMethod, Found, Outcome, ServiceKey};
use notifier::report::{Counts, Line, Percentiles, Report, ServiceReport};

use super::format::{count, digits, duration, task};
use super::names::ServiceNames;
use super::style::{self, BOLD, DIM, GOOD, UNSURE};
use super::table::{Cell, Table};

/// A figure of a service's line: its name, and its value where the service has one.
type Figure = (&'static str, fn(&ServiceReport<'_>) -> Option<String>);

const P50: Figure = ("p50", |service| Some(duration(service.latency?.p50)));
const P99: Figure = ("p99", |service| Some(duration(service.latency?.p99)));
const MAX: Figure = ("max", |service| Some(duration(service.latency?.max)));
/// Only if a container needed more than one attempt.
const ATTEMPTS: Figure = ("attempts", |service| {
    let Percentiles { p50, p99, max } = service.attempts?;
    (max > 1).then(|| format!("p50 {p50} p99 {p99} max {max}"))
});
/// The figures of a service's line; narrow terminals get fewer.
const FIGURES: [&[Figure]; 5] = [&[P50, P99, MAX, ATTEMPTS], &[P50, P99, MAX], &[P50, MAX], &[MAX], &[]];
/// Up to this number of skips with one cause, or of interrupted calls, of a service have a line each; more of them share one line.
const SKIPS_NAMED_MAX: usize = 5;
/// The most characters of the reason of a stop.
const REASON_CHARS_MAX: usize = 400;
/// Statuses or causes that are listed for one advice.
const NAMED_MAX: usize = 3;

/// The report: each service with its containers that were not notified. `in_full` shows full task ids and every skip.
pub(crate) fn report(report: &Report, columns: Option<usize>, in_full: bool) -> String {
    // A narrow terminal shows fewer figures, but always names and counts.
    let with = |figures| table(report, figures, in_full);
    let fits = |table: &Table| columns.is_none_or(|columns| table.width(0) <= columns);
    let fitting = FIGURES.into_iter().map(with).find(fits);
    fitting.unwrap_or_else(|| with(&[])).render(columns)
}

fn table(report: &Report, figures: &[Figure], in_full: bool) -> Table {
    let mut services = report.services();
    // Problems come first.
    services.sort_by_key(|service| trouble(service.counts));
    let columns: Vec<_> = figures.iter().filter_map(|figure| column(figure, &services)).collect();
    let names = ServiceNames::of(services.iter().map(|service| service.key));
    let mut untold = BTreeMap::<ServiceKey<'_>, Vec<Line<'_>>>::new();
    for (entry, line) in report.entries().iter().zip(report.lines()) {
        if !entry.is_notified() {
            untold.entry(entry.member.service_key()).or_default().push(line);
        }
    }
    let mut table = Table::default();
    for (row, service) in services.iter().enumerate() {
        let figures = columns.iter().filter_map(|column| column.get(row));
        table.row(0, headline(service, names).into_iter().chain(figures.map(|text| Cell::new(text, DIM))));
        for lines in folded(untold.remove(&service.key).unwrap_or_default(), in_full) {
            table.row(1, detail(&lines, in_full));
        }
    }
    table
}

/// The order of services: first those with a container that was not notified, then those with a skipped container.
fn trouble(counts: Counts) -> u8 {
    match counts {
        Counts { failed: 0, rejected: 0, pending: 0, skipped: 0, .. } => 2,
        Counts { failed: 0, rejected: 0, pending: 0, .. } => 1,
        _ => 0,
    }
}

fn headline(service: &ServiceReport<'_>, names: ServiceNames) -> [Cell; 2] {
    let (notified, total) = (service.counts.notified(), service.counts.total());
    let style = if notified == total { GOOD } else { UNSURE };
    [
        Cell::new(names.name(service.key), BOLD),
        Cell::new(format!("{} of {} notified", digits(notified), digits(total)), style),
    ]
}

/// One figure of each service, aligned; `None` when none has it.
fn column((name, value): &Figure, services: &[ServiceReport<'_>]) -> Option<Vec<String>> {
    let values: Vec<_> = services.iter().map(value).collect();
    let width = values.iter().flatten().map(String::len).max()?;
    let cell =
        |value: Option<String>| value.map_or_else(String::new, |text| format!("{name} {text:>width$}"));
    Some(values.into_iter().map(cell).collect())
}

/// `59 older events were replaced by this one`; empty if there were none.
pub(crate) fn replaced(events: usize) -> String {
    let were = if events == 1 { "was" } else { "were" };
    if events == 0 {
        return String::new();
    }
    format!("{} {were} replaced by this one\n", count(events, "older event"))
}

/// `tasks found in the registry, 3 s old`; empty if that is not recorded, or is the usual way and not asked for (`in_full`).
pub(crate) fn found(found: Option<Found>, in_full: bool) -> String {
    match found {
        Some(found) if in_full || found.method == DiscoveryMethod::Registry => {
            format!("tasks found {}\n", way(found))
        }
        _ => String::new(),
    }
}

/// `in the registry, 3 s old`: how tasks were found.
pub(crate) fn way(Found { method, age_ms }: Found) -> String {
    match (method, age_ms) {
        (DiscoveryMethod::Registry, Some(age)) => {
            format!("in the registry, {} old", duration(Duration::from_millis(age)))
        }
        (DiscoveryMethod::Registry, None) => "in the registry".to_owned(),
        (DiscoveryMethod::Sweep, _) => "by a sweep of the cluster".to_owned(),
        (DiscoveryMethod::Services, _) => "service by service".to_owned(),
    }
}

/// `wave 1: 3 containers: 3 delivered` for each wave, and where and why the broadcast was stopped; empty without waves.
pub(crate) fn waves(report: &Report) -> String {
    let mut out = String::new();
    for wave in report.waves() {
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "wave {}: {}", wave.wave, total(wave.counts));
    }
    if let Some(stopped) = report.stopped() {
        let reason = printable(&stopped.reason, REASON_CHARS_MAX);
        let _ = writeln!(out, "stopped {}: {reason}", stopped.place());
    }
    out
}

/// What to do about the containers that were not notified: each advice once, with the number of containers and their
/// causes.
pub(crate) fn advice(report: &Report, columns: Option<usize>) -> String {
    let mut groups = BTreeMap::<_, (usize, BTreeSet<String>)>::new();
    for line in report.lines() {
        let Some(advice) = line.advice else { continue };
        let place = Outcome::ALL.iter().position(|outcome| Some(*outcome) == line.outcome);
        // Pending containers come last.
        let (number, what) = groups.entry((place.unwrap_or(Outcome::ALL.len()), advice)).or_default();
        *number += 1;
        what.extend(kind(&line));
    }
    if groups.is_empty() {
        return String::new();
    }
    let mut table = Table::default();
    table.row(0, [Cell::from("what to do:")]);
    for ((place, advice), (number, what)) in groups {
        let outcome = Outcome::ALL.get(place).copied();
        let more = if what.len() > NAMED_MAX { ", …" } else { "" };
        let what: Vec<_> = what.into_iter().take(NAMED_MAX).collect();
        table.row(
            1,
            [
                Cell::new(format!("{} {}", digits(number), word(outcome)), style::of(outcome)),
                Cell::new(format!("{}{more}", what.join(", ")), DIM),
                Cell::from(advice),
            ],
        );
    }
    table.render(columns)
}

/// The status of a container's answer, or else the cause.
fn kind(line: &Line<'_>) -> Option<String> {
    match (line.cause, line.status) {
        (None | Some(Cause::Answered), Some(status)) => Some(status.to_string()),
        (cause, _) => cause.map(|cause| cause.as_str().to_owned()),
    }
}

/// The lines of one service in groups of one row each: many skips with one cause, and many containers without an
/// outcome after an interrupted run, share a row; every other line has its own. A group is at the position of its first
/// line.
pub(super) fn folded<'a>(lines: Vec<Line<'a>>, in_full: bool) -> Vec<Vec<Line<'a>>> {
    let key = |line: &Line<'_>| match (line.outcome, line.cause) {
        (Some(Outcome::Skipped), cause) => Some((cause, false)),
        (None, cause @ Some(Cause::Interrupted)) => Some((cause, line.attempts.is_some())),
        _ => None,
    };
    let mut numbers = BTreeMap::<(Option<Cause>, bool), usize>::new();
    for key in lines.iter().filter_map(key) {
        *numbers.entry(key).or_default() += 1;
    }
    let mut groups = Vec::<Vec<Line<'a>>>::new();
    let mut places = BTreeMap::new();
    for line in lines {
        let many = |key: &_| numbers.get(key).is_some_and(|number| *number > SKIPS_NAMED_MAX);
        let group = key(&line).filter(many).filter(|_| !in_full);
        let place = group.map_or(groups.len(), |key| *places.entry(key).or_insert(groups.len()));
        match groups.get_mut(place) {
            Some(group) => group.push(line),
            None => groups.push(vec![line]),
        }
    }
    groups
}

/// The container and the reason; of a group, the number of containers and the reason.
pub(super) fn who_and_why(lines: &[Line<'_>], in_full: bool) -> (String, String) {
    let reasons: BTreeSet<_> = lines.iter().filter_map(|line| line.reason.as_deref()).collect();
    let Some(first) = lines.first() else { return (String::new(), String::new()) };
    let reason = first.reason.as_deref().unwrap_or("no answer yet");
    match (lines.len(), reasons.len()) {
        (1, _) => (place(first, in_full), reason.to_owned()),
        (number, 0 | 1) => (count(number, "container"), format!("{reason} (--verbose names each)")),
        (number, reasons) => (
            count(number, "container"),
            format!("{reason}, and {} (--verbose names each)", count(reasons - 1, "similar reason")),
        ),
    }
}

pub(super) fn detail(lines: &[Line<'_>], in_full: bool) -> Vec<Cell> {
    let Some(first) = lines.first() else { return Vec::new() };
    let attempts = match first.attempts {
        Some(attempts) if attempts > 1 => format!(", {attempts} attempts"),
        _ => String::new(),
    };
    let (who, why) = who_and_why(lines, in_full);
    let address = first.address.filter(|_| lines.len() == 1);
    vec![
        Cell::new(word(first.outcome), style::of(first.outcome)),
        Cell::from(address.map_or_else(|| "-".to_owned(), |address| address.to_string())),
        Cell::new(who, DIM),
        Cell::from(format!("{why}{attempts}")),
    ]
}

/// Task and container, if known.
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

/// `14 delivered` and so on, for each outcome that occurred.
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
