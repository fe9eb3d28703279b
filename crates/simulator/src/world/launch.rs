//! Starting a task: its host, its place on the network, its ids.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::fleet::{Container, HostKind, NetworkMode, Protocol, TaskOverride, TaskStatus};

use super::network::{Binding, tcp_ports};
use super::task::ContainerIds;
use super::{Interface, Ips, Network, Recipe, Task, World};

/// One task to start.
pub(super) struct Launch<'a> {
    /// Place of the cluster.
    pub(super) cluster: usize,
    pub(super) recipe: &'a Arc<Recipe>,
    /// Counts the tasks of the recipe, from 1.
    pub(super) number: u32,
    /// The one host to put it on; else the next that fits.
    pub(super) host: Option<usize>,
    pub(super) differs: TaskOverride,
}

impl World {
    /// Starts a task and returns its ARN, or says why there is no place for it.
    pub(super) fn launch(&mut self, launch: &Launch<'_>) -> Result<String, String> {
        let Launch { cluster, recipe, number, differs, .. } = launch;
        let host = self.pick_host(launch)?;
        let now = self.clock.now();
        let (arns, ids) = (self.arns.clone(), self.ids);
        let cluster_name =
            self.clusters.get(*cluster).map(|cluster| cluster.name.clone()).unwrap_or_default();
        let key = format!("{cluster_name}/{}/{}/{number}", recipe.group, recipe.definition.revision);
        let id = ids.long(&format!("task/{key}"));
        let network = self.network(*cluster, recipe, host, &key)?;
        let containers = recipe.definition.containers.iter().map(|container| ContainerIds {
            arn: arns.container(
                &cluster_name,
                &id,
                &ids.uuid(&format!("container/{key}/{}", container.name)),
            ),
            runtime: format!("{id}-{}", ids.short(&format!("runtime/{key}/{}", container.name))),
        });
        let last_status = differs.last_status.unwrap_or(TaskStatus::Running);
        let desired_status = differs.desired_status.unwrap_or(last_status.usual_desire());
        let task = Task {
            arn: arns.task(&cluster_name, &id),
            recipe: Arc::clone(recipe),
            zone: self.zone_of(*cluster, host, *number),
            host,
            network,
            containers: containers.collect(),
            last_status,
            desired_status,
            health: differs.health,
            connected: !differs.disconnected,
            created_at: now,
            stopped_at: (last_status == TaskStatus::Stopped).then_some(now),
            stopped_reason: (last_status == TaskStatus::Stopped)
                .then_some("Scaling activity initiated by deployment"),
            version: last_status.version(desired_status, recipe.definition.mode),
            stop_after_listing: differs.stop_after_listing,
            answers: differs.answers.clone(),
            refuse: differs.refuse,
            id,
        };
        let arn = task.arn.clone();
        let Some(cluster_state) = self.clusters.get_mut(*cluster) else {
            return Err("no such cluster".into());
        };
        let id = task.id.clone();
        self.tasks.insert(id, (*cluster, cluster_state.add_task(task)));
        Ok(arn)
    }

    fn zone_of(&self, cluster: usize, host: Option<usize>, number: u32) -> String {
        let of_host = host.and_then(|host| Some(self.clusters.get(cluster)?.hosts.get(host)?.zone.clone()));
        of_host.unwrap_or_else(|| zone(&self.region, number))
    }

    /// The next host of the fitting kind where the definition's fixed ports are free.
    fn pick_host(&mut self, launch: &Launch<'_>) -> Result<Option<usize>, String> {
        let Some(kind) = HostKind::for_tasks(launch.recipe.launch_type) else { return Ok(None) };
        let Some(cluster) = self.clusters.get_mut(launch.cluster) else { return Ok(None) };
        let count = cluster.hosts.len();
        let ports = fixed_ports(&launch.recipe.definition.containers, launch.recipe.definition.mode);
        let order = (0..count).map(|step| (cluster.next_host + step) % count);
        let found = order.into_iter().find(|place| {
            cluster.hosts.get(*place).is_some_and(|host| {
                launch.host.is_none_or(|only| only == *place)
                    && host.kind == kind
                    && ports.iter().all(|port| self.pool.is_free(host.ips, *port))
            })
        });
        let place = found.ok_or_else(|| {
            format!(
                "task {} finds no host of kind `{}` where host ports {ports:?} are free: add hosts",
                launch.number,
                kind.as_str()
            )
        })?;
        cluster.next_host = (place + 1) % count;
        Ok(Some(place))
    }

