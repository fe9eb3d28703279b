//! Addresses and ports of hosts and network interfaces.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::fleet::{Addresses, IpVersion};

/// Where Docker's ephemeral host ports begin.
const DYNAMIC_PORT_FIRST: u16 = 32_768;
/// Where they begin if listeners are shared: above 60,999, the last port that Linux gives to a client, since a client's
/// port cannot be listened to on all addresses.
const SHARED_PORT_FIRST: u16 = 61_000;
/// How many such ports each of two simulators has before they meet.
const SHARED_PORTS: u16 = 100;
/// Addresses used of each 256, so that none ends in 0 or 255.
const PER_SUBNET: u32 = 250;
/// The first subnet of a loopback block that belongs to tasks; those before belong to hosts.
const LOOPBACK_TASK_SUBNET: u32 = 16;
/// The VPC's IPv6 range in the private scheme: `fd12:3456:789a::/48`.
const PRIVATE_V6: [u16; 3] = [0xfd12, 0x3456, 0x789a];

/// The addresses of a host or network interface; at least one is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// How many network interfaces have addresses in so many blocks.
fn interfaces_max(blocks: u8) -> u32 {
    (256 * u32::from(blocks)).saturating_sub(LOOPBACK_TASK_SUBNET) * PER_SUBNET
}

/// Simulators on one machine have different blocks, so their shared listeners have different ports.
fn shared_port_first(block: u8) -> u16 {
    let shares = (u16::MAX - SHARED_PORT_FIRST) / SHARED_PORTS;
    SHARED_PORT_FIRST + u16::from(block) % shares * SHARED_PORTS
}

