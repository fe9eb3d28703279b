//! From a fleet's description to the world.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::clock::Clock;
use crate::fleet::{
    self, Container, Fleet, FleetError, HostKind, LaunchType, Mistake, NetworkMode, Scheduling, TaskOverride,
};

use super::addresses::{Pool, loopback_blocks};
use super::arn::Arns;
use super::ids::Ids;
use super::launch::{Launch, zone};
use super::{Cluster, Definition, Host, Recipe, Rollout, Service, World};

impl World {
    /// Everything that a (checked) fleet describes. `block` is the second number of its first loopback addresses.
    pub(crate) fn build(fleet: &Fleet, block: u8, clock: Clock) -> Result<Self, FleetError> {
        fleet.check()?;
        let mut world = Self {
            region: fleet.region.clone(),
            account: fleet.account.clone(),
            arns: Arns::new(&fleet.region, &fleet.account),
            clusters: Vec::new(),
            alarms: fleet.alarms.iter().map(|alarm| (alarm.name.clone(), alarm.clone())).collect(),
            definitions: HashMap::new(),
            newest: BTreeMap::new(),
            tasks: HashMap::new(),
            pool: Pool::new(
                fleet.addresses,
                fleet.shares_listeners(),
                block,
                loopback_blocks(fleet.task_count()),
            ),
            changes: None,
            shares_listeners: fleet.shares_listeners(),
            ids: Ids::new(fleet.seed),
            clock,
        };
        let mut mistakes = Vec::new();
        for description in &fleet.clusters {
            world.add_cluster(description, &mut mistakes);
        }
        if mistakes.is_empty() { Ok(world) } else { Err(FleetError::Mistakes(mistakes)) }
    }

    fn add_cluster(&mut self, description: &fleet::Cluster, mistakes: &mut Vec<Mistake>) {
        let place = self.clusters.len();
        let mut cluster = Cluster {
            name: description.name.clone(),
            arn: self.arns.cluster(&description.name),
            is_inactive: description.inactive,
            tags: description.tags.clone(),
            hosts: Vec::new(),
            services: Vec::new(),
            tasks: Vec::new(),
            service_places: HashMap::new(),
            next_host: 0,
        };
        for hosts in &description.hosts {
            for _ in 0..hosts.count {
                let host = self.host(&cluster, hosts);
                cluster.hosts.push(host);
            }
        }
        self.clusters.push(cluster);
        for service in &description.services {
            for copy in 1..=service.copies {
                let suffix = if service.copies > 1 { format!("-{copy}") } else { String::new() };
                let unplaced = self.add_service(place, service, &suffix).err();
                mistakes.extend(unplaced.map(|problem| Mistake {
                    place: format!("cluster {}, service {}{suffix}", description.name, service.name),
                    problem,
                }));
            }
        }
        for standalone in &description.standalones {
            let unplaced = self.add_standalone(place, standalone).err();
            mistakes.extend(unplaced.map(|problem| Mistake {
                place: format!("cluster {}, standalone {}", description.name, standalone.family),
                problem,
            }));
        }
    }

    fn host(&mut self, cluster: &Cluster, hosts: &fleet::Hosts) -> Host {
        let number = u32::try_from(cluster.hosts.len() + 1).unwrap_or(u32::MAX);
        let key = format!("{}/{number}", cluster.name);
        let id = self.ids.long(&format!("container-instance/{key}"));
        let prefix = if hosts.kind == HostKind::Anywhere { "mi-" } else { "i-" };
        Host {
            arn: self.arns.container_instance(&cluster.name, &id),
            id,
            instance: format!("{prefix}{}", self.ids.short(&format!("instance/{key}"))),
            kind: hosts.kind,
            ips: self.pool.host(hosts.ip),
            interface_id: format!("eni-{}", self.ids.short(&format!("host-eni/{key}"))),
            zone: zone(&self.region, number),
            status: hosts.status.clone(),
            agent_connected: hosts.agent_connected,
            hidden: hosts.hidden,
            attributes: hosts.attributes.clone(),
            ping_status: hosts.ping_status.clone(),
            registered_at: self.clock.now(),
        }
    }

