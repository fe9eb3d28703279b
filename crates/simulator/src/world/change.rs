//! Live changes: tasks that stop, start, and inherit addresses.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::fleet::{HealthStatus, TaskOverride, TaskStatus};

use super::launch::Launch;
use super::{Network, Task, World};

/// A live change that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The fleet has no such task.
    #[error("there is no task {0}")]
    NoTask(String),
    /// The fleet has no such service.
    #[error("there is no service {service} in cluster {cluster}")]
    NoService {
        /// The cluster that was named.
        cluster: String,
        /// The service that was named.
        service: String,
    },
    /// An address can only move between tasks that have the same kind of it.
    #[error("a task in network mode `{from}` cannot hand its address to one in mode `{to}`")]
    OtherNetwork {
        /// Network mode of the giving task.
        from: &'static str,
        /// Network mode of the taking task.
        to: &'static str,
    },
    /// The family has this revision already.
    #[error("revision {revision} of {family} is there already")]
    OldRevision {
        /// Family of the task definition.
        family: String,
        /// The revision.
        revision: u32,
    },
    /// No host has room for the task.
    #[error("{0}")]
    NoPlace(String),
    /// The task runs, but cannot listen.
    #[error(transparent)]
    Listen(#[from] crate::workload::ListenError),
}

impl World {
    /// Stops a task as a service's scheduler does, all steps at once. Stopping it again changes nothing.
    pub(crate) fn stop(&mut self, arn: &str) -> Result<(), ChangeError> {
        let now = self.clock.now();
        let task = self.task_mut(arn).ok_or_else(|| ChangeError::NoTask(arn.to_owned()))?;
        if task.last_status == TaskStatus::Stopped {
            return Ok(());
        }
        let steps = TaskStatus::of_end(task.recipe.definition.mode);
        // A task that never ran is not stopped as one that does.
        let done = match (task.last_status, task.desired_status) {
            (TaskStatus::Running, desired) => usize::from(desired == TaskStatus::Stopped),
            (status, _) => steps.iter().position(|step| *step == status).map_or(steps.len() - 1, |it| it + 1),
        };
        let ran = (task.last_status == TaskStatus::Running).then(|| self.detail(arn)).flatten();
        for step in steps.iter().skip(done) {
            let Some(task) = self.task_mut(arn) else { break };
            task.last_status = *step;
            task.desired_status = TaskStatus::Stopped;
            task.stopped_reason = Some("Scaling activity initiated by deployment");
            task.stopped_at = (*step == TaskStatus::Stopped).then_some(now);
            task.version += 1;
            self.note(arn, ran.clone().filter(|_| *step == TaskStatus::Stopped));
        }
        self.release(arn);
        Ok(())
    }

    fn release(&mut self, arn: &str) {
        for address in self.addresses(arn) {
            self.pool.release(address);
        }
        if let Some(number) = self.interface_number(arn) {
            self.pool.free_interface(number);
        }
    }

    fn interface_number(&self, arn: &str) -> Option<u32> {
        match &self.task(arn)?.network {
            Network::Own(interface) => Some(interface.number),
            Network::Bridge { .. } | Network::Host { .. } | Network::None => None,
        }
    }

    fn addresses(&self, arn: &str) -> Vec<SocketAddr> {
        self.task(arn)
            .map(|task| task.sockets().iter().map(|socket| socket.address).collect())
            .unwrap_or_default()
    }

    /// Lets a task stop as soon as an answer of `ListTasks` has named it.
    pub(crate) fn stop_after_listing(&mut self, arn: &str) -> Result<(), ChangeError> {
        let task = self.task_mut(arn).ok_or_else(|| ChangeError::NoTask(arn.to_owned()))?;
        task.stop_after_listing = true;
        Ok(())
    }

    /// What the health checks of a task say from now on.
    pub(crate) fn set_health(&mut self, arn: &str, health: HealthStatus) -> Result<(), ChangeError> {
        let task = self.task_mut(arn).ok_or_else(|| ChangeError::NoTask(arn.to_owned()))?;
        task.health = Some(health);
        Ok(())
    }

    /// Starts one more task of a service's primary deployment and returns its ARN.
    pub(crate) fn start(&mut self, cluster: &str, service: &str) -> Result<String, ChangeError> {
        let missing = || ChangeError::NoService { cluster: cluster.to_owned(), service: service.to_owned() };
        let place = self.clusters.iter().position(|it| it.name == cluster).ok_or_else(missing)?;
        let rollout = self
            .clusters
            .get_mut(place)
            .and_then(|cluster| cluster.service_mut(service))
            .and_then(|service| service.rollouts.first_mut())
            .ok_or_else(missing)?;
        let (recipe, number) = (Arc::clone(&rollout.recipe), rollout.next_number);
        rollout.next_number += 1;
        let launch =
            Launch { cluster: place, recipe: &recipe, number, host: None, differs: TaskOverride::default() };
        let arn = self.launch(&launch).map_err(ChangeError::NoPlace)?;
        for (step, version) in TaskStatus::of_start(recipe.definition.mode).iter().zip(1..) {
            if let Some(task) = self.task_mut(&arn) {
                task.last_status = *step;
                task.version = version;
            }
            self.note(&arn, None);
        }
        Ok(arn)
    }

