//! The invariants of every run: one pure function over the world and its observations.

use std::collections::{BTreeMap, BTreeSet};

use notifier::model::{Cause, Delivery, Outcome};
use simulator::Received;
use wire::{BroadcastId, DeliveryId};

use crate::run::Seen;
use crate::script::TIMEOUT_MS;
use crate::store::What;
use crate::world::{Broadcast, Expected, Form, NOWHERE, World};

/// A container of a task: its ARN and name.
pub(crate) type Member<'a> = (&'a str, &'a str);

/// The violated invariants of a run; empty if there are none.
pub(crate) fn broken(world: &World, seen: &Seen) -> Vec<String> {
    let mut judge = Judge { world, seen, broken: seen.broken.clone() };
    if judge.broken.is_empty() {
        judge.all();
    }
    judge.broken
}

pub(crate) struct Judge<'a> {
    pub(crate) world: &'a World,
    pub(crate) seen: &'a Seen,
    broken: Vec<String>,
}

impl<'a> Judge<'a> {
    fn all(&mut self) {
        self.nothing_is_left();
        self.concurrency_is_kept();
        let mut meant = BTreeSet::new();
        let (world, seen) = (self.world, self.seen);
        for (place, broadcast) in world.broadcasts.iter().enumerate() {
            let expected = self.expected(broadcast);
            let calls = self.calls_of(broadcast, &expected);
            meant.extend(calls.values().flatten().copied());
            self.ids_are_constant(broadcast, &calls);
            self.waves_are_right(place, broadcast, &expected, &calls);
            if world.form == Form::Direct {
                self.runs_are_right(place, broadcast, &expected, &calls);
            }
            if world.has_ledger() && world.form == Form::Queues {
                let entries: Vec<Delivery> = match &seen.recorded[place] {
                    Some(recorded) => recorded.report.entries().to_vec(),
                    None => Vec::new(),
                };
                if seen.cancelled.contains_key(&place) {
                    self.cancelled_outcomes_are_right(&broadcast.id, &expected, &calls, &entries);
                } else {
                    self.outcomes_are_right(broadcast, &expected, &calls, &entries);
                }
                self.dead_letters_match(broadcast, &entries);
                self.nobody_is_called_once_recorded(broadcast, &calls, &entries);
            } else if !world.has_ledger() {
                self.nobody_is_lost(broadcast, &expected, &calls);
            }
        }
        for (number, call) in self.seen.calls.iter().enumerate() {
            if !meant.contains(&number) {
                self.fail(format!("call {number} was meant for no container: {}", shown(call)));
            }
        }
    }

    pub(crate) fn fail(&mut self, what: String) {
        self.broken.push(what);
    }

    fn nothing_is_left(&mut self) {
        if self.seen.left > 0 {
            self.fail(format!("{} messages are left on the queues", self.seen.left));
        }
    }

    fn concurrency_is_kept(&mut self) {
        if self.seen.at_once > self.world.concurrency {
            self.fail(format!("{} calls at once, not {}", self.seen.at_once, self.world.concurrency));
        }
    }

