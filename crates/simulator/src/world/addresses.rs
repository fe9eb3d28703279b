//! Addresses and ports of hosts and network interfaces.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::fleet::{Addresses, IpVersion};

/// Where Docker's ephemeral host ports begin.
const DYNAMIC_PORT_FIRST: u16 = 32_768;
/// Addresses used of each 256, so that none ends in 0 or 255.
const PER_SUBNET: u32 = 250;
/// The first subnet of a loopback block that belongs to tasks; those before belong to hosts.
const LOOPBACK_TASK_SUBNET: u32 = 16;
/// The VPC's IPv6 range in the private scheme: `fd12:3456:789a::/48`.
const PRIVATE_V6: [u16; 3] = [0xfd12, 0x3456, 0x789a];

/// The addresses of a host or network interface; at least one is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ips {
    pub(crate) v4: Option<Ipv4Addr>,
    pub(crate) v6: Option<Ipv6Addr>,
}

impl Ips {
    /// IPv4 first, as in AWS's answers.
    pub(crate) fn all(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.v4.map(IpAddr::V4).into_iter().chain(self.v6.map(IpAddr::V6))
    }
}

/// How many loopback blocks in a row the addresses of so many tasks with network interfaces of their own need.
pub(crate) fn loopback_blocks(tasks: u128) -> u8 {
    const PER_BLOCK: u128 = 256 * PER_SUBNET as u128;
    let addresses = u128::from(LOOPBACK_TASK_SUBNET * PER_SUBNET) + tasks;
    u8::try_from(addresses.div_ceil(PER_BLOCK)).unwrap_or(u8::MAX)
}

/// Hands out addresses and remembers which ports are taken.
#[derive(Debug)]
pub(crate) struct Pool {
    scheme: Scheme,
    hosts: u32,
    tasks: u32,
    next_port: HashMap<IpAddr, u16>,
    taken: HashSet<SocketAddr>,
}

#[derive(Clone, Copy, Debug)]
enum Scheme {
    /// `127.block.0.0/16`, the blocks after it, and `::1`.
    Loopback {
        block: u8,
    },
    Private,
}

impl Pool {
    /// `block` is the second number of the first loopback addresses.
    pub(crate) fn new(addresses: Addresses, block: u8) -> Self {
        let scheme = match addresses {
            Addresses::Loopback => Scheme::Loopback { block },
            Addresses::Private => Scheme::Private,
        };
        Self { scheme, hosts: 0, tasks: 0, next_port: HashMap::new(), taken: HashSet::new() }
    }

    /// Whether something can listen at these addresses.
    pub(super) fn listens(&self) -> bool {
        matches!(self.scheme, Scheme::Loopback { .. })
    }

    /// Addresses of one more host.
    pub(crate) fn host(&mut self, ip: IpVersion) -> Ips {
        let number = self.hosts;
        self.hosts += 1;
        let v4 = match self.scheme {
            Scheme::Loopback { block } => v4(127, u32::from(block), number, 1),
            Scheme::Private => v4(10, 0, PER_SUBNET + number, 4),
        };
        self.ips(ip, v4, 1, number)
    }

    /// Addresses of one more network interface of a task.
    pub(crate) fn interface(&mut self, ip: IpVersion) -> Ips {
        let number = self.tasks;
        self.tasks += 1;
        let v4 = match self.scheme {
            Scheme::Loopback { block } => {
                v4(127, u32::from(block), LOOPBACK_TASK_SUBNET * PER_SUBNET + number, 1)
            }
            Scheme::Private => v4(10, 1, number, 4),
        };
        self.ips(ip, v4, 2, number)
    }

    fn ips(&self, ip: IpVersion, v4: Ipv4Addr, subnet: u16, number: u32) -> Ips {
        let v6 = match self.scheme {
            Scheme::Loopback { .. } => Ipv6Addr::LOCALHOST,
            Scheme::Private => {
                let [a, b, c] = PRIVATE_V6;
                let low = u128::from(Ipv6Addr::new(a, b, c, subnet, 0, 0, 0, 0x10)) + u128::from(number);
                Ipv6Addr::from(low)
            }
        };
        Ips { v4: ip.has_v4().then_some(v4), v6: ip.has_v6().then_some(v6) }
    }

    /// Whether `port` is free on all of the addresses.
    pub(crate) fn is_free(&self, ips: Ips, port: u16) -> bool {
        ips.all().all(|ip| !self.taken.contains(&SocketAddr::new(ip, port)))
    }

