//! The invariants of broadcasts that go through their fleet in waves. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use notifier::model::{Cause, Delivery, Outcome};
use notifier::report::Report;

use crate::invariants::{Judge, Member};
use crate::paced::{Most, Paced, Pause};
use crate::script::TIMEOUT_MS;
use crate::world::{Broadcast, Expected, Form};

/// How far the clocks of two lanes may be apart, with the time that a request or a record is on its way.
const SLACK: Duration = Duration::from_millis(1_500);
/// How long after a stop or a cancellation a message that a daemon has already received may still be worked on.
const UNDER_WAY: Duration = Duration::from_secs(60);

/// The containers of each wave, of one service or of a whole broadcast.
type Waves<'a> = BTreeMap<u16, BTreeSet<Member<'a>>>;

/// Containers that go through the waves together, and what is known of their calls.
struct Group<'a> {
    at: String,
    waves: Waves<'a>,
    entries: Vec<&'a Delivery>,
    /// The places of the calls of each container.
    calls: BTreeMap<Member<'a>, Vec<usize>>,
}

fn member(entry: &Delivery) -> Member<'_> {
    (&entry.member.task, &entry.member.container)
}

impl<'a> Group<'a> {
    fn new(
        at: String,
        entries: impl Iterator<Item = &'a Delivery>,
        calls: &BTreeMap<Member<'_>, Vec<usize>>,
        is_meant: impl Fn(usize) -> bool,
    ) -> Self {
        let entries: Vec<_> = entries.filter(|entry| entry.wave.is_some()).collect();
        let mut waves = Waves::new();
        for entry in &entries {
            waves.entry(entry.wave.unwrap()).or_default().insert(member(entry));
        }
        let of = |member: &Member<'_>| -> Vec<usize> {
            calls.get(member).into_iter().flatten().copied().filter(|call| is_meant(*call)).collect()
        };
        let calls = waves.values().flatten().map(|member| (*member, of(member))).collect();
        Self { at, waves, entries, calls }
    }

    fn first(&self, wave: u16) -> Option<usize> {
        self.waves[&wave].iter().filter_map(|member| self.calls[member].first()).min().copied()
    }

    /// The containers of the waves before this one.
    fn before(&self, wave: u16) -> impl Iterator<Item = &Member<'a>> {
        self.waves.range(..wave).flat_map(|(_, members)| members)
    }

    /// The first wave with more errors than allowed.
    fn exceeded(&self, most: Option<Most>) -> Option<u16> {
        let is_error =
            |entry: &&&Delivery| matches!(entry.outcome, Some(Outcome::Failed | Outcome::Rejected));
        let mut all = 0;
        for wave in self.waves.keys() {
            let of_wave = || self.entries.iter().filter(|entry| entry.wave == Some(*wave));
            let errors = of_wave().filter(is_error).count();
            let called = of_wave().filter(|entry| entry.outcome != Some(Outcome::Skipped)).count();
            all += errors;
            let is_exceeded = match most.unwrap_or(Most::Count(0)) {
                Most::Count(most) => all > most,
                Most::Percent(most) => errors * 100 > most * called,
            };
            if is_exceeded {
                return Some(*wave);
            }
        }
        None
    }
}

impl<'a> Judge<'a> {
    /// All that concerns the waves of one broadcast.
    pub(crate) fn waves_are_right(
        &mut self,
        place: usize,
        broadcast: &Broadcast,
        expected: &BTreeMap<Member<'a>, (&Expected, bool)>,
        calls: &BTreeMap<Member<'a>, Vec<usize>>,
    ) {
        let Some(paced) = &broadcast.pace else { return };
        match self.world.form {
            Form::Queues => self.queued_waves_are_right(place, broadcast, paced, expected, calls),
            Form::Direct => self.waves_of_runs_are_right(place, broadcast, paced, expected, calls),
        }
    }

    fn queued_waves_are_right(
        &mut self,
        place: usize,
        broadcast: &Broadcast,
        paced: &Paced,
        expected: &BTreeMap<Member<'a>, (&Expected, bool)>,
        calls: &BTreeMap<Member<'a>, Vec<usize>>,
    ) {
        let seen = self.seen;
        let Some(recorded) = &seen.recorded[place] else { return };
        let mut services = BTreeMap::<&str, Vec<&Delivery>>::new();
        for entry in recorded.report.entries() {
            services.entry(&entry.member.service).or_default().push(entry);
        }
        for (service, entries) in services {
            let at = format!("{}, {service}", broadcast.id);
            let group = Group::new(at, entries.into_iter(), calls, |_| true);
            self.order_is_right(&group, expected);
            self.pauses_are_right(&group, place, paced, |_| Vec::new());
            self.errors_stop_it(&group, paced);
            self.sizes_are_right(&group, paced, place);
        }
        self.stop_is_right(&broadcast.id, paced, &recorded.report, calls);
        if let Some(stopped) = seen.stopped.get(&broadcast.id) {
            // What has begun ends.
            let first = |(member, calls): (&Member<'a>, &Vec<usize>)| {
                (*member, calls.iter().copied().take(1).collect())
            };
            let (end, at) =
                (*stopped + UNDER_WAY + SLACK, format!("{}, stopped at {stopped:?}", broadcast.id));
            self.nobody_is_called_after(&at, end, &calls.iter().map(first).collect(), 0..usize::MAX);
        }
        if let Some(cancelled) = seen.cancelled.get(&place) {
            let (end, at) =
                (*cancelled + UNDER_WAY + SLACK, format!("{}, cancelled at {cancelled:?}", broadcast.id));
            self.nobody_is_called_after(&at, end, calls, 0..usize::MAX);
        }
    }

