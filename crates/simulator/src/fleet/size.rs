//! How large a fleet is.

use super::{Cluster, Container, Fleet, HostKind, IpVersion, Protocol, Scheduling, Service};

/// The tasks of a fleet.
pub(super) fn tasks(fleet: &Fleet) -> u128 {
    count(fleet, |_, _| 1)
}

/// The sockets of a fleet's containers, if each has its own.
pub(super) fn endpoints(fleet: &Fleet) -> u128 {
    count(fleet, |containers, ip| {
        let addresses = if ip == IpVersion::Dual { 2 } else { 1 };
        let listening = containers.iter().filter(|container| !container.refuse);
        let tcp = listening.flat_map(|it| &it.ports).filter(|mapping| mapping.protocol == Protocol::Tcp);
        tcp.map(|mapping| u128::from(mapping.width())).sum::<u128>() * addresses
    })
}

/// The sum over all tasks of what `each` task with these containers has. Wide enough that no numbers out of a file
/// overflow.
fn count(fleet: &Fleet, each: impl Fn(&[Container], IpVersion) -> u128) -> u128 {
    let of_service = |cluster: &Cluster, service: &Service| {
        let primary = match service.scheduling {
            Scheduling::Replica => u128::from(service.tasks),
            Scheduling::Daemon => hosts(cluster, service),
        };
        let older = service.deployments.iter().map(|older| {
            let own = if older.containers.is_empty() { &service.containers } else { &older.containers };
            u128::from(older.tasks).saturating_mul(each(own, service.ip))
        });
        let primary = primary.saturating_mul(each(&service.containers, service.ip));
        older.fold(primary, u128::saturating_add).saturating_mul(u128::from(service.copies))
    };
    let of_cluster = |cluster: &Cluster| {
        let standalone = cluster.standalones.iter();
        let standalone =
            standalone.map(|it| u128::from(it.tasks).saturating_mul(each(&it.containers, it.ip)));
        let services = cluster.services.iter().map(|service| of_service(cluster, service));
        services.chain(standalone).fold(0, u128::saturating_add)
    };
    fleet.clusters.iter().map(of_cluster).fold(0, u128::saturating_add)
}

/// The hosts on which a daemon service has its tasks.
fn hosts(cluster: &Cluster, service: &Service) -> u128 {
    let kind = HostKind::for_tasks(service.launch_type);
    let hosts = cluster.hosts.iter().filter(|hosts| Some(hosts.kind) == kind);
    hosts.map(|hosts| u128::from(hosts.count)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_and_endpoints_of_every_kind_are_counted() {
        let fleet = Fleet::from_toml(
            "[[cluster]]\nname = 'c'\nhosts = [{ count = 5 }, { count = 7, kind = 'anywhere' }]\n\
             [[cluster.service]]\nname = 'web'\ncopies = 3\ntasks = 4\n[[cluster.service.container]]\nname = 'a'\n\
             ports = [80, { range = '90-92' }, { container = 53, protocol = 'udp' }]\n\
             [[cluster.service.deployment]]\nrevision = 2\ntasks = 2\n\
             [[cluster.service]]\nname = 'agent'\nscheduling = 'DAEMON'\nnetwork_mode = 'host'\n\
             [[cluster.service.container]]\nname = 'a'\nports = [9100]\n\
             [[cluster.standalone]]\nfamily = 'job'\nlaunch_type = 'FARGATE'\nip = 'dual'\ntasks = 10\n\
             [[cluster.standalone.container]]\nname = 'a'\nports = [80]\n\
             [[cluster.standalone.container]]\nname = 'mute'\nports = [81]\nrefuse = true",
        );
        let fleet = fleet.unwrap();
        assert_eq!(tasks(&fleet), 3 * (4 + 2) + 5 + 10);
        assert_eq!(endpoints(&fleet), 3 * (4 + 2) * 4 + 5 + 10 * 2);
    }
}
