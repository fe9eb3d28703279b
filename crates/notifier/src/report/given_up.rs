//! Whom a broadcast's dead letters say to be given up, and when nothing more can come of the rest. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use time::OffsetDateTime;

use super::Report;
use crate::ledger::given_up;
use crate::model::Delivery;
use crate::model::{Cause, Outcome};
use crate::pipeline::StageName;
use crate::pipeline::failure::RETRY_AFTER_MAX;
use crate::pipeline::redrive::SortedLetter;

/// How long a message can be hidden by consumers that never finish it, until SQS moves it to the dead letters: the
/// receives that a queue allows, times its visibility timeout. The module's queues stay within it: the first alone, and
/// the second and third one after the other.
pub const RECEIVES_TIME_MAX: Duration = Duration::from_hours(8);

impl Report {
    /// How long after the last record of a broadcast one more can come from a notifier that runs: a delivery is tried
    /// until the horizon, its last try waits as long as a task may ask for, and crashes hide it for all its receives.
    #[must_use]
    pub fn silence_max(horizon: Duration) -> Duration {
        horizon + RETRY_AFTER_MAX + RECEIVES_TIME_MAX
    }

    /// Whether nothing more is to be expected of who is pending, when something was recorded last at `heard`.
    #[must_use]
    pub fn is_overdue(&self, heard: OffsetDateTime, now: OffsetDateTime, horizon: Duration) -> bool {
        self.counts().pending > 0 && now - heard > Self::silence_max(horizon)
    }

    /// The report with what the broadcast's dead letters say: a pending container whose message lies there has failed.
    /// SQS itself moves messages whose receives are used up, and no process records that.
    #[must_use]
    pub fn with_letters(mut self, letters: &[SortedLetter]) -> Self {
        let of_tasks: BTreeSet<(&str, &str)> = letters
            .iter()
            .filter(|letter| letter.stage == StageName::Notify)
            .filter_map(|letter| {
                Some((letter.task.as_deref()?, letter.container.as_deref().unwrap_or_default()))
            })
            .collect();
        let of_services: BTreeMap<&str, &SortedLetter> = letters
            .iter()
            .filter(|letter| letter.stage == StageName::Tasks)
            .map(|letter| (letter.services.first().map(String::as_str).unwrap_or_default(), letter))
            .collect();
        for entry in self.entries.iter_mut().filter(|entry| entry.outcome.is_none()) {
            let member = &entry.member;
            if of_tasks.contains(&(member.task.as_str(), member.container.as_str())) {
                let expected =
                    Delivery { member: member.clone(), address: entry.address, ..Delivery::default() };
                *entry = given_up(expected, Some(entry.clone()), "");
            } else if member.task.is_empty()
                && let Some(letter) = of_services.get(member.service.as_str())
            {
                let why = letter.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                entry.outcome = Some(Outcome::Failed);
                entry.reason = Some(format!("given up before its tasks were looked for{why}"));
                entry.cause = Some(Cause::GivenUp);
            }
        }
        self
    }

    /// The report of a broadcast of which nothing more is to be expected: who is pending says so.
    #[must_use]
    pub fn overdue(mut self) -> Self {
        let waiting =
            |entry: &&mut Delivery| entry.outcome.is_none() && entry.cause != Some(Cause::Interrupted);
        for entry in self.entries.iter_mut().filter(waiting) {
            entry.cause = Some(Cause::GivenUp);
        }
        self
    }

    /// Whether somebody has no outcome only because the run that called them was interrupted: nothing more is to be expected.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        let mut pending = self.entries.iter().filter(|entry| entry.outcome.is_none()).peekable();
        pending.peek().is_some() && pending.all(|entry| entry.cause == Some(Cause::Interrupted))
    }

    /// The report of those alone that are wanted.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&Delivery) -> bool) -> Self {
        self.entries.retain(wanted);
        self
    }
}

#[cfg(test)]
mod tests {
    use wire::BroadcastId;