    fn waves_of_runs_are_right(
        &mut self,
        place: usize,
        broadcast: &Broadcast,
        paced: &Paced,
        expected: &BTreeMap<Member<'a>, (&Expected, bool)>,
        calls: &BTreeMap<Member<'a>, Vec<usize>>,
    ) {
        let seen = self.seen;
        // A run divides the tasks that it finds, so a task that has stopped changes the waves of the others.
        let has_changed = expected.values().any(|(_, has_stopped)| *has_stopped);
        for (number, run) in
            seen.runs.iter().enumerate().filter(|(_, run)| run.broadcast == place && !run.is_resend)
        {
            let recorded = run.after.as_ref().filter(|_| !has_changed).map(|after| &after.report);
            let Some(report) = run.ended.report().or(recorded) else { continue };
            let at = format!("{}, run {number}", broadcast.id);
            let group = Group::new(at, report.entries().iter(), calls, |call| run.calls.contains(&call));
            self.order_of_a_run_is_right(&group);
            self.parallel_calls_are_right(&group, paced);
            if !has_changed {
                let earlier = |member: &Member<'_>| {
                    let of_it = calls.get(member).into_iter().flatten().copied();
                    of_it.filter(|call| *call < run.calls.start).collect()
                };
                self.pauses_are_right(&group, place, paced, earlier);
            }
            if run.ended.report().is_some() {
                self.errors_stop_it(&group, paced);
                self.stop_is_right(&group.at, paced, report, &group.calls);
                self.sizes_are_right(&group, paced, place);
            }
        }
    }

    /// Through the queues: when a wave begins, each delivery of those before has ended. A message that is delivered twice may
    /// call again later.
    fn order_is_right(&mut self, group: &Group<'_>, expected: &BTreeMap<Member<'a>, (&Expected, bool)>) {
        for wave in group.waves.keys() {
            let Some(first) = group.first(*wave) else { continue };
            for earlier in group.before(*wave) {
                let (expected, has_stopped) =
                    expected.get(earlier).map_or((&Expected::Ignored, false), |known| *known);
                let calls = &group.calls[earlier];
                let accepted = self.accepted(*earlier, Some(calls));
                let is_early = match expected {
                    Expected::Called(Outcome::Delivered) if !has_stopped => {
                        accepted.first().is_none_or(|accepted| *accepted > first)
                    }
                    _ => calls.first().is_some_and(|call| *call > first),
                };
                if is_early {
                    let what = format!(
                        "{}: wave {wave} began with call {first}, before {earlier:?} of an earlier wave had ended: calls {calls:?}",
                        group.at
                    );
                    self.fail(what);
                }
            }
        }
    }

    /// In one process: all calls of a wave come before those of the next.
    fn order_of_a_run_is_right(&mut self, group: &Group<'_>) {
        for wave in group.waves.keys() {
            let Some(first) = group.first(*wave) else { continue };
            let late = group.before(*wave).find(|member| group.calls[*member].last() > Some(&first));
            if let Some(late) = late {
                let what = format!(
                    "{}: {late:?} of an earlier wave was called after wave {wave} had begun",
                    group.at
                );
                self.fail(what);
            }
        }
    }

    /// No wave begins before the pause is over, or was ended. `earlier`: the calls of a container by earlier runs.
    fn pauses_are_right(
        &mut self,
        group: &Group<'_>,
        place: usize,
        paced: &Paced,
        earlier: impl Fn(&Member<'_>) -> Vec<usize>,
    ) {
        for (wave, members) in &group.waves {
            let Some(first) = group.first(*wave) else { continue };
            let Some((before, _)) = group.waves.range(..wave).next_back() else { continue };
            if members.iter().any(|member| !earlier(member).is_empty()) {
                continue;
            }
            let began = self.seen.calls[first].at;
            let continued = self.seen.continued.get(&(place, *before));
            if continued.is_some_and(|continued| *continued <= began + SLACK) {
                continue;
            }
            let Pause::For(pause) = paced.pause else {
                let what = format!(
                    "{}: wave {wave} began at {began:?}, and nobody had continued after {before}",
                    group.at
                );
                self.fail(what);
                continue;
            };
            let ends = group.before(*wave).filter_map(|member| {
                let calls = earlier(member).into_iter().chain(group.calls[member].iter().copied());
                calls.filter(|call| *call < first).map(|call| self.seen.calls[call].at).max()
            });
            if let Some(end) = ends.max()
                && began + SLACK < end + pause
            {
                let what =
                    format!("{}: wave {wave} began at {began:?}, not {pause:?} after {end:?}", group.at);
                self.fail(what);
            }
        }
    }

    /// Never more deliveries of a service are under way than allowed: from the first call to the last, and until its answer
    /// comes, as the receivers see it.
    fn parallel_calls_are_right(&mut self, group: &Group<'_>, paced: &Paced) {
        let Some(most) = paced.max_parallel else { return };
        let mut services = BTreeMap::<&str, Vec<(Duration, usize, usize, Duration)>>::new();
        for entry in &group.entries {
            let calls = &group.calls[&member(entry)];
            let (Some(first), Some(last)) = (calls.first(), calls.last()) else { continue };
            let (begins, ends) = (&self.seen.calls[*first], &self.seen.calls[*last]);
            // The answer of a task that stops may never come, and a late one is not waited for.
            let is_waited_for = ends.status.is_some()
                && ends.delay + SLACK < Duration::from_millis(TIMEOUT_MS)
                && !self.seen.closed.iter().any(|(task, _)| *task == ends.task);
            let end = ends.at + if is_waited_for { ends.delay } else { Duration::ZERO };
            services.entry(&entry.member.service).or_default().push((begins.at, *first, *last, end));
        }
        for (service, deliveries) in services {
            for (at, number, ..) in &deliveries {
                let is_under_way = |(_, first, last, end): &&(Duration, usize, usize, Duration)| {
                    first <= number && (last >= number || end > at)
                };
                let under_way = deliveries.iter().filter(is_under_way).count();
                if under_way > most {
                    let what = format!(
                        "{}: {under_way} deliveries of {service} were under way at call {number}, not {most}",
                        group.at
                    );
                    self.fail(what);
                    break;
                }
            }
        }
    }

    /// No wave begins after the one in which the errors exceed the limit.
    fn errors_stop_it(&mut self, group: &Group<'_>, paced: &Paced) {
        let Some(wave) = group.exceeded(paced.most) else { return };
        let later = group.waves.range(wave + 1..).flat_map(|(_, members)| members);
        let called: Vec<_> = later.filter(|member| !group.calls[*member].is_empty()).collect();
        if !called.is_empty() {
            let what =
                format!("{}: {called:?} were called after wave {wave}, which had too many errors", group.at);
            self.fail(what);
        }
    }

    /// A stop has errors as its reason, and each container that it withholds was not called.
    fn stop_is_right(
        &mut self,
        at: &str,
        paced: &Paced,
        report: &Report,
        calls: &BTreeMap<Member<'_>, Vec<usize>>,
    ) {
        let entries = || report.entries().iter();
        let errors = entries()
            .filter(|entry| matches!(entry.outcome, Some(Outcome::Failed | Outcome::Rejected)))
            .count();
        let least = match paced.most.unwrap_or(Most::Count(0)) {
            Most::Count(most) => most + 1,
            Most::Percent(_) => 1,
        };
        let has_stopped_tasks = self.seen.tasks.iter().any(|(_, has_stopped)| *has_stopped);
        if report.stopped().is_some() && errors < least && !has_stopped_tasks {
            self.fail(format!("{at}: it was stopped with {errors} errors: {:?}", report.stopped()));
        }
        let withheld = entries()
            .filter(|entry| entry.outcome == Some(Outcome::Skipped) && entry.cause == Some(Cause::Stopped));
        for entry in withheld {
            // A worker that was killed, or whose ledger failed, leaves no record of its call.
            let may_be_called =
                entry.reason.as_ref().is_some_and(|reason| reason.contains("may have called"));
            let called = calls.get(&member(entry)).map_or(0, Vec::len);
            if called > 0 && !may_be_called || report.stopped().is_none() {
                let stopped = report.stopped();
                let what =
                    format!("{at}: {:?} is withheld, called {called} times; {stopped:?}", member(entry));
                self.fail(what);
            }
        }
    }

    /// Each wave of a service has its size, and all containers of a task are in one.
    fn sizes_are_right(&mut self, group: &Group<'_>, paced: &Paced, place: usize) {
        let has_changed = self.seen.tasks.iter().any(|(_, has_stopped)| *has_stopped);
        if has_changed || self.seen.cancelled.contains_key(&place) {
            return;
        }
        let mut services = BTreeMap::<&str, BTreeMap<&str, BTreeSet<u16>>>::new();
        for entry in &group.entries {
            let tasks = services.entry(&entry.member.service).or_default();
            tasks.entry(&entry.member.task).or_default().extend(entry.wave);
        }
        for (service, tasks) in services {
            if let Some((task, waves)) = tasks.iter().find(|(_, waves)| waves.len() > 1) {
                self.fail(format!("{}: {task} of {service} is in the waves {waves:?}", group.at));
            }
            let called = |wave: usize| {
                tasks.values().filter(|waves| waves.iter().all(|of| usize::from(*of) <= wave)).count()
            };
            let sizes: Vec<_> = (1..=paced.sizes.len() + 1).map(called).collect();
            if sizes != paced.called_after(tasks.len()) {
                let what = format!(
                    "{}: after its waves, {sizes:?} tasks of {service} are called, of {paced:?}",
                    group.at
                );
                self.fail(what);
            }
        }
    }
}
