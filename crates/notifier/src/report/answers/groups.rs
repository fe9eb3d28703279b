//! Groups of equal answers. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::AnswerValue;
use crate::base::words;
use crate::model::arn::cluster_name;
use crate::model::{Delivery, Member, Zone};

/// Containers that a group names.
pub const MEMBERS_MAX: usize = 100;
/// Containers that all groups together name.
const MEMBERS_OF_ALL_MAX: usize = 20_000;
/// Distinct answers that are kept. Further ones are only counted.
const GROUPS_MAX: usize = 20_000;
/// Bytes of all distinct answers that are kept.
const VALUES_BYTES_MAX: usize = 8 * 1024 * 1024;

words! {
    /// What the answers of a group are counted by.
    #[derive(Default)]
    pub enum By {
        /// The service, or the group of standalone tasks.
        #[default]
        Service = "service",
        /// The task-definition revision, as `FAMILY:NUMBER`.
        Revision = "revision",
        /// The availability zone.
        Zone = "zone",
        /// The cluster.
        Cluster = "cluster",
        /// The account.
        Account = "account",
    }
}

impl By {
    /// What a container is counted under; `unknown` where that is not known.
    pub fn name(self, delivery: &Delivery) -> &str {
        let member = &*delivery.member;
        let name = match self {
            Self::Service => member.service.as_str(),
            Self::Revision => member.task_definition.rsplit('/').next().unwrap_or_default(),
            Self::Zone => delivery.zone.as_ref().map(Zone::as_str).unwrap_or_default(),
            Self::Cluster => cluster_name(&member.cluster),
            Self::Account => member.account.as_str(),
        };
        if name.is_empty() { "unknown" } else { name }
    }
}

/// Containers that gave the same answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub count: usize,
    /// The same by service, revision, zone, cluster or account.
    pub by: BTreeMap<String, usize>,
    /// The first of them, at most [`MEMBERS_MAX`].
    pub members: Vec<Arc<Member>>,
}

/// Equal answers and who gave them, within limits: memory grows with the distinct answers, not with the answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    by: By,
    of: HashMap<AnswerValue, Group>,
    /// Bytes of the distinct answers.
    bytes: usize,
    members: usize,
    /// Answers beyond the limits.
    ungrouped: usize,
}

impl Groups {
    pub(super) fn new(by: By) -> Self {
        Self { by, ..Self::default() }
    }

    /// Adds an answer.
    pub(super) fn add(&mut self, value: AnswerValue, delivery: &Delivery) {
        let is_full = self.of.len() >= GROUPS_MAX
            || self.bytes + value.as_json().map_or(0, str::len) > VALUES_BYTES_MAX;
        if is_full && !self.of.contains_key(&value) {
            self.ungrouped += 1;
            return;
        }
        let bytes = value.as_json().map_or(0, str::len);
        let group = self.of.entry(value).or_insert_with(|| {
            self.bytes += bytes;
            Group::default()
        });
        group.count += 1;
        count(&mut group.by, self.by.name(delivery));
        if group.members.len() < MEMBERS_MAX && self.members < MEMBERS_OF_ALL_MAX {
            group.members.push(Arc::clone(&delivery.member));
            self.members += 1;
        }
    }

    /// The groups, the largest first; equal sizes in the order of the values.
    pub(super) fn sorted(&self) -> Vec<(&AnswerValue, &Group)> {
        let mut groups: Vec<_> = self.of.iter().collect();
        groups.sort_by(|(a, one), (b, other)| other.count.cmp(&one.count).then_with(|| a.cmp(b)));
        groups
    }

    /// The number of groups.
    pub(super) fn distinct(&self) -> usize {
        self.of.len()
    }

    /// Answers that are in no group, because there were too many distinct ones.
    pub(super) fn ungrouped(&self) -> usize {
        self.ungrouped
    }
}

