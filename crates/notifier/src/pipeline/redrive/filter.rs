//! Filters dead letters, and counts them by kind. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{LetterStatus, Match};
use crate::model::{Cause, DeadLetter, Delivery, Outcome};

/// Selects the dead letters that match every given value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The broadcast's id.
    pub broadcast: Option<String>,
    /// Name of the service that the message is for.
    pub service: Option<String>,
    /// A word for the kind of failure: one of [`Match::words`].
    pub code: Option<String>,
    /// ARN of the task, or the beginning of its last part.
    pub task: Option<String>,
}

impl Filter {
    pub(super) fn matches(&self, found: &Match) -> bool {
        let letter = &found.letter;
        let id = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        let is_task = |wanted: &String| {
            letter.task.as_ref().is_some_and(|task| task == wanted || id(task).starts_with(wanted.as_str()))
        };
        (self.broadcast.is_none() || self.broadcast == letter.broadcast)
            && self.task.as_ref().is_none_or(is_task)
            && self.code.as_ref().is_none_or(|code| found.words().contains(code))
            && self.service.as_ref().is_none_or(|service| letter.services.contains(service))
    }
}

impl Match {
    pub(super) fn new(letter: DeadLetter, state: Option<Delivery>) -> Self {
        Self { letter, state, status: LetterStatus::Listed }
    }

    /// All words for the failure, as in a report: the code of the dead letter, the outcome, the cause and the status of
    /// the last answer.
    pub fn words(&self) -> BTreeSet<String> {
        let state = self.state.as_ref();
        let outcome =
            state.and_then(|state| state.outcome).map(|outcome| Outcome::as_str(outcome).to_owned());
        let cause = state.and_then(|state| state.cause).map(|cause| cause.as_str().to_owned());
        let status = state.and_then(|state| state.status).map(|status| status.to_string());
        // SQS itself moves messages without a code.
        let moved = self.letter.code.is_none().then(|| Cause::GivenUp.as_str().to_owned());
        [self.letter.code.clone(), outcome, cause, status, moved].into_iter().flatten().collect()
    }
}

/// The number of dead letters by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// By the broadcast's id.
    pub broadcasts: BTreeMap<String, usize>,
    /// By the name of the service.
    pub services: BTreeMap<String, usize>,
    /// By the ARN of the task.
    pub tasks: BTreeMap<String, usize>,
    /// By each of [`Match::words`].
    pub codes: BTreeMap<String, usize>,
}

impl Inventory {
    pub(super) fn add(&mut self, found: &Match) {
        let count =
            |all: &mut BTreeMap<String, usize>, one: &String| *all.entry(one.clone()).or_default() += 1;
        let letter = &found.letter;
        letter.broadcast.iter().for_each(|one| count(&mut self.broadcasts, one));
        letter.services.iter().for_each(|one| count(&mut self.services, one));
        letter.task.iter().for_each(|one| count(&mut self.tasks, one));
        found.words().iter().for_each(|one| count(&mut self.codes, one));
    }

    /// Adds the dead letters of another stage.
    pub fn merge(&mut self, other: Self) {
        let add = |all: &mut BTreeMap<String, usize>, more: BTreeMap<String, usize>| {
            for (one, number) in more {
                *all.entry(one).or_default() += number;
            }
        };
        add(&mut self.broadcasts, other.broadcasts);
        add(&mut self.services, other.services);
        add(&mut self.tasks, other.tasks);
        add(&mut self.codes, other.codes);
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::model::StageName;

    fn found(code: Option<&str>, task: Option<&str>, state: Option<Delivery>) -> Match {
        let letter = DeadLetter {
            broadcast: Some("b-1".to_owned()),
            services: vec!["web".to_owned()],
            task: task.map(str::to_owned),
            code: code.map(str::to_owned),
            ..DeadLetter::about(StageName::Notify, "", OffsetDateTime::UNIX_EPOCH)
        };
        Match::new(letter, state)
    }

    #[test]
    fn a_filter_wants_everything_that_it_names() {
        let found = found(Some("rejected"), None, None);
        let some = |text: &str| Some(text.to_owned());
        assert!(Filter::default().matches(&found));
        let both = Filter { broadcast: some("b-1"), service: some("web"), ..Filter::default() };
        assert!(both.matches(&found));
        assert!(!Filter { code: some("failed"), ..both.clone() }.matches(&found));
        assert!(!Filter { task: some("arn:t"), ..both }.matches(&found));
    }

    #[test]
    fn a_dead_letter_is_found_by_every_word_that_a_report_has_for_it() {
        let state = Delivery {
            outcome: Some(Outcome::Failed),
            cause: Some(Cause::Answered),
            status: Some(503),
            ..Delivery::default()
        };
        let known = found(Some("unfinished"), None, Some(state));
        let matches = |found: &Match, word: &str| {
            Filter { code: Some(word.to_owned()), ..Filter::default() }.matches(found)
        };
        for word in ["unfinished", "failed", "answered", "503"] {
            assert!(matches(&known, word), "{word}");
        }
        assert!(!matches(&known, "given-up") && !matches(&known, "50"));
        assert!(matches(&found(None, None, None), "given-up"), "SQS moved it");
        let task = Some("arn:aws:ecs:eu-west-1:111122223333:task/prod/86622f1c9d");
        let short = Filter { task: Some("86622f1c".to_owned()), ..Filter::default() };
        assert!(short.matches(&found(None, task, None)) && !short.matches(&found(None, None, None)));
    }
}