    fn add_service(
        &mut self,
        cluster: usize,
        described: &fleet::Service,
        suffix: &str,
    ) -> Result<(), String> {
        let name = format!("{}{suffix}", described.name);
        let family = format!("{}{suffix}", described.family());
        let Some(cluster_name) = self.clusters.get(cluster).map(|cluster| cluster.name.clone()) else {
            return Ok(());
        };
        let hosts = self.daemon_hosts(cluster, described);
        let service = Service {
            arn: self.arns.service(&cluster_name, &name),
            name: name.clone(),
            launch_type: described.launch_type,
            scheduling: described.scheduling,
            controller: described.controller,
            created_at: self.clock.now(),
            rollouts: Vec::new(),
            tasks: Vec::new(),
        };
        if let Some(cluster) = self.clusters.get_mut(cluster) {
            cluster.add_service(service);
        }
        let older = described.deployments.iter().map(|older| {
            let containers =
                if older.containers.is_empty() { &described.containers } else { &older.containers };
            (older.revision, older.tasks, containers, &older.overrides, None)
        });
        let primary_tasks = hosts.as_ref().map_or(described.tasks, |hosts| count_u32(hosts.len()));
        let primary = (described.revision, primary_tasks, &described.containers, &described.overrides, hosts);
        for (revision, tasks, containers, overrides, hosts) in std::iter::once(primary).chain(older) {
            let mode = described.network_mode.unwrap_or(described.launch_type.usual_mode());
            let definition = self.define(&family, revision, mode, described.launch_type, containers);
            let id = format!("ecs-svc/{}", self.ids.decimal(&format!("{cluster_name}/{name}/{revision}")));
            let recipe = Arc::new(Recipe {
                definition,
                service: Some(name.clone()),
                group: format!("service:{name}"),
                started_by: Some(id.clone()),
                launch_type: described.launch_type,
                ip: described.ip,
            });
            self.launch_all(cluster, &recipe, tasks, overrides, hosts.as_deref())?;
            let rollout = Rollout { id, recipe, desired: tasks, next_number: tasks + 1 };
            if let Some(service) = self.clusters.get_mut(cluster).and_then(|it| it.service_mut(&name)) {
                service.rollouts.push(rollout);
            }
        }
        Ok(())
    }

    /// The hosts that a DAEMON service puts a task on, or `None` for a REPLICA service.
    fn daemon_hosts(&self, cluster: usize, described: &fleet::Service) -> Option<Vec<usize>> {
        if described.scheduling == Scheduling::Replica {
            return None;
        }
        let kind = HostKind::for_tasks(described.launch_type)?;
        let hosts = self.clusters.get(cluster)?.hosts.iter().enumerate();
        Some(hosts.filter(|(_, host)| host.kind == kind).map(|(place, _)| place).collect())
    }

    fn add_standalone(&mut self, cluster: usize, described: &fleet::Standalone) -> Result<(), String> {
        let mode = described.network_mode.unwrap_or(described.launch_type.usual_mode());
        let definition = self.define(
            &described.family,
            described.revision,
            mode,
            described.launch_type,
            &described.containers,
        );
        let group = if described.group.is_empty() {
            format!("family:{}", described.family)
        } else {
            described.group.clone()
        };
        let recipe = Arc::new(Recipe {
            definition,
            service: None,
            group,
            started_by: described.started_by.clone(),
            launch_type: described.launch_type,
            ip: described.ip,
        });
        self.launch_all(cluster, &recipe, described.tasks, &described.overrides, None)
    }

    pub(super) fn define(
        &mut self,
        family: &str,
        revision: u32,
        mode: NetworkMode,
        launch_type: LaunchType,
        containers: &[Container],
    ) -> Arc<Definition> {
        let key = format!("{family}:{revision}");
        let newest = self.newest.entry(family.to_owned()).or_insert(revision);
        *newest = revision.max(*newest);
        let definition = self.definitions.entry(key).or_insert_with_key(|key| {
            Arc::new(Definition {
                arn: self.arns.task_definition(key),
                family: family.to_owned(),
                revision,
                mode,
                launch_type,
                containers: containers.to_vec(),
                registered_at: self.clock.now(),
            })
        });
        Arc::clone(definition)
    }

    fn launch_all(
        &mut self,
        cluster: usize,
        recipe: &Arc<Recipe>,
        tasks: u32,
        overrides: &[TaskOverride],
        hosts: Option<&[usize]>,
    ) -> Result<(), String> {
        for number in 1..=tasks {
            let differs = overrides.iter().find(|task| task.number == number).cloned().unwrap_or_default();
            let host = hosts.and_then(|hosts| hosts.get(number as usize - 1)).copied();
            self.launch(&Launch { cluster, recipe, number, host, differs })?;
        }
        Ok(())
    }
}

fn count_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
