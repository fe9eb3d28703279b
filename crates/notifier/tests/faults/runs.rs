//! The invariants of runs of `send`. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use notifier::deliver::GRACE_DEFAULT;
use notifier::ledger::Recorded;
use notifier::model::{Delivery, Outcome};
use simulator::Received;

use crate::direct::{Ended, SendRun};
use crate::invariants::{Judge, Member, shown};
use crate::world::{Broadcast, Expected};

/// How long a process may cache that a broadcast was not cancelled.
const CANCEL_WITHIN: Duration = Duration::from_secs(1);
/// How far the clocks of two lanes may be apart, and how long a request is on its way.
const SLACK: Duration = Duration::from_millis(600);

/// The containers of a report by task and name. What stands for tasks that were not found has none.
fn by_member(entries: &[Delivery]) -> BTreeMap<Member<'_>, Vec<&Delivery>> {
    let mut all: BTreeMap<Member<'_>, Vec<&Delivery>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.member.task.is_empty()) {
        all.entry((&entry.member.task, &entry.member.container)).or_default().push(entry);
    }
    all
}

fn entries(recorded: Option<&Recorded>) -> &[Delivery] {
    recorded.map_or(&[], |recorded| recorded.report.entries())
}

impl<'a> Judge<'a> {
    /// All that concerns one broadcast.
    pub(crate) fn runs_are_right(
        &mut self,
        place: usize,
        broadcast: &Broadcast,
        expected: &BTreeMap<Member<'a>, (&Expected, bool)>,
        calls: &BTreeMap<Member<'a>, Vec<usize>>,
    ) {
        let seen = self.seen;
        let at = &broadcast.id;
        for (number, run) in seen.runs.iter().enumerate().filter(|(_, run)| run.broadcast == place) {
            let at = format!("{at}, run {number}");
            self.whoever_was_notified_is_not_called(&at, run, calls, expected);
            self.report_is_whole(&at, run);
            if self.world.has_ledger() {
                self.report_is_recorded(&at, run);
            }
        }
        self.nobody_is_called_between_runs(at, place, calls);
        let cancelled_at = seen.cancelled.get(&place).copied();
        if let Some(cancelled_at) = cancelled_at {
            let end = cancelled_at + CANCEL_WITHIN + SLACK;
            self.nobody_is_called_after(
                &format!("{at}, cancelled at {cancelled_at:?}"),
                end,
                calls,
                0..usize::MAX,
            );
        }
        let is_same = |run: &&SendRun| run.broadcast == place && !matches!(run.ended, Ended::Stopped);
        let last = seen.runs.iter().rfind(is_same);
        let recorded = seen.recorded[place].as_ref();
        if cancelled_at.is_some() {
            self.cancelled_outcomes_are_right(at, expected, calls, entries(recorded));
            return;
        }
        // After a stop, no run completes what a killed one leaves.
        let is_left = last.is_some_and(|run| !matches!(run.ended, Ended::Done(_) | Ended::Incomplete(_)));
        if seen.stopped.contains_key(at) && is_left {
            self.cancelled_outcomes_are_right(at, expected, calls, entries(recorded));
            return;
        }
        if self.world.has_ledger() {
            if !recorded.is_some_and(|recorded| recorded.is_complete) {
                self.fail(format!("{at}: the ledger's broadcast is not complete: {recorded:#?}"));
            }
            self.outcomes_are_right(broadcast, expected, calls, entries(recorded));
        }
        match last {
            // The report of a resend has the containers that were not notified in the ledger.
            Some(SendRun { ended: Ended::Done(report), is_resend: false, .. }) => {
                self.outcomes_are_right(broadcast, expected, calls, report.entries());
            }
            Some(SendRun { ended: Ended::Done(_), .. }) => {}
            // When it was killed or interrupted, or an answer of the ledger was lost, everything was recorded.
            Some(SendRun { ended: Ended::Killed | Ended::Interrupted(_) | Ended::Failed(_), .. })
                if self.world.resends => {}
            Some(SendRun { ended: Ended::Failed(why), .. }) => {
                self.fail(format!("{at}: the last run failed: {why}"));
            }
            other => self.fail(format!("{at}: the last run did not end: {other:#?}")),
        }
    }

    /// Neither by a run before, as far as the ledger knew when this one began, nor in the same run.
    fn whoever_was_notified_is_not_called(
        &mut self,
        at: &str,
        run: &SendRun,
        calls: &BTreeMap<Member<'_>, Vec<usize>>,
        expected: &BTreeMap<Member<'_>, (&Expected, bool)>,
    ) {
        let before = by_member(entries(run.before.as_ref()));
        let was_cancelled = run.before.as_ref().is_some_and(|before| before.cancelled.is_some());
        if was_cancelled && run.ended.report().is_some() {
            self.fail(format!("{at}: it was cancelled before, and the run went on: {:?}", run.ended));
        }
        for (member, numbers) in calls {
            let within: Vec<usize> =
                numbers.iter().copied().filter(|number| run.calls.contains(number)).collect();
            if within.is_empty() {
                continue;
            }
            if was_cancelled {
                self.fail(format!("{at}: it was cancelled before, and {member:?} was called"));
            }
            if before.get(member).is_some_and(|known| known.iter().any(|known| known.is_notified())) {
                self.fail(format!("{at}: {member:?} was notified before, and called {} times", within.len()));
            }
            let is_to_accept =
                matches!(expected.get(member), Some((Expected::Called(Outcome::Delivered), _)));
            let accepted = self.accepted(*member, Some(&within));
            let accepted = accepted.iter().find(|number| !self.may_be_lost(&self.seen.calls[**number]));
            if is_to_accept && accepted.is_some_and(|accepted| within.last() != Some(accepted)) {
                self.fail(format!("{at}: {member:?} was called again after it had accepted"));
            }
        }
        if let Some(stopped_at) = run.stopped_at {
            // A lookup under way may still end in a call, within the grace.
            let end = stopped_at + GRACE_DEFAULT + SLACK;
            self.nobody_is_called_after(&format!("{at}, interrupted"), end, calls, run.calls.clone());
        }
    }

