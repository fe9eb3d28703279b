//! The worlds of several accounts and Regions, and which of them a request reaches.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::clock::Clock;
use crate::error::AwsError;
use crate::events::Events;
use crate::fleet::{Addresses, Fleet, FleetError, Mistake};
use crate::lock;
use crate::world::{ChangeError, World, loopback_blocks};

/// An account and a Region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.account, self.region)
    }
}

impl Place {
    pub(crate) fn of(fleet: &Fleet) -> Self {
        Self { account: fleet.account.clone(), region: fleet.region.clone() }
    }
}

/// One world for each account and Region.
#[derive(Debug)]
pub(crate) struct Worlds {
    home: Place,
    /// Whether requests of every account and Region reach the one world.
    is_alone: bool,
    all: BTreeMap<Place, Mutex<World>>,
    /// Where changes of tasks are published.
    events: Arc<Events>,
    /// What an account and Region has that no fleet describes: nothing.
    clock: Clock,
}

/// How many loopback blocks in a row these fleets need.
pub(crate) fn blocks(fleets: &[&Fleet]) -> u8 {
    fleets.iter().map(|fleet| width(fleet)).fold(0, u8::saturating_add)
}

fn width(fleet: &Fleet) -> u8 {
    match fleet.addresses {
        Addresses::Loopback => loopback_blocks(fleet.task_count()),
        Addresses::Private => 0,
    }
}

impl Worlds {
    /// The worlds of these fleets, of which the first is the home. `block` is the first of their loopback blocks.
    pub(crate) fn build(
        fleets: &[&Fleet],
        is_alone: bool,
        block: u8,
        events: &Arc<Events>,
        clock: Clock,
    ) -> Result<Self, FleetError> {
        let mut all = BTreeMap::new();
        let mut block = block;
        for fleet in fleets {
            let mut world = World::build(fleet, block, clock)?;
            if events.are_wanted(&Place::of(fleet)) {
                world.note_changes();
            }
            block = block.saturating_add(width(fleet));
            if all.insert(Place::of(fleet), Mutex::new(world)).is_some() {
                let problem = "two fleets are in one account and Region".to_owned();
                let place = format!("account {}, Region {}", fleet.account, fleet.region);
                return Err(FleetError::Mistakes(vec![Mistake { place, problem }]));
            }
        }
        let home = fleets.first().map_or_else(|| Place::of(&Fleet::default()), |fleet| Place::of(fleet));
        Ok(Self { home, is_alone, all, events: Arc::clone(events), clock })
    }

    /// Where a request with the credentials of this account, signed for this Region, arrives.
    pub(crate) fn place(&self, account: &str, region: Option<&str>) -> Place {
        if self.is_alone {
            return self.home.clone();
        }
        let region = region.unwrap_or(&self.home.region).to_owned();
        Place { account: account.to_owned(), region }
    }

    /// Reads the world of an account and Region.
    pub(crate) fn read<T>(
        &self,
        place: &Place,
        read: impl FnOnce(&World) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        if let Some(world) = self.all.get(place) {
            return read(&lock(world));
        }
        let (account, region) = (place.account.clone(), place.region.clone());
        let empty = Fleet { account, region, addresses: Addresses::Private, ..Fleet::default() };
        let empty = World::build(&empty, 0, self.clock);
        let wrong = |error: FleetError| AwsError::client("SignatureDoesNotMatch", error.to_string());
        read(&empty.map_err(wrong)?)
    }

    /// Every world, the home first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Mutex<World>> {
        let home = self.all.get(&self.home);
        let others = self.all.iter().filter(|(place, _)| **place != self.home).map(|(_, world)| world);
        home.into_iter().chain(others)
    }

    /// Changes the world that has this task, and publishes what changed.
    pub(crate) fn change<T>(
        &self,
        task: &str,
        change: impl FnOnce(&mut World) -> Result<T, ChangeError>,
    ) -> Result<T, ChangeError> {
        let has_task = |(_, world): &(&Place, &Mutex<World>)| lock(world).task(task).is_some();
        let found = self.all.iter().find(has_task);
        let (place, world) = found.ok_or_else(|| ChangeError::NoTask(task.to_owned()))?;
        self.change_and_publish(place, world, change)
    }

    /// Changes the home's world, and publishes what changed.
    pub(crate) fn change_home<T>(
        &self,
        change: impl FnOnce(&mut World) -> Result<T, ChangeError>,
    ) -> Result<T, ChangeError> {
        // There is one for each fleet, and the home is the first fleet's.
        let world = self.all.get(&self.home).ok_or_else(|| ChangeError::NoTask(String::new()))?;
        self.change_and_publish(&self.home, world, change)
    }

    fn change_and_publish<T>(
        &self,
        place: &Place,
        world: &Mutex<World>,
        change: impl FnOnce(&mut World) -> Result<T, ChangeError>,
    ) -> Result<T, ChangeError> {
        let mut world = lock(world);
        let result = change(&mut world);
        // Under the lock, so that events are published in the order of the changes.
        self.events.publish(place, world.take_changes());
        result
    }
}
