//! Whether the demo ended as staged: by the report, and by what the containers themselves received.

use std::collections::BTreeMap;

use notifier::report::{Counts, Tally};
use simulator::Received;

use super::staging::Role;
use crate::render::report;
use crate::render::style::{BAD, BOLD, DIM, GOOD};
use crate::render::table::{Cell, Table};
use crate::render::units::count;

/// How one service ended, beside how it must.
#[derive(Debug)]
pub(super) struct Check<'a> {
    pub(super) role: &'a Role,
    counts: Counts,
    /// Requests that each of its tasks received, for those that received any; the fewest first.
    calls: Vec<usize>,
}

/// One check for each service.
pub(super) fn checks<'a>(cast: &'a [Role], tally: &Tally, received: &[Received]) -> Vec<Check<'a>> {
    let counts: BTreeMap<&str, Counts> = tally.services().collect();
    let mut calls = BTreeMap::<&str, BTreeMap<&str, usize>>::new();
    for request in received {
        let service = request.service.as_deref().unwrap_or_default();
        *calls.entry(service).or_default().entry(&request.task).or_default() += 1;
    }
    let check = |role: &'a Role| {
        let mut calls: Vec<usize> =
            calls.remove(role.name.as_str()).unwrap_or_default().into_values().collect();
        calls.sort_unstable();
        Check { role, counts: counts.get(role.name.as_str()).copied().unwrap_or_default(), calls }
    };
    cast.iter().map(check).collect()
}

impl Check<'_> {
    /// Whether both agree with what was staged.
    pub(super) fn is_right(&self) -> bool {
        let mut calls = self.role.calls.clone();
        calls.sort_unstable();
        self.counts == self.role.counts && self.calls == calls
    }
}

/// The checks for people: each service that shows something, the ordinary ones together, whatever went wrong by itself.
pub(super) fn table(checks: &[Check<'_>]) -> Table {
    let mut table = Table::default();
    let (ordinary, special): (Vec<_>, Vec<_>) =
        checks.iter().partition(|check| check.role.is_ordinary() && check.is_right());
    for check in special {
        row(&mut table, check.is_right(), &check.role.name, check.counts, &check.calls, check.role.shows);
        if !check.is_right() {
            let staged = format!("staged: {}", ended(check.role.counts));
            let requests = requests(&check.role.calls);
            table.row(0, ["", "", &staged, &requests, ""].map(|text| Cell::new(text, BAD)));
        }
    }
    if let Some(first) = ordinary.first() {
        let mut counts = Counts::default();
        for check in &ordinary {
            counts.merge(check.counts);
        }
        let calls: Vec<usize> = ordinary.iter().flat_map(|check| check.calls.iter().copied()).collect();
        let shows = match ordinary.len() {
            1 => first.role.shows.to_owned(),
            number => format!("{number} ordinary services in bridge mode"),
        };
        row(&mut table, true, "ordinary-…", counts, &calls, &shows);
    }
    table
}

fn row(table: &mut Table, is_right: bool, name: &str, counts: Counts, calls: &[usize], shows: &str) {
    let (sign, style) = if is_right { ("✓", GOOD) } else { ("✗", BAD) };
    table.row(
        0,
        [
            Cell::new(sign, style),
            Cell::new(name, BOLD),
            Cell::from(ended(counts)),
            Cell::from(requests(calls)),
            Cell::new(shows, DIM),
        ],
    );
}

/// `1 delivered, 1 skipped`.
fn ended(counts: Counts) -> String {
    match report::outcomes(counts).as_slice() {
        [] => "nobody asked".to_owned(),
        some => some.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(", "),
    }
}

fn requests(calls: &[usize]) -> String {
    count(calls.iter().sum(), "request")
}
