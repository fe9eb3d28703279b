//! Where a task's containers are on the network, by network mode.

use std::net::SocketAddr;

use crate::fleet::{Container, PortMapping, Protocol};

use super::addresses::Ips;

/// A task's place on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// Behind the host's addresses, at mapped ports.
    Bridge { ips: Ips, bindings: Vec<Binding> },
    /// At the host's addresses, at the containers' own ports.
    Host { ips: Ips },
    /// At an interface of the task's own.
    Own(Interface),
    /// No network.
    None,
}

/// One mapped port, or range of ports, of a container in bridge mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// Place of the container in the task definition.
    pub(crate) container: usize,
    pub(crate) mapping: PortMapping,
    /// The (first) host port.
    pub(crate) host_port: u16,
}

/// The network interface of an awsvpc task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// Its number among the addresses.
    pub(super) number: u32,
    pub(crate) attachment: String,
    pub(crate) id: String,
    pub(crate) mac: String,
    pub(crate) subnet: String,
    pub(crate) ips: Ips,
}

/// Where one TCP port of one container listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    /// Place of the container in the task definition.
    pub(crate) container: usize,
    pub(crate) container_port: u16,
    pub(crate) address: SocketAddr,
}

impl Network {
    /// Every socket of a task with these containers.
    pub(crate) fn sockets(&self, containers: &[Container]) -> Vec<Socket> {
        match self {
            Self::Bridge { ips, bindings } => bindings
                .iter()
                .filter(|binding| binding.mapping.protocol == Protocol::Tcp)
                .flat_map(|binding| {
                    let ports = binding.mapping.first.get()..=binding.mapping.last.get();
                    ports.zip(binding.host_port..).flat_map(move |(container_port, port)| {
                        ips.all().map(move |ip| Socket {
                            container: binding.container,
                            container_port,
                            address: SocketAddr::new(ip, port),
                        })
                    })
                })
                .collect(),
            Self::Host { ips } => unmapped(*ips, containers),
            Self::Own(interface) => unmapped(interface.ips, containers),
            Self::None => Vec::new(),
        }
    }

    /// What the mode is called, to say that two differ.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Bridge { .. } => "bridge",
            Self::Host { .. } => "host",
            Self::Own(_) => "awsvpc",
            Self::None => "none",
        }
    }
}

/// Sockets where the container's port is the one that listens.
fn unmapped(ips: Ips, containers: &[Container]) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for (container, definition) in containers.iter().enumerate() {
        for port in tcp_ports(definition) {
            sockets.extend(ips.all().map(|ip| Socket {
                container,
                container_port: port,
                address: SocketAddr::new(ip, port),
            }));
        }
    }
    sockets
}

/// Every TCP port that a container maps.
pub(super) fn tcp_ports(container: &Container) -> impl Iterator<Item = u16> {
    let tcp = container.ports.iter().filter(|mapping| mapping.protocol == Protocol::Tcp);
    tcp.flat_map(|mapping| mapping.first.get()..=mapping.last.get())
}
