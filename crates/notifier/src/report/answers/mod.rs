//! Answers of a fleet to one question: groups, outliers, numbers, and who did not answer. Pure.
//!
//! | file | what it does |
//! | --- | --- |
//! | `mod` | collects answers and outcomes, and judges them |
//! | `value`, `canonical`, `pointer` | the part of an answer that is compared |
//! | `groups` | equal answers and who gave them |
//! | `numbers`, `diff` | the distribution of numbers; the difference between two answers |
//! | `line` | answers as scripts read them |
//! | `kept` | the answers that a ledger has kept |
//!
//! Answers are untrusted, may be secret, and may be many: a group keeps its answer once, and nothing else keeps any.

mod canonical;
mod diff;
mod groups;
mod kept;
mod line;
mod numbers;
mod pointer;
mod value;

use std::collections::BTreeMap;
use std::time::Duration;

use wire::BroadcastId;

use super::{Counts, Percentiles, Summary};
use crate::model::{Delivery, Outcome, latency};
use groups::{Groups, count};

pub use diff::{DiffLine, diff};
pub use groups::{By, Group, MEMBERS_MAX};
pub use kept::{KeptAnswers, KeptGroup, KeptSummary};
pub use line::{AnswerLine, AnswersSummary, GroupLine, Json, Measured};
pub use numbers::{Bucket, Numbers};
pub use pointer::{Pointer, PointerError};
pub use value::AnswerValue;

/// What is compared, and with what.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The part of an answer that is compared; `None` for the whole answer.
    pub pick: Option<Pointer>,
    /// What the answers of a group are counted by.
    pub by: By,
    /// The expected answer.
    pub expected: Option<AnswerValue>,
    /// Whether the numbers among the answers are kept for their distribution.
    pub with_numbers: bool,
}

impl Query {
    /// The part of an answer that is compared.
    pub fn value(&self, body: &str, is_cut: bool) -> AnswerValue {
        AnswerValue::of(body, is_cut, self.pick.as_ref())
    }
}

/// The answers and outcomes so far.
#[derive(Clone, Debug)]
pub struct Answers {
    query: Query,
    groups: Groups,
    numbers: Vec<f64>,
    counts: Counts,
    expected: usize,
    answered_by: BTreeMap<String, usize>,
    latencies: Vec<Duration>,
    attempts: Vec<u32>,
    others: Vec<Delivery>,
}

impl Answers {
    /// No answers yet.
    pub fn new(query: Query) -> Self {
        Self {
            groups: Groups::new(query.by),
            query,
            numbers: Vec::new(),
            counts: Counts::default(),
            expected: 0,
            answered_by: BTreeMap::new(),
            latencies: Vec::new(),
            attempts: Vec::new(),
            others: Vec::new(),
        }
    }

    /// Adds a container that answered.
    pub fn answered(&mut self, delivery: &Delivery, value: AnswerValue) {
        self.count(delivery);
        self.latencies.extend(delivery.latency);
        count(&mut self.answered_by, self.query.by.name(delivery));
        self.expected += usize::from(self.query.expected.as_ref() == Some(&value));
        if self.query.with_numbers {
            self.numbers.extend(value.number());
        }
        self.groups.add(value, delivery);
    }

    /// Adds a container that did not answer.
    pub fn unanswered(&mut self, delivery: Delivery) {
        self.count(&delivery);
        self.others.push(delivery);
    }

    fn count(&mut self, delivery: &Delivery) {
        self.counts.add(delivery.outcome);
        self.attempts.extend(delivery.attempts);
    }

    /// How many containers came to what.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Containers that could be asked: all but the skipped ones.
    pub fn asked(&self) -> usize {
        self.counts.total() - self.counts.skipped
    }

    /// The containers that answered, by service, revision, zone, cluster or account.
    pub fn answered_by(&self) -> &BTreeMap<String, usize> {
        &self.answered_by
    }

    /// The containers that answered that they do not accept the question, in order.
    pub fn said_no(&self) -> Vec<&Delivery> {
        self.others(|outcome| outcome == Some(Outcome::Rejected))
    }

    /// The containers without any answer, in order. Each has its reason.
    pub fn silent(&self) -> Vec<&Delivery> {
        self.others(|outcome| outcome != Some(Outcome::Rejected))
    }

    fn others(&self, is_wanted: impl Fn(Option<Outcome>) -> bool) -> Vec<&Delivery> {
        let mut others: Vec<_> = self.others.iter().filter(|other| is_wanted(other.outcome)).collect();
        others.sort_by(|a, b| a.member.cmp(&b.member));
        others
    }

    /// Groups of equal answers, the largest first.
    pub fn groups(&self) -> Vec<(&AnswerValue, &Group)> {
        self.groups.sorted()
    }

    /// Answers that are in no group, because there were too many distinct ones.
    pub fn ungrouped(&self) -> usize {
        self.groups.ungrouped()
    }

    /// The distribution of the answers that are numbers; `None` if there are none, or they are not kept.
    pub fn numbers(&self) -> Option<Numbers> {
        Numbers::of(&self.numbers)
    }

    /// The containers whose answer is the expected one; without an expectation, the most frequent one.
    pub fn agreed(&self) -> usize {
        match self.query.expected {
            Some(_) => self.expected,
            None => self.groups().first().map_or(0, |(_, group)| group.count),
        }
    }

    /// Whether the group at this place, from the largest, is the one that the others are compared with: the expected
    /// answer; without an expectation, the most frequent one.
    pub fn is_usual(&self, place: usize, value: &AnswerValue) -> bool {
        self.query.expected.as_ref().map_or(place == 0, |expected| expected == value)
    }

    /// Whether at least this share of the answers agrees, in percent. No answers do not agree.
    #[expect(clippy::cast_precision_loss, reason = "fleets are far smaller than 2^53")]
    pub fn is_agreed(&self, quorum: f64) -> bool {
        let answered = self.counts.delivered;
        answered > 0 && self.agreed() as f64 * 100.0 >= quorum * answered as f64
    }

    /// The line that closes them. With `names_tasks`, all groups but the usual one name their tasks.
    pub fn summary<'a>(
        &'a self,
        broadcast: &'a BroadcastId,
        names_tasks: bool,
        rounds: Option<usize>,
    ) -> AnswersSummary<'a> {
        let groups = self.groups();
        let distinct = groups.len();
        let answers = groups.into_iter().enumerate();
        AnswersSummary {
            summary: Summary {
                broadcast: broadcast.as_str(),
                folded: 0,
                found: None,
                total: self.counts.total(),
                counts: self.counts,
                late: 0,
                waves: Vec::new(),
                stopped: None,
                kept: None,
                latency_ms: Percentiles::of(self.latencies.clone()).map(|p| p.map(latency::millis)),
                attempts: Percentiles::of(self.attempts.clone()),
            },
            answers: answers
                .map(|(place, (value, group))| {
                    GroupLine::of(value, group, names_tasks && !self.is_usual(place, value))
                })
                .collect(),
            distinct,
            ungrouped: Some(self.ungrouped()).filter(|ungrouped| *ungrouped > 0),
            asked: self.asked(),
            answered: self.counts.delivered,
            agreed: self.agreed(),
            numbers: self.numbers(),
            rounds,
        }
    }
}

#[cfg(test)]
mod tests;
