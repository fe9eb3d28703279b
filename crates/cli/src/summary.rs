//! The end of a broadcast: its report, and the error if not every container was notified.

use std::io::Write;

use notifier::report::{Counts, Report, Verdict};
use wire::BroadcastId;

use crate::args::{AllowArgs, Format};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::{format, records, report};

/// What to do if all containers but the skipped ones were notified.
pub(crate) const ONLY_SKIPS: &str = "--allow-skips accepts skipped containers";

/// `2 of 17 containers were not notified`.
pub(crate) fn not_notified(counts: Counts) -> String {
    let missed = counts.total() - counts.notified();
    let verb = if missed == 1 { "was" } else { "were" };
    format!(
        "{} of {} {verb} not notified",
        format::digits(missed),
        format::count(counts.total(), "container")
    )
}

/// The exit code or the error for the counts of a broadcast that has ended. `empty` is the reason if no container opted
/// in, and `advice` says what to do about containers that were not notified.
pub(crate) fn judge(
    counts: Counts,
    allow: AllowArgs,
    empty: &str,
    advice: impl FnOnce() -> String,
    console: &mut Console,
) -> Result<Exit, Failure> {
    match counts.verdict(allow.allow_skips) {
        Verdict::Notified => Ok(Exit::Done),
        Verdict::Missed => Err(Failure::unsuccessful(not_notified(counts)).hint(advice())),
        Verdict::Nobody => {
            let why = match counts.total() {
                0 => empty.to_owned(),
                skipped => format!("{} skipped, and no other opted in", format::count(skipped, "container")),
            };
            if allow.allow_empty {
                console.warn(&format!("no container was notified: {why}"));
                return Ok(Exit::Done);
            }
            Err(Failure::unsuccessful("no container was notified").because_of(why).hint(
                "`ecs-task-notifier plan` shows the containers of a scope, and why they are not called; if none is \
                 expected, use --allow-empty",
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
    let (pending, all) = (format::digits(counts.pending), format::count(counts.total(), "container"));
    format!("interrupted: {pending} of {all} {verb} no outcome")
}

/// How to continue a broadcast that was interrupted.
pub(crate) fn go_on(broadcast: &BroadcastId) -> String {
    format!(
        "`ecs-task-notifier send --failed-of {broadcast}` calls only the containers that were not notified"
    )
}

/// Writes a report in the chosen format.
pub(crate) fn show(report: &Report, console: &mut Console) -> Result<(), Failure> {
    show_some(report, report, console)
}

/// Writes the part of a report that is `shown`, with the totals of the whole report.
pub(crate) fn show_some(report: &Report, shown: &Report, console: &mut Console) -> Result<(), Failure> {
    let (format, columns, in_full) = (console.format, console.columns(), console.verbose > 0);
    if format == Format::Text {
        let text = report::report(shown, columns, in_full);
        let total = console.prose(&report::total(report.counts()));
        let replaced = report::replaced(report.folded());
        let found = report::found(report.found(), in_full);
        let advice = report::advice(shown, columns);
        write!(console.out(), "{text}{total}\n{replaced}{found}{advice}").map_err(Failure::output)
    } else {
        records::write(console.out(), format, shown.lines(), &report.summary()).map_err(Failure::output)
    }
}