    /// Takes `port` on all of the addresses, or says where it is taken already.
    pub(crate) fn take(&mut self, ips: Ips, port: u16) -> Result<(), SocketAddr> {
        for ip in ips.all() {
            let address = SocketAddr::new(ip, port);
            if !self.taken.insert(address) {
                return Err(address);
            }
        }
        Ok(())
    }

    /// Takes `width` free ports in a row, as Docker does for a port mapping without a host port. `None` when there are
    /// none left.
    pub(crate) fn take_dynamic(&mut self, ips: Ips, width: u16) -> Option<u16> {
        let key = ips.all().next()?;
        let mut first = self.next_port.get(&key).copied().unwrap_or(DYNAMIC_PORT_FIRST);
        loop {
            let end = first.checked_add(width)?;
            if (first..end).all(|port| self.is_free(ips, port)) {
                self.next_port.insert(key, end);
                for port in first..end {
                    self.take(ips, port).ok()?;
                }
                return Some(first);
            }
            first += 1;
        }
    }

    /// Takes what another task gave back.
    pub(crate) fn take_over(&mut self, address: SocketAddr) {
        self.taken.insert(address);
    }

    /// Gives a task's port back.
    pub(crate) fn release(&mut self, address: SocketAddr) {
        self.taken.remove(&address);
    }
}

/// Address number `number` of `a.b.0.0/16` and, where that is full, the next `a.b+1.0.0/16`.
fn v4(a: u8, b: u32, number: u32, first: u32) -> Ipv4Addr {
    let subnet = number / PER_SUBNET;
    let low = number % PER_SUBNET + first;
    Ipv4Addr::from((u32::from(a) << 24) + (b << 16) + (subnet << 8) + low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_stay_in_their_block() {
        let mut pool = Pool::new(Addresses::Loopback, 9);
        let hosts: HashSet<_> = (0..4_000).filter_map(|_| pool.host(IpVersion::V4).v4).collect();
        let tasks: HashSet<_> = (0..50_000).filter_map(|_| pool.interface(IpVersion::V4).v4).collect();
        assert_eq!((hosts.len(), tasks.len()), (4_000, 50_000));
        assert!(hosts.is_disjoint(&tasks));
        assert!(hosts.iter().chain(&tasks).all(|ip| ip.octets()[..2] == [127, 9]));
    }

    #[test]
    fn more_tasks_go_into_the_blocks_after_it() {
        for (tasks, blocks) in [(0_u32, 1), (60_000, 1), (60_001, 2), (100_000, 2), (124_001, 3)] {
            assert_eq!(loopback_blocks(tasks.into()), blocks, "{tasks}");
            let mut pool = Pool::new(Addresses::Loopback, 9);
            let last = (0..tasks).filter_map(|_| pool.interface(IpVersion::V4).v4).last();
            assert!(last.is_none_or(|ip| ip.octets()[1] == 8 + blocks), "{tasks} {last:?}");
        }
    }

    #[test]
    fn private_addresses_of_hosts_and_tasks_never_meet() {
        let mut pool = Pool::new(Addresses::Private, 0);
        let hosts: HashSet<_> = (0..4_000).flat_map(|_| pool.host(IpVersion::Dual).all()).collect();
        let tasks: HashSet<_> = (0..50_000).flat_map(|_| pool.interface(IpVersion::Dual).all()).collect();
        assert_eq!((hosts.len(), tasks.len()), (8_000, 100_000));
        assert!(hosts.is_disjoint(&tasks));
        assert!(hosts.contains(&IpAddr::from([10, 0, 1, 4])) && tasks.contains(&IpAddr::from([10, 1, 0, 4])));
    }

    #[test]
    fn dynamic_ports_skip_taken_ones_and_run_out() {
        let mut pool = Pool::new(Addresses::Private, 0);
        let ips = pool.host(IpVersion::Dual);
        pool.take(ips, 32_769).unwrap();
        assert_eq!(pool.take_dynamic(ips, 1), Some(32_768));
        assert_eq!(pool.take_dynamic(ips, 3), Some(32_770));
        assert_eq!(pool.take(ips, 32_772), Err(SocketAddr::new(ips.all().next().unwrap(), 32_772)));
        assert_eq!(std::iter::from_fn(|| pool.take_dynamic(ips, 100)).count(), 327);
    }
}
