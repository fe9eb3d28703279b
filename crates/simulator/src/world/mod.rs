//! The fleet as it is now: clusters, hosts, services and tasks, with their addresses and ids.
//!
//! Built once from a [`Fleet`](crate::fleet::Fleet), then changed. No sockets here: after a change, the caller updates
//! [`workload`](crate::workload).

mod addresses;
mod arn;
mod build;
mod change;
mod definition;
mod deploy;
mod ids;
mod launch;
mod network;
mod service;
mod task;

pub use change::ChangeError;

pub(crate) use addresses::{Ips, loopback_blocks};
pub(crate) use arn::Named;
pub(crate) use definition::Definition;
pub(crate) use network::{Interface, Network, Socket};
pub(crate) use service::{Recipe, Rollout, Service, count};
pub(crate) use task::Task;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use addresses::Pool;
use arn::Arns;
use ids::Ids;

use crate::clock::Clock;
use crate::events::{Change, detail};
use crate::fleet::{Alarm, HostKind};

/// How long a stopped task is still described. AWS promises at least an hour.
const STOPPED_KEPT: Duration = Duration::from_hours(1);

/// Everything that one account runs in one Region.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) arns: Arns,
    pub(crate) clusters: Vec<Cluster>,
    /// CloudWatch alarms, by name.
    pub(crate) alarms: BTreeMap<String, Alarm>,
    /// Task definitions by `family:revision`.
    definitions: HashMap<String, Arc<Definition>>,
    /// The newest revision of each family.
    newest: BTreeMap<String, u32>,
    /// Cluster and place in it, by task id.
    tasks: HashMap<String, (usize, usize)>,
    pool: Pool,
    /// The changes of tasks that are not published yet; `None` where nobody wants events.
    changes: Option<Vec<Change>>,
    /// Whether the containers share a listener for each port.
    pub(crate) shares_listeners: bool,
    ids: Ids,
    clock: Clock,
}

/// One cluster. Nothing is ever taken out, so places stay valid and pages do not shift.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) is_inactive: bool,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) services: Vec<Service>,
    pub(crate) tasks: Vec<Task>,
    /// Place of each service, by name.
    service_places: HashMap<String, usize>,
    /// Where the search for the next task's host begins.
    next_host: usize,
}

/// One container instance.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) id: String,
    pub(crate) arn: String,
    /// `i-…` or `mi-…`.
    pub(crate) instance: String,
    pub(crate) kind: HostKind,
    pub(crate) ips: Ips,
    pub(crate) interface_id: String,
    pub(crate) zone: String,
    pub(crate) status: String,
    pub(crate) agent_connected: bool,
    pub(crate) hidden: bool,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) ping_status: String,
    pub(crate) registered_at: Duration,
}

impl Cluster {
    /// The service with this name.
    pub(crate) fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(*self.service_places.get(name)?)
    }

    fn service_mut(&mut self, name: &str) -> Option<&mut Service> {
        self.services.get_mut(*self.service_places.get(name)?)
    }

    fn add_service(&mut self, service: Service) {
        self.service_places.insert(service.name.clone(), self.services.len());
        self.services.push(service);
    }

    /// Adds a task and returns its place.
    fn add_task(&mut self, task: Task) -> usize {
        let place = self.tasks.len();
        let service = task.recipe.service.clone();
        self.tasks.push(task);
        if let Some(service) = service.and_then(|name| self.service_mut(&name)) {
            service.tasks.push(place);
        }
        place
    }
}

impl World {
    /// The cluster that a caller names; `default` when it names none.
    pub(crate) fn cluster(&self, named: Option<&str>) -> Option<&Cluster> {
        let Named::Bare(name) = self.arns.read("cluster", named.unwrap_or("default")) else { return None };
        self.clusters.iter().find(|cluster| cluster.name == name)
    }

    /// From now on, changes of tasks are noted down.
    pub(crate) fn note_changes(&mut self) {
        self.changes = Some(Vec::new());
    }

    /// The changes since they were last taken.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Notes down a task as it is now, and `ran`, what was noted of it when it ran.
    fn note(&mut self, arn: &str, ran: Option<Value>) {
        let now = self.clock.now();
        if let Some(detail) = self.changes.is_some().then(|| self.detail(arn)).flatten()
            && let Some(changes) = &mut self.changes
        {
            changes.push(Change { detail, at: now, ran });
        }
    }

    /// What an event says of a task as it is now.
    fn detail(&self, arn: &str) -> Option<Value> {
        self.find_task(arn).map(|(cluster, task)| detail(cluster, task, self.clock.now()))
    }

    /// The time by the simulator's clock.
    pub(crate) fn time(&self) -> Duration {
        self.clock.now()
    }

    /// Whether endpoints really listen.
    pub(crate) fn listens(&self) -> bool {
        self.pool.listens()
    }

    /// The one subnet that hosts and interfaces are in.
    pub(crate) fn subnet(&self) -> String {
        format!("subnet-{}", self.ids.short("subnet"))
    }

    /// The definition that a caller names by `family`, `family:revision` or ARN.
    pub(crate) fn definition(&self, named: &str) -> Option<&Definition> {
        let Named::Bare(name) = self.arns.read("task-definition", named) else { return None };
        let key = match (name.contains(':'), self.newest.get(name)) {
            (false, Some(newest)) => format!("{name}:{newest}"),
            _ => name.to_owned(),
        };
        self.definitions.get(&key).map(AsRef::as_ref)
    }

    /// The task with this ARN, however long ago it stopped.
    pub(crate) fn task(&self, arn: &str) -> Option<&Task> {
        self.find_task(arn).map(|(_, task)| task)
    }

    /// The same, with its cluster.
    pub(crate) fn find_task(&self, arn: &str) -> Option<(&Cluster, &Task)> {
        let (cluster, task) = self.place_of(arn)?;
        let cluster = self.clusters.get(cluster)?;
        Some((cluster, cluster.tasks.get(task)?))
    }

    fn task_mut(&mut self, arn: &str) -> Option<&mut Task> {
        let (cluster, task) = self.place_of(arn)?;
        self.clusters.get_mut(cluster)?.tasks.get_mut(task)
    }

    fn place_of(&self, arn: &str) -> Option<(usize, usize)> {
        let (Named::In { name: id, .. } | Named::Bare(id)) = self.arns.read("task", arn) else { return None };
        self.tasks.get(id).copied()
    }

    /// Whether the API still shows a task: it forgets what stopped long ago.
    pub(crate) fn shows(&self, task: &Task) -> bool {
        task.stopped_at.is_none_or(|stopped| self.clock.now().saturating_sub(stopped) <= STOPPED_KEPT)
    }

    /// The task with this id in this cluster, as far as the API shows it.
    pub(crate) fn shown_task<'a>(&self, cluster: &'a Cluster, id: &str) -> Option<&'a Task> {
        let (_, place) = self.tasks.get(id)?;
        cluster.tasks.get(*place).filter(|task| task.id == id && self.shows(task))
    }

    /// All tasks, in the order in which they started.
    pub(crate) fn all_tasks(&self) -> impl Iterator<Item = (&Cluster, &Task)> {
        self.clusters.iter().flat_map(|cluster| cluster.tasks.iter().map(move |task| (cluster, task)))
    }
}