    /// Whether the task's connections were closed while the answer was on its way.
    fn may_be_lost(&self, call: &Received) -> bool {
        let on_its_way = call.at.saturating_sub(SLACK)..=call.at + call.delay + SLACK;
        self.seen.closed.iter().any(|(task, at)| *task == call.task && on_its_way.contains(at))
    }

    pub(crate) fn nobody_is_called_after(
        &mut self,
        at: &str,
        end: Duration,
        calls: &BTreeMap<Member<'_>, Vec<usize>>,
        within: std::ops::Range<usize>,
    ) {
        let seen = self.seen;
        let numbers = calls.values().flatten().filter(|number| within.contains(number));
        let late: Vec<&Received> =
            numbers.map(|number| &seen.calls[*number]).filter(|call| call.at > end).collect();
        if let Some(call) = late.first() {
            let what =
                format!("{at}: {} calls after {end:?}, one at {:?}: {}", late.len(), call.at, shown(call));
            self.fail(what);
        }
    }

    fn nobody_is_called_between_runs(
        &mut self,
        at: &str,
        place: usize,
        calls: &BTreeMap<Member<'_>, Vec<usize>>,
    ) {
        let seen = self.seen;
        let runs: Vec<_> = seen.runs.iter().filter(|run| run.broadcast == place).collect();
        let is_within = |number: &usize| runs.iter().any(|run| run.calls.contains(number));
        let outside: Vec<_> = calls.values().flatten().filter(|number| !is_within(number)).collect();
        if !outside.is_empty() {
            self.fail(format!("{at}: calls {outside:?} came in while no run of it was under way"));
        }
    }

    /// One entry for each container, with an outcome if the run has completed.
    fn report_is_whole(&mut self, at: &str, run: &SendRun) {
        let Some(report) = run.ended.report() else { return };
        for (member, found) in by_member(report.entries()) {
            if found.len() != 1 {
                self.fail(format!("{at}: {member:?} is reported {} times: {found:#?}", found.len()));
            }
        }
        if matches!(run.ended, Ended::Interrupted(_)) && run.stopped_at.is_none() {
            self.fail(format!("{at}: it was not interrupted: {report:#?}"));
        }
    }

    /// The report agrees with the ledger; for containers that are not in the report, the ledger is unchanged.
    fn report_is_recorded(&mut self, at: &str, run: &SendRun) {
        let Some(report) = run.ended.report() else { return };
        let (before, after) =
            (by_member(entries(run.before.as_ref())), by_member(entries(run.after.as_ref())));
        let reported = by_member(report.entries());
        for (member, found) in &reported {
            let outcomes = |found: &[&Delivery]| found.iter().map(|entry| entry.outcome).collect::<Vec<_>>();
            let recorded = after.get(member).map(|found| outcomes(found)).unwrap_or_default();
            if recorded != outcomes(found) {
                let what = format!("{at}: the ledger has {recorded:?} of {member:?}, the report {found:#?}");
                self.fail(what);
            }
        }
        for (member, found) in after.iter().filter(|(member, _)| !reported.contains_key(*member)) {
            let known = before.get(member).and_then(|known| known.first()).and_then(|known| known.outcome);
            let outcome = found.first().and_then(|found| found.outcome);
            let has_stopped = self.seen.tasks.iter().any(|(arn, stopped)| arn == member.0 && *stopped);
            let is_gone = outcome == Some(Outcome::Gone) && has_stopped;
            let is_right =
                !matches!(run.ended, Ended::Done(_)) || is_gone || known.is_some() && known == outcome;
            if found.len() != 1 || !is_right {
                self.fail(format!(
                    "{at}: the report does not have {member:?}; it was {known:?}, now {found:#?}"
                ));
            }
        }
    }

    /// At most one entry for each container, and none that contradicts the calls.
    pub(crate) fn cancelled_outcomes_are_right(
        &mut self,
        at: &str,
        expected: &BTreeMap<Member<'_>, (&Expected, bool)>,
        calls: &BTreeMap<Member<'_>, Vec<usize>>,
        entries: &[Delivery],
    ) {
        for (member, found) in by_member(entries) {
            let accepted = !self.accepted(member, calls.get(&member)).is_empty();
            let is_right = match (expected.get(&member), found.as_slice()) {
                (Some((expected, has_stopped)), [Delivery { outcome, .. }]) => match (expected, outcome) {
                    (Expected::Ignored, _) => false,
                    (Expected::Called(_), Some(Outcome::Delivered)) => accepted,
                    (expected, Some(Outcome::Gone)) => {
                        *has_stopped || matches!(expected, Expected::Called(Outcome::Gone))
                    }
                    (Expected::Called(ends), Some(Outcome::Rejected)) => *ends == Outcome::Rejected,
                    (Expected::Skipped, outcome) => matches!(outcome, None | Some(Outcome::Skipped)),
                    (Expected::Called(_), None | Some(Outcome::Skipped | Outcome::Failed)) => true,
                },
                _ => false,
            };
            if !is_right {
                self.fail(format!("{at}, cancelled: {member:?} (accepted: {accepted}) is {found:#?}"));
            }
        }
    }
}
