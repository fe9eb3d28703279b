//! What a run ends with: its report, and what is said when not all were told.

use std::io::Write;

use notifier::report::{Counts, Report, Verdict};
use wire::BroadcastId;

use crate::args::{AllowArgs, Format};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::{records, report, units};

/// What to do where all but skips were told.
pub(crate) const ONLY_SKIPS: &str = "--allow-skips forgives containers that cannot be called";

/// `2 of 17 containers were not told`.
pub(crate) fn not_told(counts: Counts) -> String {
    let untold = counts.total() - counts.notified();
    let verb = if untold == 1 { "was" } else { "were" };
    format!("{} of {} {verb} not told", units::digits(untold), units::count(counts.total(), "container"))
}

/// What the counts of a broadcast that has ended mean. `empty` says why it has no opted-in container, if it has none, and
/// `advice` what to do about containers that were not notified.
pub(crate) fn judge(
    counts: Counts,
    allow: AllowArgs,
    empty: &str,
    advice: impl FnOnce() -> String,
    console: &mut Console,
) -> Result<Exit, Failure> {
    match counts.verdict(allow.allow_skips) {
        Verdict::Notified => Ok(Exit::Done),
        Verdict::Missed => Err(Failure::not_told(not_told(counts)).hint(advice())),
        Verdict::Nobody => {
            let why = match counts.total() {
                0 => empty.to_owned(),
                skipped => format!("{} skipped, and no other opted in", units::count(skipped, "container")),
            };
            if allow.allow_empty {
                console.warn(&format!("no container was notified: {why}"));
                return Ok(Exit::Done);
            }
            Err(Failure::not_told("no container was notified").because_of(why).hint(
                "`ecs-task-notifier plan` shows what runs in a scope and why it is not called; if nobody had to be \
                 notified, --allow-empty accepts that",
            ))
        }
    }
}

/// Why a scope has no opted-in container.
pub(crate) fn no_labels(scope: &str) -> String {
    format!("no running container in {scope} has the labels")
}

/// `interrupted: 2 of 4 containers have no outcome`.
pub(crate) fn interrupted(counts: Counts) -> String {
    let verb = if counts.pending == 1 { "has" } else { "have" };
    let (pending, all) = (units::digits(counts.pending), units::count(counts.total(), "container"));
    format!("interrupted: {pending} of {all} {verb} no outcome")
}

/// How to go on with a broadcast that was interrupted.
pub(crate) fn go_on(broadcast: &BroadcastId) -> String {
    format!("`ecs-task-notifier send --failed-of {broadcast}` calls whoever was not told, and nobody else")
}

/// Writes a report in the format that was asked for.
pub(crate) fn show(report: &Report, console: &mut Console) -> Result<(), Failure> {
    show_some(report, report, console)
}

/// Writes those of a report that are `shown`; the totals are those of all.
pub(crate) fn show_some(report: &Report, shown: &Report, console: &mut Console) -> Result<(), Failure> {
    let (format, columns, in_full) = (console.format, console.columns(), console.verbose > 0);
    if format == Format::Text {
        let text = report::report(shown, columns, in_full);
        let total = console.prose(&report::total(report.counts()));
        let advice = report::advice(shown, columns);
        write!(console.out(), "{text}{total}\n{advice}").map_err(Failure::output)
    } else {
        records::write(console.out(), format, shown.lines(), &report.summary()).map_err(Failure::output)
    }
}