    /// What must come of each container in the scope, and whether its task has stopped.
    fn expected(&self, broadcast: &Broadcast) -> BTreeMap<Member<'a>, (&'a Expected, bool)> {
        let tasks = self.world.tasks.iter().zip(&self.seen.tasks).filter(|(task, _)| broadcast.takes(task));
        let containers = tasks.flat_map(|(task, (arn, has_stopped))| {
            let of_task = task.containers.iter();
            of_task.map(move |(name, expected)| ((arn.as_str(), name.as_str()), (expected, *has_stopped)))
        });
        containers.collect()
    }

    /// The places in the log of the calls for each container. By id: whoever answered, it was meant for that one.
    fn calls_of(
        &self,
        broadcast: &Broadcast,
        expected: &BTreeMap<Member<'a>, (&Expected, bool)>,
    ) -> BTreeMap<Member<'a>, Vec<usize>> {
        let id = BroadcastId::try_from(broadcast.id.clone()).unwrap();
        let called = expected.iter().filter(|(_, (expected, _))| matches!(expected, Expected::Called(_)));
        let ids: BTreeMap<String, Member<'a>> = called
            .map(|(&(task, container), _)| {
                (DeliveryId::derive(&id, task, container).to_string(), (task, container))
            })
            .collect();
        let mut calls: BTreeMap<Member<'a>, Vec<usize>> = BTreeMap::new();
        for (number, call) in self.seen.calls.iter().enumerate() {
            if let Some(member) = call.header("webhook-id").and_then(|id| ids.get(id)) {
                calls.entry(*member).or_default().push(number);
            }
        }
        calls
    }

    /// A call that reached another task than it was meant for was refused there.
    fn ids_are_constant(&mut self, broadcast: &Broadcast, calls: &BTreeMap<Member<'_>, Vec<usize>>) {
        for ((task, container), numbers) in calls {
            for call in numbers.iter().map(|number| &self.seen.calls[*number]) {
                let is_own = call.task == *task && call.container == *container;
                if !is_own && call.status != Some(421) {
                    let what = format!(
                        "{}: {task} {container} was delivered to another task: {}",
                        broadcast.id,
                        shown(call)
                    );
                    self.broken.push(what);
                }
            }
        }
    }

    pub(crate) fn accepted(&self, (task, container): Member<'_>, calls: Option<&Vec<usize>>) -> Vec<usize> {
        let numbers = calls.into_iter().flatten().copied();
        let accepts = |number: &usize| {
            let call = &self.seen.calls[*number];
            let in_time = call.delay.as_millis() < u128::from(TIMEOUT_MS);
            let own = call.task == task && call.container == container;
            own && in_time && call.status.is_some_and(|status| (200..300).contains(&status))
        };
        numbers.filter(accepts).collect()
    }

    /// Whether errors have stopped a broadcast: by the ledger, or without one by the report of a run.
    fn was_stopped(&self, id: &str) -> bool {
        let reports = self.seen.runs.iter().filter_map(|run| run.ended.report());
        let mut stops = reports.filter(|report| report.stopped().is_some());
        self.seen.stopped.contains_key(id) || stops.any(|report| report.broadcast().as_str() == id)
    }

    pub(crate) fn outcomes_are_right(
        &mut self,
        broadcast: &Broadcast,
        expected: &BTreeMap<Member<'_>, (&Expected, bool)>,
        calls: &BTreeMap<Member<'_>, Vec<usize>>,
        entries: &[Delivery],
    ) {
        let mut ends: BTreeMap<Member<'_>, Vec<&Delivery>> = BTreeMap::new();
        for entry in entries {
            ends.entry((&entry.member.task, &entry.member.container)).or_default().push(entry);
        }
        let at = &broadcast.id;
        let is_withheld = self.was_stopped(at);
        let nowhere = ends.remove(&("", "")).unwrap_or_default();
        let asked_nowhere = broadcast.services.iter().any(|service| service == NOWHERE);
        let is_named =
            |entry: &&Delivery| entry.member.service == NOWHERE && entry.outcome == Some(Outcome::Skipped);
        if nowhere.len() != usize::from(asked_nowhere) || !nowhere.iter().all(is_named) {
            self.fail(format!("{at}: what is said of services that there are not: {nowhere:?}"));
        }
        for (member, (expected, has_stopped)) in expected {
            let found = ends.remove(member).unwrap_or_default();
            let accepted = !self.accepted(*member, calls.get(member)).is_empty();
            let outcomes: Vec<_> = found.iter().map(|entry| entry.outcome).collect();
            let is_right = match (expected, outcomes.as_slice()) {
                // Not called, because the broadcast was stopped before; or it was not even looked for.
                (Expected::Called(_) | Expected::Skipped, []) if is_withheld => !accepted,
                (Expected::Called(_), [Some(Outcome::Skipped)])
                    if is_withheld && found[0].cause == Some(Cause::Stopped) =>
                {
                    !accepted || self.world.form == Form::Queues
                }
                // It may have stopped before discovery.
                (Expected::Called(_) | Expected::Skipped, []) => *has_stopped,
                (Expected::Called(_) | Expected::Skipped, [Some(Outcome::Gone)]) if *has_stopped => true,
                (Expected::Called(_), [Some(Outcome::Delivered)]) => accepted,
                (Expected::Ignored, [])
                | (Expected::Skipped, [Some(Outcome::Skipped)])
                // A receiver whose head is too large to read may mean yes.
                | (Expected::Called(Outcome::Failed), [Some(Outcome::Failed)]) => true,
                // A run of `send` makes few attempts, and no other run calls it after a stop, of the broadcast or of its task.
                (Expected::Called(_), [Some(Outcome::Failed)])
                    if (is_withheld || *has_stopped) && self.world.form == Form::Direct =>
                {
                    !accepted
                }
                (Expected::Called(ends), [Some(outcome)]) => ends == outcome && !accepted,
                _ => false,
            };
            if !is_right {
                let what = format!(
                    "{at}: {member:?} (stopped: {has_stopped}, accepted: {accepted}) is to be {expected:?}, not {found:#?}"
                );
                self.broken.push(what);
            }
        }
        for (member, found) in ends {
            self.fail(format!("{at}: {member:?} was not expected: {found:?}"));
        }
    }

    /// Without a ledger: every container that would accept was notified, unless it stopped.
    fn nobody_is_lost(
        &mut self,
        broadcast: &Broadcast,
        expected: &BTreeMap<Member<'_>, (&Expected, bool)>,
        calls: &BTreeMap<Member<'_>, Vec<usize>>,
    ) {
        let was_stopped = self.was_stopped(&broadcast.id);
        for (member, (expected, has_stopped)) in expected {
            let accepted = !self.accepted(*member, calls.get(member)).is_empty();
            let wanted = matches!(expected, Expected::Called(Outcome::Delivered));
            let is_allowed = wanted && (*has_stopped || was_stopped)
                || matches!(expected, Expected::Called(Outcome::Failed));
            if accepted != wanted && !is_allowed {
                self.fail(format!(
                    "{}: {member:?} is to be {expected:?}, accepted: {accepted}",
                    broadcast.id
                ));
            }
        }
    }

    /// Dead letters exist exactly for containers that rejected or never accepted.
    fn dead_letters_match(&mut self, broadcast: &Broadcast, entries: &[Delivery]) {
        let dead = self.seen.dead.iter().filter(|dead| dead.broadcast == broadcast.id);
        let dead: BTreeSet<Member<'_>> =
            dead.map(|dead| (dead.task.as_str(), dead.container.as_str())).collect();
        let mut missing = Vec::new();
        let mut wanted = BTreeSet::new();
        for entry in entries {
            let member = (entry.member.task.as_str(), entry.member.container.as_str());
            if matches!(entry.outcome, Some(Outcome::Failed | Outcome::Rejected)) {
                wanted.insert(member);
                if !dead.contains(&member) {
                    missing.push(member);
                }
            }
        }
        let has_stopped =
            |member: &Member<'_>| self.seen.tasks.iter().any(|(arn, stopped)| arn == member.0 && *stopped);
        let extra: Vec<_> =
            dead.iter().filter(|member| !wanted.contains(*member) && !has_stopped(member)).collect();
        if !missing.is_empty() || !extra.is_empty() {
            let of_it: Vec<_> = self.seen.dead.iter().filter(|dead| dead.broadcast == broadcast.id).collect();
            self.broken.push(format!(
                "{}: dead letters missing: {missing:?}, too many: {extra:?}; there are {of_it:#?}",
                broadcast.id
            ));
        }
    }

    /// After a delivery is recorded as notified, only rounds that read the ledger before may still call.
    fn nobody_is_called_once_recorded(
        &mut self,
        broadcast: &Broadcast,
        calls: &BTreeMap<Member<'_>, Vec<usize>>,
        entries: &[Delivery],
    ) {
        let id = BroadcastId::try_from(broadcast.id.clone()).unwrap();
        let account = self.seen.account.lock().unwrap();
        for entry in entries.iter().filter(|entry| entry.outcome == Some(Outcome::Delivered)) {
            let member = (entry.member.task.as_str(), entry.member.container.as_str());
            let delivery = DeliveryId::derive(&id, member.0, member.1).to_string();
            let of_it: Vec<_> = account.iter().filter(|noted| noted.delivery.1 == delivery).collect();
            let Some(told) = of_it.iter().position(|noted| noted.what == What::Told) else {
                // Killed while it was written.
                if !of_it.iter().any(|noted| noted.what == What::Tried) {
                    self.broken
                        .push(format!("{}: there is no record that {member:?} was notified", broadcast.id));
                }
                continue;
            };
            let (told, before) = (of_it[told], &of_it[..=told]);
            let count = |what: What| {
                before.iter().filter(|noted| noted.daemon == told.daemon && noted.what == what).count()
            };
            let open = count(What::ReadUntold).saturating_sub(count(What::Tried));
            let later =
                calls.get(&member).into_iter().flatten().filter(|number| **number >= told.calls).count();
            if open == 0 && later > 0 {
                self.broken.push(format!(
                    "{}: {member:?} was called {later} times after it was recorded",
                    broadcast.id
                ));
            }
        }
    }
}

pub(crate) fn shown(call: &Received) -> String {
    format!(
        "{} {} of {} answered {:?}, id {:?}",
        call.method,
        call.path,
        call.task,
        call.status,
        call.header("webhook-id")
    )
}
