//! What a run ends with: its report, and what is said when not all were told.

use std::io::Write;

use notifier::report::{Counts, Report};

use crate::args::Format;
use crate::console::Console;
use crate::failure::Failure;
use crate::render::{records, report, units};

/// What to do where all but skips were told.
pub(crate) const ONLY_SKIPS: &str = "--allow-skips forgives containers that cannot be called";

/// `2 of 17 containers were not told`.
pub(crate) fn not_told(counts: Counts) -> String {
    let untold = counts.total() - counts.told();
    let verb = if untold == 1 { "was" } else { "were" };
    format!("{} of {} {verb} not told", units::digits(untold), units::count(counts.total(), "container"))
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
