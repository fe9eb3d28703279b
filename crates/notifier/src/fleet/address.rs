//! Where a running task's targets listen: the rules of each network mode.
//!
//! Pure: the input is what ECS said of the task and its revision.

use std::net::IpAddr;

use aws_sdk_ecs::types::{Attachment, Container, NetworkBinding, NetworkMode, Task, TransportProtocol};

use crate::model::SkipReason;

/// Where a container's port can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// At an address of its own.
    At(IpAddr, u16),
    /// At the address of its host, the container instance of this ARN.
    OnHost(String, u16),
}

/// Where `port` of the container can be reached.
///
/// Source of the shapes: the ECS API reference for `Task`, and the ECS agent, which reports network bindings only in
/// bridge mode.
pub(super) fn address_of(
    task: &Task,
    container: &Container,
    network: &NetworkMode,
    port: u16,
) -> Result<Location, SkipReason> {
    match network {
        NetworkMode::Awsvpc => {
            let address = interface(container).or_else(|| attachment(task, container));
            address.map(|ip| Location::At(ip, port)).ok_or(SkipReason::NoAddress)
        }
        NetworkMode::None => Err(SkipReason::NoNetwork),
        NetworkMode::Host => Ok(Location::OnHost(host(task)?, port)),
        // Bridge, and the default of Windows, which ECS reports as bridge with NAT.
        _ => {
            let bound = container.network_bindings().iter().find_map(|binding| host_port(binding, port));
            Ok(Location::OnHost(host(task)?, bound.ok_or(SkipReason::Unmapped { port })?))
        }
    }
}

fn host(task: &Task) -> Result<String, SkipReason> {
    task.container_instance_arn().map(str::to_owned).ok_or(SkipReason::NoAddress)
}

/// The address of the container's own interface; IPv4 if there is one.
fn interface(container: &Container) -> Option<IpAddr> {
    let interfaces = || container.network_interfaces().iter();
    let v4 = interfaces().find_map(|i| i.private_ipv4_address().and_then(ip));
    v4.or_else(|| interfaces().find_map(|i| i.ipv6_address().and_then(ip)))
}