/// Counts one more of a name.
pub(super) fn count(counts: &mut BTreeMap<String, usize>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delivery(service: &str, number: usize) -> Delivery {
        let task = format!("arn:aws:ecs:eu-west-1:111122223333:task/prod/{number}");
        let service = service.to_owned();
        let task_definition = "arn:aws:ecs:eu-west-1:111122223333:task-definition/web:8".to_owned();
        let member = Arc::new(Member { service, task_definition, ..Member::of_task("prod", &task) });
        Delivery { member, zone: Zone::new("eu-west-1a"), ..Delivery::default() }
    }

    fn value(json: &str) -> AnswerValue {
        AnswerValue::from_json(json).unwrap()
    }

    #[test]
    fn a_container_is_counted_by_one_of_its_names() {
        let delivery = delivery("web", 1);
        let names = By::ALL.map(|by| by.name(&delivery));
        assert_eq!(names, ["web", "web:8", "eu-west-1a", "prod", "111122223333"]);
        assert_eq!(
            By::ALL.map(|by| by.name(&Delivery::default()).to_owned()),
            ["unknown"; 5].map(str::to_owned)
        );
    }

    #[test]
    fn memory_grows_with_the_groups_and_only_up_to_a_limit() {
        let mut groups = Groups::new(By::Service);
        let web = delivery("web", 0);
        for number in 0..GROUPS_MAX + 500 {
            groups.add(value(&number.to_string()), &web);
        }
        groups.add(value("7"), &web);
        assert_eq!((groups.of.len(), groups.ungrouped()), (GROUPS_MAX, 500));
        assert_eq!(groups.sorted()[0].1.count, 2, "a known answer still counts");
        let large = format!("\"{}\"", "x".repeat(VALUES_BYTES_MAX));
        let mut groups = Groups::new(By::Service);
        groups.add(value(&large), &web);
        assert_eq!((groups.of.len(), groups.ungrouped(), groups.bytes), (0, 1, 0));
        for number in 0..10_000 {
            groups.add(value("1"), &delivery("web", number));
        }
        assert_eq!((groups.sorted()[0].1.count, groups.sorted()[0].1.members.len()), (10_000, MEMBERS_MAX));
    }

    proptest! {
        #[test]
        fn every_answer_is_in_one_group_whatever_its_order_and_form(
            answers in prop::collection::vec((0_u8..5, 0_u8..3, 0_u8..3), 0..60),
        ) {
            let form = |number: u8, form: u8| match form {
                0 => format!(r#"{{"a":{number},"b":[]}}"#),
                1 => format!(r#" {{ "b" : [ ] , "a" : {number}.0 }} "#),
                _ => format!(r#"{{"a":{number}e0,"b":[]}}"#),
            };
            let grouped = |answers: &[(u8, u8, u8)]| {
                let mut groups = Groups::new(By::Service);
                for (number, of, service) in answers {
                    groups.add(value(&form(*number, *of)), &delivery(&format!("s{service}"), 0));
                }
                let sorted: Vec<_> =
                    groups.sorted().into_iter().map(|(value, group)| (value.clone(), group.clone())).collect();
                sorted
            };
            let groups = grouped(&answers);
            for (value, group) in &groups {
                let expected = answers.iter().filter(|(number, ..)| {
                    Some(form(*number, 0).as_str()) == value.as_json()
                }).count();
                prop_assert_eq!(group.count, expected);
                prop_assert_eq!(group.by.values().sum::<usize>(), expected);
            }
            prop_assert_eq!(groups.iter().map(|(_, group)| group.count).sum::<usize>(), answers.len());
            prop_assert!(groups.is_sorted_by(|(_, a), (_, b)| a.count >= b.count));
            let reversed: Vec<_> = answers.iter().rev().copied().collect();
            let without_members = |groups: Vec<(AnswerValue, Group)>| groups.into_iter()
                .map(|(value, group)| (value, group.count, group.by)).collect::<Vec<_>>();
            prop_assert_eq!(without_members(grouped(&reversed)), without_members(groups));
        }
    }
}
