//! The wave of each task.

use std::collections::{BTreeMap, HashMap};

use wire::{BroadcastId, DeliveryId};

use super::{Plan, Size, WAVES_MAX};
use crate::model::{Delivery, Endpoint, Member, ServiceKey, Zone};

/// The waves of a fleet, by the ARN of the task. All containers of a task are in one wave.
pub type Tasks = HashMap<String, u16>;

/// A container, and where it runs.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The container.
    pub member: &'a Member,
    /// Its availability zone, if it is known.
    pub zone: Option<&'a Zone>,
}

impl<'a> From<&'a Endpoint> for Placed<'a> {
    fn from(endpoint: &'a Endpoint) -> Self {
        Self { member: &endpoint.member, zone: endpoint.zone.as_ref() }
    }
}

/// The wave of each task, counted from 1. Each service is divided by itself.
///
/// The order of the tasks of a service is that of hashes of broadcast and task: it differs between broadcasts, and a repeat
/// for the same tasks gives the same waves, whatever their order here.
///
/// With [`Plan::by_zone`], each zone has waves of its own: those of the second zone come after those of the first. The order
/// of the zones is that of hashes of broadcast and zone, and the same for all services. Tasks without a zone come last.
pub fn waves<'a>(plan: &Plan, broadcast: &BroadcastId, tasks: impl IntoIterator<Item = Placed<'a>>) -> Tasks {
    let mut groups = BTreeMap::<(Order, ServiceKey<'_>), BTreeMap<String, &str>>::new();
    for Placed { member, zone } in tasks {
        let order = if plan.by_zone { Order::of(broadcast, zone) } else { Order::default() };
        let hash = DeliveryId::derive(broadcast, &member.task, "").to_string();
        groups.entry((order, member.service_key())).or_default().insert(hash, &member.task);
    }
    let mut places = BTreeMap::new();
    for (order, _) in groups.keys() {
        let next = places.len();
        places.entry(order.clone()).or_insert(next);
    }
    let sizes = plan.sizes_of(places.len());
    let mut waves = Tasks::new();
    for ((order, _), tasks) in groups {
        let first = places.get(&order).map_or(0, |place| place.saturating_mul(sizes.len()));
        let ends = ends(&sizes, tasks.len());
        for (place, task) in tasks.into_values().enumerate() {
            let before = ends.iter().take_while(|end| **end <= place).count();
            let wave = (first + before + 1).min(WAVES_MAX);
            waves.insert(task.to_owned(), u16::try_from(wave).unwrap_or(u16::MAX));
        }
    }
    waves
}

/// The place of a zone in the order of a broadcast.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    is_unknown: bool,
    hash: String,
}

impl Order {
    fn of(broadcast: &BroadcastId, zone: Option<&Zone>) -> Self {
        let hash = zone.map(|zone| DeliveryId::derive(broadcast, "zone", zone.as_str()).to_string());
        Self { is_unknown: zone.is_none(), hash: hash.unwrap_or_default() }
    }
}

/// The wave of a task that has come since the waves of its part were recorded: the last one.
///
/// With [`Plan::by_zone`], the last of its zone if that has not begun; else it would be called together with another zone.
/// `begun` is the latest wave that has begun.
pub fn joined<'a>(
    plan: &Plan,
    recorded: impl IntoIterator<Item = &'a Delivery>,
    begun: u16,
    zone: Option<&Zone>,
) -> u16 {
    if !plan.by_zone {
        return plan.waves();
    }
    let (mut of_zone, mut of_all) = (None, None);
    for row in recorded {
        of_all = of_all.max(row.wave);
        if row.zone.as_ref() == zone {
            of_zone = of_zone.max(row.wave);
        }
    }
    of_zone.filter(|wave| *wave > begun).or(of_all).unwrap_or_else(|| plan.waves())
}

impl Plan {
    /// The sizes of each of this number of zones: as many as fit into the most waves of a broadcast, and always the last.
    fn sizes_of(&self, zones: usize) -> Vec<Size> {
        let fit = (WAVES_MAX / zones.max(1)).clamp(1, self.sizes.len().max(1));
        let mut sizes = self.sizes.get(..fit - 1).unwrap_or_default().to_vec();
        sizes.extend(self.sizes.last());
        sizes
    }

    /// How many of this number of tasks have been called after each wave.
    #[cfg(test)]
    pub(super) fn ends(&self, tasks: usize) -> Vec<usize> {
        ends(&self.sizes, tasks)
    }
}

/// How many of this number of tasks have been called after each wave: at least one, rounded up, and all after the last.
fn ends(sizes: &[Size], tasks: usize) -> Vec<usize> {
    let mut before = 0;
    let end = |size: &Size| {
        let end = match *size {
            Size::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Size::Percent(percent) => tasks.saturating_mul(usize::from(percent)).div_ceil(100),
        };
        before = end.max(1).max(before).min(tasks);
        before
    };
    sizes.iter().map(end).collect()
}
