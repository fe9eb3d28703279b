//! Pending containers that are not retried any more: their messages are dead letters, or there was no record for too
//! long. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use crate::model::{Cause, DeadLetter, Delivery, Outcome, StageName};

impl Report {
    /// The report with the broadcast's dead letters: a pending container whose message is a dead letter has failed. SQS
    /// itself moves messages after the last receive, and no process records that.
    #[must_use]
    pub fn with_dead_letters(mut self, letters: &[DeadLetter]) -> Self {
        let of_tasks: BTreeSet<(&str, &str)> = letters
            .iter()
            .filter(|letter| letter.stage == StageName::Notify)
            .filter_map(|letter| {
                Some((letter.task.as_deref()?, letter.container.as_deref().unwrap_or_default()))
            })
            .collect();
        let of_services: BTreeMap<&str, &DeadLetter> = letters
            .iter()
            .filter(|letter| letter.stage == StageName::Tasks)
            .map(|letter| (letter.services.first().map(String::as_str).unwrap_or_default(), letter))
            .collect();
        for entry in self.entries.iter_mut().filter(|entry| entry.outcome.is_none()) {
            let member = &entry.member;
            if of_tasks.contains(&(member.task.as_str(), member.container.as_str())) {
                let expected =
                    Delivery { member: member.clone(), address: entry.address, ..Delivery::default() };
                *entry = expected.given_up(Some(entry.clone()), "");
            } else if member.task.is_empty()
                && let Some(letter) = of_services.get(member.service.as_str())
            {
                let why = letter.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                entry.outcome = Some(Outcome::Failed);
                entry.reason = Some(format!("given up before task discovery{why}"));
                entry.cause = Some(Cause::GivenUp);
            }
        }
        self
    }

    /// The report of a broadcast without further outcomes: pending containers are marked as given up.
    #[must_use]
    pub fn overdue(mut self) -> Self {
        let waiting =
            |entry: &&mut Delivery| entry.outcome.is_none() && entry.cause != Some(Cause::Interrupted);
        for entry in self.entries.iter_mut().filter(waiting) {
            entry.cause = Some(Cause::GivenUp);
        }
        self
    }

    /// Whether containers are pending, and all of them because the run that called them was interrupted.
    pub fn is_interrupted(&self) -> bool {
        let mut pending = self.entries.iter().filter(|entry| entry.outcome.is_none()).peekable();
        pending.peek().is_some() && pending.all(|entry| entry.cause == Some(Cause::Interrupted))
    }

    /// The report of the wanted containers only.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&Delivery) -> bool) -> Self {
        self.wave = self.latest_wave();
        self.entries.retain(wanted);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use time::OffsetDateTime;
    use wire::BroadcastId;

    use super::*;
    use crate::model::Member;

    fn pending(service: &str, task: &str, tries: Option<u32>) -> Delivery {
        let was_called = tries.is_some();
        Delivery {
            member: Arc::new(Member {
                service: service.to_owned(),
                task: task.to_owned(),
                container: if task.is_empty() { String::new() } else { "app".to_owned() },
                ..Member::default()
            }),
            reason: was_called.then(|| "answered 503 Service Unavailable".to_owned()),
            cause: was_called.then_some(Cause::Answered),
            status: was_called.then_some(503),
            attempts: tries,
            ..Delivery::default()
        }
    }

    fn letter(stage: StageName, service: &str, task: Option<&str>) -> DeadLetter {
        DeadLetter {
            broadcast: Some("b-1".to_owned()),
            services: vec![service.to_owned()],
            task: task.map(str::to_owned),
            container: task.map(|_| "app".to_owned()),
            ..DeadLetter::about(stage, "", OffsetDateTime::UNIX_EPOCH)
        }
    }

    fn report(entries: Vec<Delivery>) -> Report {
        Report::new(BroadcastId::try_from("b-1".to_owned()).unwrap(), entries)
    }

    #[test]
    fn a_container_whose_message_is_a_dead_letter_has_failed_with_the_cause_of_the_last_attempt() {
        let entries = vec![
            pending("a", "arn:1", Some(15)),
            pending("a", "arn:2", None),
            pending("a", "arn:3", Some(1)),
            pending("b", "", None),
            pending("c", "", None),
        ];
        let letters = [
            letter(StageName::Notify, "a", Some("arn:1")),
            letter(StageName::Notify, "a", Some("arn:2")),
            letter(StageName::Tasks, "b", None),
        ];
        let report = report(entries).with_dead_letters(&letters);
        let said: Vec<_> = report
            .entries()
            .iter()
            .map(|entry| (entry.outcome, entry.cause, entry.reason.as_deref()))
            .collect();
        let failed = Some(Outcome::Failed);
        assert_eq!(
            said,
            [
                (
                    failed,
                    Some(Cause::Answered),
                    Some("given up after 15 attempts: answered 503 Service Unavailable")
                ),
                (
                    failed,
                    Some(Cause::GivenUp),
                    Some("given up: its message was not finished in any of its receives")
                ),
                (None, Some(Cause::Answered), Some("answered 503 Service Unavailable")),
                (failed, Some(Cause::GivenUp), Some("given up before task discovery")),
                (None, None, None),
            ]
        );
        assert_eq!(report.entries()[0].attempts, Some(15));
        assert_eq!(report.counts().pending, 2);
    }

    #[test]
    fn a_pending_container_of_an_overdue_broadcast_is_given_up_unless_its_run_was_interrupted() {
        let waiting = report(vec![pending("a", "arn:1", None)]);
        assert!(!waiting.is_interrupted());
        assert_eq!(waiting.overdue().entries()[0].cause, Some(Cause::GivenUp));
        let interrupted = Delivery { cause: Some(Cause::Interrupted), ..pending("a", "arn:1", None) };
        let both = report(vec![interrupted.clone(), pending("a", "arn:2", None)]);
        assert!(!both.is_interrupted(), "one container is still called");
        let interrupted = report(vec![interrupted]);
        assert!(interrupted.is_interrupted());
        assert_eq!(interrupted.clone().overdue(), interrupted);
    }
}