    /// Stops `from` and gives its address to `to`, as if `to` had started there after `from` ended. The previous address of
    /// `to` is free then.
    pub(crate) fn move_address(&mut self, from: &str, to: &str) -> Result<(), ChangeError> {
        let giver = self.task(from).ok_or_else(|| ChangeError::NoTask(from.to_owned()))?;
        let taker = self.task(to).ok_or_else(|| ChangeError::NoTask(to.to_owned()))?;
        let mut network = taker.network.clone();
        let host = match (&giver.network, &mut network) {
            (Network::Own(theirs), Network::Own(own)) => {
                own.ips = theirs.ips;
                own.number = theirs.number;
                taker.host
            }
            (Network::Host { .. }, Network::Host { .. }) => {
                network = giver.network.clone();
                giver.host
            }
            (Network::Bridge { ips, bindings: theirs }, Network::Bridge { ips: own, bindings }) => {
                *own = *ips;
                for (binding, inherited) in bindings.iter_mut().zip(theirs) {
                    binding.host_port = inherited.host_port;
                }
                giver.host
            }
            (theirs, own) => return Err(ChangeError::OtherNetwork { from: theirs.name(), to: own.name() }),
        };
        let handed_on = |task: &&Task| task.last_status == TaskStatus::Stopped;
        if let Some(giver) = self.task(from).filter(handed_on)
            && let Some(taken) = giver.sockets().iter().find(|socket| self.pool.is_taken(socket.address))
        {
            return Err(ChangeError::NoPlace(format!("another task has {} already", taken.address)));
        }
        self.stop(from)?;
        if self.task(to).is_some_and(|task| task.last_status != TaskStatus::Stopped) {
            self.release(to);
        }
        if let Some(task) = self.task_mut(to) {
            task.network = network;
            task.host = host;
            task.version += 1;
        }
        self.note(to, None);
        for address in self.addresses(to) {
            self.pool.take_over(address);
        }
        if let Some(number) = self.interface_number(to) {
            self.pool.reclaim_interface(number);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::fleet::Fleet;

    fn world(service: &str) -> World {
        let toml = format!(
            "addresses = 'private'\n[[cluster]]\nname = 'c'\nhosts = [{{ count = 2 }}]\n[[cluster.service]]\n\
             name = 's'\ntasks = 2\n{service}\n[[cluster.service.container]]\nname = 'app'\nports = [8080]"
        );
        World::build(&Fleet::from_toml(&toml).unwrap(), 0, Clock::starting_at(Duration::ZERO)).unwrap()
    }

    fn arn(world: &World, place: usize) -> String {
        world.clusters[0].tasks[place].arn.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_task_is_shown_for_an_hour() {
        let mut world = world("");
        let arn = arn(&world, 0);
        world.stop(&arn).unwrap();
        tokio::time::advance(Duration::from_mins(59)).await;
        assert!(world.shows(world.task(&arn).unwrap()));
        tokio::time::advance(Duration::from_mins(2)).await;
        let id = arn.rsplit('/').next().unwrap();
        assert!(world.shown_task(&world.clusters[0], id).is_none());
    }

    #[tokio::test]
    async fn a_fixed_port_is_free_again_once_its_task_stopped() {
        let mut world = world("network_mode = 'host'");
        assert!(matches!(world.start("c", "s"), Err(ChangeError::NoPlace(_))), "both hosts' ports are taken");
        world.stop(&arn(&world, 0)).unwrap();
        let (old, new) = (arn(&world, 0), world.start("c", "s").unwrap());
        assert_eq!(world.addresses(&old), world.addresses(&new));
    }

    #[tokio::test]
    async fn the_address_of_a_stopped_task_moves_unless_another_has_it() {
        let mut world = world("network_mode = 'host'");
        let (from, to) = (arn(&world, 0), arn(&world, 1));
        world.stop(&from).unwrap();
        world.start("c", "s").unwrap();
        assert!(matches!(world.move_address(&from, &to), Err(ChangeError::NoPlace(_))));
        assert_eq!(world.task(&to).unwrap().version, 2, "nothing changed");
    }

    #[tokio::test]
    async fn a_moved_address_is_held_by_its_new_task() {
        let mut world = world("network_mode = 'host'");
        let (from, to) = (arn(&world, 0), arn(&world, 1));
        let (inherited, left) = (world.addresses(&from), world.addresses(&to));
        world.move_address(&from, &to).unwrap();
        assert_eq!(world.addresses(&to), inherited);
        let new = world.start("c", "s").unwrap();
        assert_eq!(world.addresses(&new), left, "the one host with a free port");
    }
}