/// Hands out addresses and remembers which ports are taken.
#[derive(Debug)]
pub(crate) struct Pool {
    scheme: Scheme,
    first_port: u16,
    hosts: u32,
    /// The number of the next network interface that was never there before, and the end of these numbers.
    interfaces: u32,
    interfaces_max: u32,
    /// Numbers of network interfaces that were given back, in this order.
    freed: VecDeque<u32>,
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
    /// `block` is the second number of the first loopback addresses, of which there are so many `blocks`.
    pub(crate) fn new(addresses: Addresses, shares_listeners: bool, block: u8, blocks: u8) -> Self {
        let (scheme, blocks) = match addresses {
            Addresses::Loopback => (Scheme::Loopback { block }, blocks),
            // 10.1.0.0 and what follows.
            Addresses::Private => (Scheme::Private, u8::MAX),
        };
        Self {
            scheme,
            first_port: if shares_listeners { shared_port_first(block) } else { DYNAMIC_PORT_FIRST },
            hosts: 0,
            interfaces: 0,
            interfaces_max: interfaces_max(blocks),
            freed: VecDeque::new(),
            next_port: HashMap::new(),
            taken: HashSet::new(),
        }
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

    /// The number and the addresses of one more network interface of a task. New addresses come first; when there are
    /// none left, the one that has been free for longest. `None` when all are in use.
    pub(crate) fn interface(&mut self, ip: IpVersion) -> Option<(u32, Ips)> {
        let number = if self.interfaces < self.interfaces_max {
            self.interfaces += 1;
            self.interfaces - 1
        } else {
            self.freed.pop_front()?
        };
        let v4 = match self.scheme {
            Scheme::Loopback { block } => {
                v4(127, u32::from(block), LOOPBACK_TASK_SUBNET * PER_SUBNET + number, 1)
            }
            Scheme::Private => v4(10, 1, number, 4),
        };
        Some((number, self.ips(ip, v4, 2, number)))
    }

    /// Gives a network interface back.
    pub(crate) fn free_interface(&mut self, number: u32) {
        self.freed.push_back(number);
    }

    /// Takes a network interface that was just given back.
    pub(crate) fn reclaim_interface(&mut self, number: u32) {
        if let Some(place) = self.freed.iter().rposition(|freed| *freed == number) {
            self.freed.remove(place);
        }
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

    /// Takes `width` free ports in a row, as Docker does for a port mapping without a host port: those after the last
    /// ones, and from the beginning again after the end. `None` when there are none left.
    pub(crate) fn take_dynamic(&mut self, ips: Ips, width: u16) -> Option<u16> {
        let key = ips.all().next()?;
        let next = self.next_port.get(&key).copied().unwrap_or(self.first_port);
        let starts = (next..=u16::MAX).chain(self.first_port..next);
        let is_free = |first: &u16| {
            first.checked_add(width).is_some_and(|end| (*first..end).all(|port| self.is_free(ips, port)))
        };
        let first = starts.into_iter().find(is_free)?;
        self.next_port.insert(key, first + width);
        for port in first..first + width {
            self.take(ips, port).ok()?;
        }
        Some(first)
    }

    /// Whether a task has this address and port.
    pub(crate) fn is_taken(&self, address: SocketAddr) -> bool {
        self.taken.contains(&address)
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
        let mut pool = Pool::new(Addresses::Loopback, false, 9, 1);
        let hosts: HashSet<_> = (0..4_000).filter_map(|_| pool.host(IpVersion::V4).v4).collect();
        let tasks: HashSet<_> = (0..50_000).filter_map(|_| pool.interface(IpVersion::V4)?.1.v4).collect();
        assert_eq!((hosts.len(), tasks.len()), (4_000, 50_000));
        assert!(hosts.is_disjoint(&tasks));
        assert!(hosts.iter().chain(&tasks).all(|ip| ip.octets()[..2] == [127, 9]));
    }

    #[test]
    fn more_tasks_go_into_the_blocks_after_it() {
        for (tasks, blocks) in [(0_u32, 1), (60_000, 1), (60_001, 2), (100_000, 2), (124_001, 3)] {
            assert_eq!(loopback_blocks(tasks.into()), blocks, "{tasks}");
            let mut pool = Pool::new(Addresses::Loopback, false, 9, blocks);
            let last = (0..tasks).filter_map(|_| pool.interface(IpVersion::V4)?.1.v4).last();
            assert!(last.is_none_or(|ip| ip.octets()[1] == 8 + blocks), "{tasks} {last:?}");
        }
    }

    #[test]
    fn private_addresses_of_hosts_and_tasks_never_meet() {
        let mut pool = Pool::new(Addresses::Private, false, 0, 0);
        let hosts: HashSet<_> = (0..4_000).flat_map(|_| pool.host(IpVersion::Dual).all()).collect();
        let tasks: HashSet<_> = (0..50_000)
            .filter_map(|_| pool.interface(IpVersion::Dual))
            .flat_map(|(_, ips)| ips.all())
            .collect();
        assert_eq!((hosts.len(), tasks.len()), (8_000, 100_000));
        assert!(hosts.is_disjoint(&tasks));
        assert!(hosts.contains(&IpAddr::from([10, 0, 1, 4])) && tasks.contains(&IpAddr::from([10, 1, 0, 4])));
    }

    #[test]
    fn dynamic_ports_skip_taken_ones_and_run_out() {
        let mut pool = Pool::new(Addresses::Private, false, 0, 0);
        let ips = pool.host(IpVersion::Dual);
        pool.take(ips, 32_769).unwrap();
        assert_eq!(pool.take_dynamic(ips, 1), Some(32_768));
        assert_eq!(pool.take_dynamic(ips, 3), Some(32_770));
        assert_eq!(pool.take(ips, 32_772), Err(SocketAddr::new(ips.all().next().unwrap(), 32_772)));
        assert_eq!(std::iter::from_fn(|| pool.take_dynamic(ips, 100)).count(), 327);
        ips.all().for_each(|ip| (40_000..40_100).for_each(|port| pool.release(SocketAddr::new(ip, port))));
        assert_eq!(pool.take_dynamic(ips, 100), Some(40_000), "ports that were given back are found again");
    }

    #[test]
    fn addresses_are_handed_on_only_when_there_are_no_others() {
        let mut pool = Pool::new(Addresses::Loopback, true, 9, 1);
        let numbers: Vec<_> = (0..2).filter_map(|_| pool.interface(IpVersion::V4)).collect();
        pool.free_interface(numbers[1].0);
        pool.free_interface(numbers[0].0);
        pool.free_interface(7);
        pool.reclaim_interface(7);
        let new: HashSet<_> = (2..60_000).filter_map(|_| pool.interface(IpVersion::V4)).collect();
        assert!(new.len() == 59_998 && numbers.iter().all(|freed| !new.contains(freed)));
        let again: Vec<_> = std::iter::from_fn(|| pool.interface(IpVersion::V4)).collect();
        assert_eq!(again, [numbers[1], numbers[0]], "the one that was free for longest comes first");
        assert_eq!(pool.take_dynamic(numbers[0].1, 1), Some(61_900), "the tenth hundred, for block 9");
    }
}
