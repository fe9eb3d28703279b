//! Answers that a ledger has kept, as groups of equal ones. Pure.
//!
//! Only short answers are kept, so not every container that answered is in a group.

use std::collections::BTreeMap;

use serde::Serialize;

use super::groups::Groups;
use super::{AnswerValue, By, Group, Json};
use crate::model::{Delivery, Outcome};

/// Kept answers of a broadcast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptAnswers {
    groups: Groups,
    kept: usize,
    answered: usize,
}

/// The same in the line that closes a report for scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptSummary {
    /// Groups of equal answers, the largest first.
    pub answers: Vec<KeptGroup>,
    /// Distinct answers.
    pub distinct: usize,
    /// Containers that answered.
    pub answered: usize,
    /// Those whose answer is recorded.
    pub kept: usize,
}

/// One group in the summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptGroup {
    /// The answer.
    pub value: Option<Json<'static>>,
    /// How many containers gave it.
    pub count: usize,
    /// The same by service.
    pub by: BTreeMap<String, usize>,
}

impl KeptAnswers {
    /// The kept answers of these deliveries; `None` if there are none.
    pub fn of<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> Option<Self> {
        let mut kept = Self { groups: Groups::new(By::Service), ..Self::default() };
        for delivery in deliveries {
            kept.answered += usize::from(delivery.outcome == Some(Outcome::Delivered));
            if let Some(answer) = &delivery.answer {
                kept.groups.add(AnswerValue::of(answer, false, None), delivery);
                kept.kept += 1;
            }
        }
        (kept.kept > 0).then_some(kept)
    }

    /// Groups of equal answers, the largest first.
    pub fn groups(&self) -> Vec<(&AnswerValue, &Group)> {
        self.groups.sorted()
    }

    /// The number of distinct answers.
    pub fn distinct(&self) -> usize {
        self.groups.distinct()
    }

    /// Answers that are in no group, because there were too many distinct ones.
    pub fn ungrouped(&self) -> usize {
        self.groups.ungrouped()
    }

    /// Containers whose answer is recorded.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Containers that answered.
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// The part of the line that closes a report.
    pub fn summary(&self) -> KeptSummary {
        let group = |(value, group): (&AnswerValue, &Group)| KeptGroup {
            value: value.as_json().and_then(Json::kept),
            count: group.count,
            by: group.by.clone(),
        };
        KeptSummary {
            answers: self.groups().into_iter().map(group).collect(),
            distinct: self.distinct(),
            answered: self.answered,
            kept: self.kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Member;

    fn delivery(service: &str, answer: Option<&str>, outcome: Outcome) -> Delivery {
        let member = Arc::new(Member { service: service.to_owned(), ..Member::default() });
        let answer = answer.map(str::to_owned);
        Delivery { member, outcome: Some(outcome), answer, ..Delivery::default() }
    }

    #[test]
    fn kept_answers_are_grouped_and_those_that_are_not_recorded_are_counted() {
        let deliveries = [
            delivery("web", Some(r#"{"b":1,"a":2}"#), Outcome::Delivered),
            delivery("api", Some(r#"{"a":2.0,"b":1}"#), Outcome::Delivered),
            delivery("web", Some("\"v1\""), Outcome::Delivered),
            delivery("web", None, Outcome::Delivered),
            delivery("web", None, Outcome::Failed),
        ];
        let kept = KeptAnswers::of(&deliveries).unwrap();
        assert_eq!((kept.distinct(), kept.kept(), kept.answered()), (2, 3, 4));
        assert_eq!(
            serde_json::to_string(&kept.summary()).unwrap(),
            r#"{"answers":[{"value":{"a":2,"b":1},"count":2,"by":{"api":1,"web":1}},{"value":"v1","count":1,"by":{"web":1}}],"distinct":2,"answered":4,"kept":3}"#
        );
        assert_eq!(KeptAnswers::of(&deliveries[3..]), None);
    }

    #[test]
    fn a_record_that_is_not_json_is_text_whose_commands_are_escaped() {
        let kept =
            KeptAnswers::of(&[delivery("web", Some("{\u{202e}\u{1b}[2J"), Outcome::Delivered)]).unwrap();
        let json = serde_json::to_string(&kept.summary().answers).unwrap();
        assert_eq!(json, r#"[{"value":"{\u202e\u001b[2J","count":1,"by":{"web":1}}]"#);
    }
}
