//! The end of a broadcast: its report, and the error if not every container was notified.

use std::io::Write;

use notifier::base::text::printable;
use notifier::report::{Counts, Line, Report, Verdict};
use notifier::rollout::Stopped;
use wire::BroadcastId;

use crate::args::{AllowArgs, Format};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::{answers, format, records, report};

/// The error of a broadcast that was stopped between or in its waves.
pub(crate) fn stopped(stopped: &Stopped, counts: Counts) -> Failure {
    let reason = printable(&stopped.reason, REASON_CHARS_MAX);
    let hint = if counts.failed + counts.rejected > 0 {
        "find out why the containers of the wave failed; then send the event with another id"
    } else {
        "no container failed: look at the reason above; then send the event with another id"
    };
    let rest = match counts.total() {
        0 => "no container was called".to_owned(),
        _ => not_notified(counts),
    };
    Failure::unsuccessful(format!("stopped {}: {rest}", stopped.place())).because_of(reason).hint(hint)
}

/// The most characters of the reason of a stop.
const REASON_CHARS_MAX: usize = 400;

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

/// Lines with the fields of a format.
pub(crate) fn in_format<'a>(
    lines: impl Iterator<Item = Line<'a>>,
    format: Format,
) -> impl Iterator<Item = Line<'a>> {
    lines.map(move |line| if format == Format::Csv { line.columns() } else { line })
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
        let waves = console.prose(&report::waves(report));
        let kept = answers::kept(report.kept_answers().as_ref(), columns, in_full);
        let advice = report::advice(shown, columns);
        write!(console.out(), "{text}{total}\n{replaced}{found}{waves}{kept}{advice}")
            .map_err(Failure::output)
    } else {
        let lines = in_format(shown.lines().into_iter(), format);
        records::write(console.out(), format, lines, &report.summary()).map_err(Failure::output)
    }
}