/// The address of the task's attached elastic network interface, for answers that say nothing at the container.
///
/// A task has attachments of other kinds too, and keeps those that were deleted. When the container names its
/// attachment, only that one counts.
fn attachment(task: &Task, container: &Container) -> Option<IpAddr> {
    let named = container.network_interfaces().iter().find_map(|i| i.attachment_id());
    let is_interface = |a: &&Attachment| {
        matches!(a.r#type(), Some("ElasticNetworkInterface" | "eni")) && a.status() == Some("ATTACHED")
    };
    let attachment =
        task.attachments().iter().filter(is_interface).find(|a| named.is_none() || a.id() == named)?;
    let detail = |name: &str| {
        attachment.details().iter().filter(|d| d.name() == Some(name)).find_map(|d| d.value().and_then(ip))
    };
    detail("privateIPv4Address").or_else(|| detail("ipv6Address"))
}

fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// The host port that this binding gives to the container port, if it does.
fn host_port(binding: &NetworkBinding, port: u16) -> Option<u16> {
    if !matches!(binding.protocol(), None | Some(TransportProtocol::Tcp)) {
        return None;
    }
    let one = |port: Option<i32>| port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    if let Some(container) = one(binding.container_port()) {
        return if container == port { one(binding.host_port()) } else { None };
    }
    let (container_first, container_last) = range(binding.container_port_range()?)?;
    let (host_first, host_last) = range(binding.host_port_range()?)?;
    let offset = port.checked_sub(container_first).filter(|_| port <= container_last)?;
    host_first.checked_add(offset).filter(|port| *port <= host_last)
}

/// `8000-8010`, both ends included; `8000` is a range of one.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (0 < first && first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{KeyValuePair, NetworkInterface};

    use super::*;

    const HOST: &str = "arn:aws:ecs:eu-west-1:1:container-instance/prod/h";

    fn at(container: aws_sdk_ecs::types::builders::ContainerBuilder, network: &NetworkMode) -> String {
        on(Task::builder().container_instance_arn(HOST), container, network)
    }

    fn on(
        task: aws_sdk_ecs::types::builders::TaskBuilder,
        container: aws_sdk_ecs::types::builders::ContainerBuilder,
        network: &NetworkMode,
    ) -> String {
        match address_of(&task.build(), &container.build(), network, 8080) {
            Ok(Location::At(address, port)) => format!("{address} {port}"),
            Ok(Location::OnHost(_, port)) => format!("host {port}"),
            Err(reason) => reason.to_string(),
        }
    }

    fn binding(container: i32, host: i32, protocol: TransportProtocol) -> NetworkBinding {
        NetworkBinding::builder().container_port(container).host_port(host).protocol(protocol).build()
    }

    fn ranges(container: &str, host: &str) -> NetworkBinding {
        NetworkBinding::builder().container_port_range(container).host_port_range(host).build()
    }

    #[test]
    fn in_bridge_mode_the_binding_of_the_tcp_port_counts() {
        let bound = Container::builder()
            .network_bindings(binding(9090, 1, TransportProtocol::Tcp))
            .network_bindings(binding(8080, 2, TransportProtocol::Udp))
            .network_bindings(binding(8080, 32_768, TransportProtocol::Tcp));
        assert_eq!(at(bound.clone(), &NetworkMode::Bridge), "host 32768");
        let unmapped = "container port 8080 is not mapped to a TCP port of the host";
        assert_eq!(at(Container::builder(), &NetworkMode::Bridge), unmapped);
        let zero = Container::builder().network_bindings(binding(8080, 0, TransportProtocol::Tcp));
        assert_eq!(at(zero, &NetworkMode::Bridge), unmapped);
        assert_eq!(on(Task::builder(), bound, &NetworkMode::Bridge), "ECS knows no address of the task");
    }

    #[test]
    fn in_bridge_mode_a_range_of_ports_keeps_its_order() {
        let check = |container: &str, host: &str, expected: &str| {
            let bound = Container::builder().network_bindings(ranges(container, host));
            assert_eq!(at(bound, &NetworkMode::Bridge), expected, "{container} {host}");
        };
        let unmapped = "container port 8080 is not mapped to a TCP port of the host";
        check("8000-8100", "49152-49252", "host 49232");
        check("8080", "49152", "host 49152");
        check("8081-8100", "49152-49171", unmapped);
        check("8000-8079", "49152-49231", unmapped);
        check("8000-8100", "49152-49160", unmapped);
        check("8000-8100", "65500-65535", unmapped);
        check("8100-8000", "49152-49252", unmapped);
        check("x-8100", "49152-49252", unmapped);
    }

    #[test]
    fn in_host_mode_the_port_is_the_containers_own() {
        assert_eq!(at(Container::builder(), &NetworkMode::Host), "host 8080");
    }

    #[test]
    fn in_awsvpc_mode_the_task_has_an_address_of_its_own() {
        let interface = |v4: Option<&str>, v6: Option<&str>| {
            NetworkInterface::builder()
                .set_private_ipv4_address(v4.map(str::to_owned))
                .set_ipv6_address(v6.map(str::to_owned))
                .build()
        };
        let check = |interface: NetworkInterface, expected: &str| {
            assert_eq!(
                at(Container::builder().network_interfaces(interface), &NetworkMode::Awsvpc),
                expected
            );
        };
        check(interface(Some("10.0.0.9"), None), "10.0.0.9 8080");
        check(interface(Some("10.0.0.9"), Some("2600::9")), "10.0.0.9 8080");
        check(interface(None, Some("2600::9")), "2600::9 8080");
        check(interface(Some("not an address"), Some("2600::9")), "2600::9 8080");
        check(interface(None, None), "ECS knows no address of the task");
    }

    #[test]
    fn in_awsvpc_mode_an_attached_interface_counts_where_the_container_says_nothing() {
        let attachment = |kind: &str, status: &str, name: &str, address: &str| {
            Attachment::builder()
                .r#type(kind)
                .status(status)
                .details(KeyValuePair::builder().name(name).value(address).build())
                .build()
        };
        let task = Task::builder()
            .attachments(attachment("elb", "ATTACHED", "privateIPv4Address", "10.0.0.1"))
            .attachments(attachment("ElasticNetworkInterface", "DELETED", "privateIPv4Address", "10.0.0.2"));
        let container = Container::builder();
        let none = "ECS knows no address of the task";
        assert_eq!(on(task.clone(), container.clone(), &NetworkMode::Awsvpc), none);
        let task = task.attachments(attachment("eni", "ATTACHED", "ipv6Address", "2600::3"));
        assert_eq!(on(task, container, &NetworkMode::Awsvpc), "2600::3 8080");
    }

    #[test]
    fn without_a_network_there_is_nowhere_to_call() {
        assert_eq!(at(Container::builder(), &NetworkMode::None), "network mode `none` has no address");
    }
}