    fn network(
        &mut self,
        cluster: usize,
        recipe: &Recipe,
        host: Option<usize>,
        key: &str,
    ) -> Result<Network, String> {
        let containers = &recipe.definition.containers;
        let host_ips = host.and_then(|host| Some(self.clusters.get(cluster)?.hosts.get(host)?.ips));
        match (recipe.definition.mode, host_ips) {
            (NetworkMode::Bridge, Some(ips)) => {
                Ok(Network::Bridge { ips, bindings: self.bindings(ips, containers)? })
            }
            (NetworkMode::Host, Some(ips)) => {
                self.take_ports(ips, containers)?;
                Ok(Network::Host { ips })
            }
            (NetworkMode::Awsvpc, _) => {
                let (number, ips) = self.pool.interface(recipe.ip).ok_or("there are no addresses left")?;
                self.take_ports(ips, containers)?;
                Ok(Network::Own(self.interface(number, ips, key)))
            }
            _ => Ok(Network::None),
        }
    }

    fn interface(&self, number: u32, ips: Ips, key: &str) -> Interface {
        let digits = self.ids.short(&format!("mac/{key}"));
        let mac = digits.as_bytes().chunks(2).take(5).map(|pair| String::from_utf8_lossy(pair).into_owned());
        Interface {
            number,
            attachment: self.ids.uuid(&format!("attachment/{key}")),
            id: format!("eni-{}", self.ids.short(&format!("eni/{key}"))),
            mac: std::iter::once("0a".to_owned()).chain(mac).collect::<Vec<_>>().join(":"),
            subnet: self.subnet(),
            ips,
        }
    }

    fn take_ports(&mut self, ips: Ips, containers: &[Container]) -> Result<(), String> {
        for port in containers.iter().flat_map(tcp_ports) {
            self.pool.take(ips, port).map_err(taken)?;
        }
        Ok(())
    }

    fn bindings(&mut self, ips: Ips, containers: &[Container]) -> Result<Vec<Binding>, String> {
        let mut bindings = Vec::new();
        for (container, definition) in containers.iter().enumerate() {
            for mapping in &definition.ports {
                let host_port = match mapping.host {
                    // UDP and TCP ports are different ports: only the latter can clash with a listener.
                    Some(port) if mapping.protocol == Protocol::Udp => port.get(),
                    Some(port) => {
                        self.pool.take(ips, port.get()).map_err(taken)?;
                        port.get()
                    }
                    None => self
                        .pool
                        .take_dynamic(ips, mapping.width())
                        .ok_or("the host has no free ports left: add hosts")?,
                };
                bindings.push(Binding { container, mapping: *mapping, host_port });
            }
        }
        Ok(bindings)
    }
}

/// The availability zone of host or task number `number`: a, b, c, a…
pub(super) fn zone(region: &str, number: u32) -> String {
    let letter = match number % 3 {
        1 => 'a',
        2 => 'b',
        _ => 'c',
    };
    format!("{region}{letter}")
}

/// The host ports that a definition insists on.
fn fixed_ports(containers: &[Container], mode: NetworkMode) -> Vec<u16> {
    match mode {
        NetworkMode::Host => containers.iter().flat_map(tcp_ports).collect(),
        NetworkMode::Bridge => {
            let tcp = containers.iter().flat_map(|it| &it.ports).filter(|it| it.protocol == Protocol::Tcp);
            tcp.filter_map(|mapping| mapping.host).map(u16::from).collect()
        }
        NetworkMode::Awsvpc | NetworkMode::None => Vec::new(),
    }
}

fn taken(address: SocketAddr) -> String {
    let hint = if address.ip().is_loopback() && address.is_ipv6() {
        ": loopback has one IPv6 address, so give each such task a port of its own or use `addresses = \"private\"`"
    } else {
        ""
    };
    format!("two containers want {address}{hint}")
}
