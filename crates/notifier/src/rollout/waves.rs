//! The wave of each task.

use std::collections::{BTreeMap, HashMap};

use wire::{BroadcastId, DeliveryId};

use super::{Plan, Size};
use crate::model::{Member, ServiceKey};

/// The waves of a fleet, by the ARN of the task. All containers of a task are in one wave.
pub type Tasks = HashMap<String, u16>;

/// The wave of each task, counted from 1. Each service is divided by itself.
///
/// The order of the tasks of a service is that of hashes of broadcast and task: it differs between broadcasts, and a repeat
/// for the same tasks gives the same waves, whatever the order of `members`.
pub fn waves<'a>(
    plan: &Plan,
    broadcast: &BroadcastId,
    members: impl IntoIterator<Item = &'a Member>,
) -> Tasks {
    let mut services = BTreeMap::<ServiceKey<'_>, BTreeMap<String, &str>>::new();
    for member in members {
        let hash = DeliveryId::derive(broadcast, &member.task, "").to_string();
        services.entry(member.service_key()).or_default().insert(hash, &member.task);
    }
    let mut waves = Tasks::new();
    for tasks in services.into_values() {
        let ends = plan.ends(tasks.len());
        for (place, task) in tasks.into_values().enumerate() {
            let before = ends.iter().take_while(|end| **end <= place).count();
            waves.insert(task.to_owned(), u16::try_from(before + 1).unwrap_or(u16::MAX));
        }
    }
    waves
}

impl Plan {
    /// How many of this number of tasks have been called after each wave: at least one, rounded up, and all after the last.
    pub(super) fn ends(&self, tasks: usize) -> Vec<usize> {
        let mut before = 0;
        let end = |size: &Size| {
            let end = match *size {
                Size::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
                Size::Percent(percent) => tasks.saturating_mul(usize::from(percent)).div_ceil(100),
            };
            before = end.max(1).max(before).min(tasks);
            before
        };
        self.sizes.iter().map(end).collect()
    }
}
