//! Compares the demo's results with what was staged: by the report, and by the requests that the containers received.

use std::collections::BTreeMap;

use notifier::report::{BroadcastState, Counts};
use simulator::Received;
use wire::headers;
use wire::signature::{SignatureHeaders, TOLERANCE, VerifyingKeys};

use super::staging::Role;
use crate::failure::Failure;
use crate::render::format::count;
use crate::render::report;
use crate::render::style::{BAD, BOLD, DIM, GOOD};
use crate::render::table::{Cell, Table};

/// The result of one service, and the expected result.
#[derive(Debug)]
pub(super) struct Check<'a> {
    pub(super) role: &'a Role,
    counts: Counts,
    /// Numbers of calls by task, without tasks that received none; the fewest first.
    calls: Vec<usize>,
}

/// One check for each service.
pub(super) fn checks<'a>(cast: &'a [Role], state: &BroadcastState, received: &[Received]) -> Vec<Check<'a>> {
    let counts = state.services().into_iter().map(|(key, counts)| (key.service, counts));
    let counts: BTreeMap<&str, Counts> = counts.collect();
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

/// Checks that every call was signed by these keys, at the time of its header: the simulated AWS has its own clock.
pub(super) fn signatures(keys: &VerifyingKeys, received: &[Received]) -> Result<(), Failure> {
    for call in received {
        let header = |name| call.header(name).unwrap_or_default();
        let (id, timestamp) = (header(headers::WEBHOOK_ID), header(headers::WEBHOOK_TIMESTAMP));
        let now = timestamp.parse().unwrap_or_default();
        let signed =
            SignatureHeaders::parse(id, timestamp, header(headers::WEBHOOK_SIGNATURE), now, TOLERANCE);
        signed.and_then(|signed| keys.verify(&signed, &call.body)).map_err(|error| {
            Failure::unsuccessful(format!("{} received a call without a valid signature", call.task))
                .because(&error)
        })?;
    }
    Ok(())
}

impl Check<'_> {
    /// Whether report and calls are as staged.
    pub(super) fn is_right(&self) -> bool {
        let mut calls = self.role.calls.clone();
        calls.sort_unstable();
        self.counts == self.role.counts && self.calls == calls
    }
}

/// The checks for people: each service with a special case, the ordinary ones in one row, and each wrong result.
pub(super) fn table(checks: &[Check<'_>]) -> Table {
    let mut table = Table::default();
    let (ordinary, special): (Vec<_>, Vec<_>) =
        checks.iter().partition(|check| check.role.is_ordinary() && check.is_right());
    for check in special {
        let Check { role, counts, calls } = check;
        if check.is_right() {
            row(&mut table, true, &role.name, *counts, received(calls), role.shows);
        } else {
            row(&mut table, false, &role.name, *counts, by_task(calls), role.shows);
            let staged = format!("staged: {}", ended(role.counts));
            table.row(0, ["", "", &staged, &by_task(&role.calls), ""].map(|text| Cell::new(text, BAD)));
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
            number => format!("{number} ordinary services (bridge)"),
        };
        row(&mut table, true, "ordinary-…", counts, received(&calls), &shows);
    }
    table
}

fn row(table: &mut Table, is_right: bool, name: &str, counts: Counts, calls: String, shows: &str) {
    let (sign, style) = if is_right { ("✓", GOOD) } else { ("✗", BAD) };
    table.row(
        0,
        [
            Cell::new(sign, style),
            Cell::new(name, BOLD),
            Cell::from(ended(counts)),
            Cell::from(calls),
            Cell::new(shows, DIM),
        ],
    );
}

/// `1 delivered, 1 skipped`.
fn ended(counts: Counts) -> String {
    match report::outcomes(counts).as_slice() {
        [] => "no opt-in".to_owned(),
        some => some.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(", "),
    }
}

/// `6 calls`.
fn received(calls: &[usize]) -> String {
    count(calls.iter().sum(), "call")
}

/// `6 calls: 2 + 4`, one number per task.
fn by_task(calls: &[usize]) -> String {
    let each: Vec<String> = calls.iter().map(usize::to_string).collect();
    if each.len() < 2 { received(calls) } else { format!("{}: {}", received(calls), each.join(" + ")) }
}

#[cfg(test)]
mod tests {
    use super::super::staging;
    use super::*;

    #[test]
    fn what_ends_as_staged_is_ticked_and_what_does_not_stands_beside_what_was_staged() {
        let cast = staging::cast(2, 3);
        let mut checks: Vec<Check<'_>> = cast
            .iter()
            .map(|role| Check { role, counts: role.counts, calls: role.calls.clone() })
            .filter(|check| ["pricing", "ordinary-1", "ordinary-2"].contains(&check.role.name.as_str()))
            .collect();
        assert!(checks.iter().all(Check::is_right));
        let shown =
            |checks: &[Check<'_>]| anstream::adapter::strip_str(&table(checks).render(None)).to_string();
        insta::assert_snapshot!(shown(&checks), @r#"
        ✓  pricing     2 delivered  6 calls  fails twice, then works
        ✓  ordinary-…  6 delivered  6 calls  2 ordinary services (bridge)
        "#);

        // The sum is right, and one task was called once too often.
        checks[0].calls = vec![2, 4];
        checks[1].counts = Counts { delivered: 2, failed: 1, ..Counts::default() };
        assert_eq!(checks.iter().map(Check::is_right).collect::<Vec<_>>(), [false, false, true]);
        insta::assert_snapshot!(shown(&checks), @r#"
        ✗  pricing     2 delivered            6 calls: 2 + 4      fails twice, then works
                       staged: 2 delivered    6 calls: 3 + 3
        ✗  ordinary-1  2 delivered, 1 failed  3 calls: 1 + 1 + 1  an ordinary service (bridge)
                       staged: 3 delivered    3 calls: 1 + 1 + 1
        ✓  ordinary-…  3 delivered            3 calls             an ordinary service (bridge)
        "#);
    }
}
