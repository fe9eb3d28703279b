//! Which addresses may be called at all.
//!
//! The reverse of a usual webhook sender's guard: tasks have *private* addresses, so those are allowed, but only in the
//! networks that the operator sets. Addresses that no task can have are always refused: metadata services, link-local
//! addresses, multicast. Pure: no sockets and no names, only addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::base::text::quoted;

/// The private networks that VPCs use: IPv4 (RFC 1918), shared address space (RFC 6598) and IPv6 (RFC 4193).
///
/// The public IPv6 range of a VPC differs for each VPC: the operator must set it.
pub const DEFAULT: &str = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7";

/// AWS's own services on every instance: metadata at `::254`, DNS at `::253`, time at `::123`, EKS credentials at `::23`.
///
/// The whole range is refused, so that future services of AWS are covered too. No task is affected: private IPv6 ranges
/// of a VPC are in `fd80::/9`.
///
/// Source: Amazon EC2 user guide, "Instance Metadata Service"; Amazon VPC IPAM user guide, "private IPv6 addresses".
const AWS_LOCAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32);
const THIS_NETWORK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8);
const LOOPBACK: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
];
/// NAT64 with a prefix that each network chooses, so the position of the IPv4 address is unknown (RFC 8215).
const NAT64_LOCAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48);
/// Teredo tunnels IPv6 through a server and a NAT, both at IPv4 addresses of the sender's choice (RFC 4380).
const TEREDO: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32);

/// Why an address must not be called. The text is the end of a sentence: "10.0.0.1 must not be called: …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// 169.254.0.0/16 or `fe80::/10`: metadata and credentials of hosts and tasks.
    #[error("it is link-local")]
    LinkLocal,
    /// `fd00:ec2::/32`.
    #[error("AWS reserves it for metadata, DNS and time")]
    AwsLocal,
    /// 127.0.0.0/8 or `::1`, and no allowed network names it.
    #[error("it is loopback, which must be allowed explicitly")]
    Loopback,
    /// 224.0.0.0/4 or `ff00::/8`.
    #[error("it is multicast")]
    Multicast,
    /// 255.255.255.255.
    #[error("it is broadcast")]
    Broadcast,
    /// `::`, and all of 0.0.0.0/8, which some systems route to the machine itself.
    #[error("it is unspecified")]
    Unspecified,
    /// An IPv6 address that tunnels to an unknown IPv4 address.
    #[error("it is an IPv6 tunnel to an unknown IPv4 address")]
    Tunnel,
    /// The address of a machine outside AWS, in no allowed network besides the default ones.
    #[error("it is outside AWS: an allowed network must name it, other than the default ones")]
    NotNamed,
    /// Not in a network that the operator allows.
    #[error("it is outside the allowed networks")]
    Outside,
}

/// The networks that may be called, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether this address may be called.
    ///
    /// An IPv6 address that maps an IPv4 address (mapped, compatible, translated, NAT64, 6to4) is checked as that IPv4
    /// address, so both forms have the same result. Loopback is allowed only by a network inside loopback: `0.0.0.0/0`
    /// does not allow it.
    ///
    /// # Errors
    ///
    /// The rule that refuses the address.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let address = ipv4_inside(address).map_or(address, IpAddr::V4);
        if let Some(refused) = always_refused(address) {
            return Err(refused);
        }
        let mut named = self.0.iter().filter(|net| net.contains(&address));
        if LOOPBACK.iter().any(|net| net.contains(&address)) {
            let itself = |net: &IpNet| LOOPBACK.iter().any(|all| all.contains(net));
            return if named.any(itself) { Ok(()) } else { Err(Refused::Loopback) };
        }
        named.next().map(|_| ()).ok_or(Refused::Outside)
    }
}

impl Networks {
    /// Whether this address of a machine outside AWS may be called: only in a network that the operator has named for it.
    ///
    /// The machine's own agent reports the address, so its owner could name that of any task in the VPC. So the default
    /// networks, and others equal to them, do not count.
    ///
    /// # Errors
    ///
    /// The rule that refuses the address.
    pub fn check_outside(&self, address: IpAddr) -> Result<(), Refused> {
        self.check(address)?;
        let defaults = Self::default().0;
        let named = Self(self.0.iter().filter(|net| !defaults.contains(net)).copied().collect());
        named.check(address).map_err(|_| Refused::NotNamed)
    }
}

impl Default for Networks {
    /// [`DEFAULT`].
    fn default() -> Self {
        // A test reads the constant. Without networks, nothing may be called.
        DEFAULT.parse().unwrap_or(Self(Vec::new()))
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, net) in self.0.iter().enumerate() {
            write!(f, "{}{net}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Why a text is not a list of networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NetworksError(String);

impl FromStr for Networks {
    type Err = NetworksError;

    /// Reads networks and single addresses with commas between them, for example `10.0.0.0/8, 192.0.2.7, fd00::/8`.
    fn from_str(text: &str) -> Result<Self, NetworksError> {
        text.split(',').map(|part| network(part.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn network(part: &str) -> Result<IpNet, NetworksError> {
    let wrong = |why: String| Err(NetworksError(why));
    if part.is_empty() {
        let example = "no network is set: use at least one, such as `10.0.0.0/8`, separated by commas";
        return wrong(example.to_owned());
    }
    let Ok(net) = part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)) else {
        return wrong(format!("`{}` is not a network such as `10.0.0.0/8`, nor an IP address", quoted(part)));
    };
    // One of the two is a mistake: the address or the prefix.
    if net.addr() != net.network() {
        let network = net.trunc();
        return wrong(format!("`{part}` is not the start of a network: did you mean `{network}`?"));
    }
    let (first, last) = (net.network(), net.broadcast());
    match (always_refused(first), always_refused(last)) {
        (Some(refused), Some(other)) if refused == other => {
            return wrong(format!("`{part}` can never be allowed: {refused}"));
        }
        _ => {}
    }
    match (ipv4_inside(first), ipv4_inside(last)) {
        (Some(_), Some(_)) => wrong(format!("`{part}` maps IPv4 addresses: use the IPv4 network")),
        _ => Ok(net),
    }
}

/// The rule that always refuses this address.
fn always_refused(address: IpAddr) -> Option<Refused> {
    match address {
        IpAddr::V4(v4) if THIS_NETWORK.contains(&v4) => Some(Refused::Unspecified),
        IpAddr::V4(v4) if v4.is_link_local() => Some(Refused::LinkLocal),
        IpAddr::V4(v4) if v4.is_broadcast() => Some(Refused::Broadcast),
        IpAddr::V6(v6) if v6.is_unspecified() => Some(Refused::Unspecified),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(Refused::LinkLocal),
        IpAddr::V6(v6) if AWS_LOCAL.contains(&v6) => Some(Refused::AwsLocal),
        IpAddr::V6(v6) if NAT64_LOCAL.contains(&v6) || TEREDO.contains(&v6) => Some(Refused::Tunnel),
        any if any.is_multicast() => Some(Refused::Multicast),
        _ => None,
    }
}

/// The IPv4 address that an IPv6 address maps.
fn ipv4_inside(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Compatible and mapped (RFC 4291), translated (RFC 2765), NAT64 (RFC 6052), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