    use super::*;
    use crate::model::Member;
    use crate::pipeline::redrive::Fate;

    fn pending(service: &str, task: &str, tries: Option<u32>) -> Delivery {
        let was_called = tries.is_some();
        Delivery {
            member: Member {
                service: service.to_owned(),
                task: task.to_owned(),
                container: if task.is_empty() { String::new() } else { "app".to_owned() },
                ..Member::default()
            },
            reason: was_called.then(|| "answered 503 Service Unavailable".to_owned()),
            cause: was_called.then_some(Cause::Answered),
            status: was_called.then_some(503),
            attempts: tries,
            ..Delivery::default()
        }
    }

    fn letter(stage: StageName, service: &str, task: Option<&str>) -> SortedLetter {
        SortedLetter {
            stage,
            broadcast: Some("b-1".to_owned()),
            services: vec![service.to_owned()],
            task: task.map(str::to_owned),
            container: task.map(|_| "app".to_owned()),
            code: None,
            reason: None,
            known: None,
            body_bytes: 0,
            sent: OffsetDateTime::UNIX_EPOCH,
            fate: Fate::Left,
        }
    }

    fn report(entries: Vec<Delivery>) -> Report {
        Report::new(BroadcastId::try_from("b-1".to_owned()).unwrap(), entries)
    }

    #[test]
    fn whose_message_is_in_the_dead_letters_has_failed_with_the_cause_of_the_last_try() {
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
        let report = report(entries).with_letters(&letters);
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
                    Some("given up after 15 tries: answered 503 Service Unavailable")
                ),
                (
                    failed,
                    Some(Cause::GivenUp),
                    Some("given up: no process finished its message in all its receives")
                ),
                (None, Some(Cause::Answered), Some("answered 503 Service Unavailable")),
                (failed, Some(Cause::GivenUp), Some("given up before its tasks were looked for")),
                (None, None, None),
            ]
        );
        assert_eq!(report.entries()[0].attempts, Some(15));
        assert_eq!(report.counts().pending, 2);
    }

    #[test]
    fn nothing_is_expected_any_more_after_the_horizon_the_longest_wait_and_all_receives() {
        let horizon = Duration::from_mins(10);
        assert_eq!(Report::silence_max(horizon), Duration::from_mins(10 + 15 + 8 * 60));
        let heard = OffsetDateTime::UNIX_EPOCH;
        let at = |minutes: u64| heard + Duration::from_mins(minutes);
        let waiting = report(vec![pending("a", "arn:1", None)]);
        assert!(!waiting.is_overdue(heard, at(505), horizon));
        assert!(waiting.is_overdue(heard, at(506), horizon));
        assert!(!report(Vec::new()).is_overdue(heard, at(10_000), horizon), "nobody is pending");
        assert!(!waiting.is_interrupted());
        assert_eq!(waiting.overdue().entries()[0].cause, Some(Cause::GivenUp));
        let interrupted = Delivery { cause: Some(Cause::Interrupted), ..pending("a", "arn:1", None) };
        let both = report(vec![interrupted.clone(), pending("a", "arn:2", None)]);
        assert!(!both.is_interrupted(), "somebody is still called");
        let interrupted = report(vec![interrupted]);
        assert!(interrupted.is_interrupted());
        assert_eq!(interrupted.clone().overdue(), interrupted);
    }

    #[test]
    fn the_queues_of_the_module_stay_within_the_time_that_receives_can_take() {
        let stages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/terraform/stages.json");
        let stages: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(stages).unwrap()).unwrap();
        let time = |name: &str| {
            let number = |field: &str| stages[name][field].as_u64().unwrap();
            Duration::from_secs(number("receives_max") * number("visibility_s"))
        };
        assert!(time("services") <= RECEIVES_TIME_MAX, "{:?}", time("services"));
        assert!(time("tasks") + time("notify") <= RECEIVES_TIME_MAX, "{:?}", time("tasks") + time("notify"));
    }
}
