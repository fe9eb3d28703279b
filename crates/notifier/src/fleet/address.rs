//! The address of a running task's target, by network mode. Pure.

use std::net::IpAddr;

use crate::model::{Attachment, Cause, ContainerState, NetworkMode, SkipReason, TaskState};

/// The address of a container's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// An address of the task.
    At(IpAddr, u16),
    /// The address of its host, the container instance with this ARN.
    OnHost(String, u16),
}

/// The address of `port` of the container.
///
/// Source of the shapes: the ECS API reference for `Task`, and the ECS agent, which reports network bindings only in
/// bridge mode.
pub(super) fn address_of(
    task: &TaskState,
    container: &ContainerState,
    network: NetworkMode,
    port: u16,
) -> Result<Location, SkipReason> {
    match network {
        NetworkMode::Awsvpc => {
            let address = interface(container).or_else(|| attachment(task, container));
            address.map(|ip| Location::At(ip, port)).ok_or_else(no_address)
        }
        NetworkMode::None => {
            Err(SkipReason::new(Cause::NetworkModeNone, "network mode `none` has no address"))
        }
        NetworkMode::Host => Ok(Location::OnHost(host(task)?, port)),
        NetworkMode::Bridge => {
            let bound = container.bindings.iter().find_map(|binding| binding.host_port(port));
            let unmapped = || {
                let text = format!("container port {port} is not mapped to a TCP port of the host");
                SkipReason::new(Cause::PortNotMapped, text)
            };
            Ok(Location::OnHost(host(task)?, bound.ok_or_else(unmapped)?))
        }
    }
}

fn host(task: &TaskState) -> Result<String, SkipReason> {
    task.host.clone().ok_or_else(no_address)
}

fn no_address() -> SkipReason {
    SkipReason::new(Cause::NoAddress, "ECS knows no address of the task")
}

/// The address of the container's own interface; IPv4 if there is one.
fn interface(container: &ContainerState) -> Option<IpAddr> {
    let interfaces = || container.interfaces.iter();
    let v4 = interfaces().find_map(|interface| interface.v4.map(IpAddr::V4));
    v4.or_else(|| interfaces().find_map(|interface| interface.v6.map(IpAddr::V6)))
}

/// The address of the task's attached network interface, for answers without an interface at the container. If the
/// container names its attachment, only that one counts.
fn attachment(task: &TaskState, container: &ContainerState) -> Option<IpAddr> {
    let named = container.interfaces.iter().find_map(|interface| interface.attachment.as_deref());
    let is_its = |attachment: &&Attachment| {
        attachment.is_interface
            && attachment.is_attached
            && (named.is_none() || attachment.id.as_deref() == named)
    };
    task.attachments.iter().find(is_its)?.address()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NetworkInterface, PortBinding, PortRange};

    const UNMAPPED: &str = "container port 8080 is not mapped to a TCP port of the host";
    const UNKNOWN: &str = "ECS knows no address of the task";

    fn on(task: &TaskState, container: &ContainerState, network: NetworkMode) -> String {
        match address_of(task, container, network, 8080) {
            Ok(Location::At(address, port)) => format!("{address} {port}"),
            Ok(Location::OnHost(_, port)) => format!("host {port}"),
            Err(reason) => reason.text,
        }
    }

    /// A port of the task's host, if the host is known.
    fn at(container: &ContainerState, network: NetworkMode) -> String {
        let host = Some("arn:aws:ecs:eu-west-1:1:container-instance/prod/h".to_owned());
        on(&TaskState { host, ..TaskState::default() }, container, network)
    }

    fn bound<const N: usize>(bindings: [PortBinding; N]) -> ContainerState {
        ContainerState { bindings: bindings.into(), ..ContainerState::default() }
    }

    fn binding(container: u16, host: u16, is_tcp: bool) -> PortBinding {
        let [container, host] = [container, host].map(|port| PortRange::one(port).unwrap());
        PortBinding { is_tcp, container, host }
    }

    #[test]
    fn in_bridge_mode_the_binding_of_the_tcp_port_counts() {
        let container = bound([binding(9090, 1, true), binding(8080, 2, false), binding(8080, 32_768, true)]);
        assert_eq!(at(&container, NetworkMode::Bridge), "host 32768");
        assert_eq!(on(&TaskState::default(), &container, NetworkMode::Bridge), UNKNOWN);
        assert_eq!(at(&bound([]), NetworkMode::Bridge), UNMAPPED);
        let [container, host] = ["8000-8100", "49152-49252"].map(|text| PortRange::parse(text).unwrap());
        let range = bound([PortBinding { is_tcp: true, container, host }]);
        assert_eq!(at(&range, NetworkMode::Bridge), "host 49232");
    }

    #[test]
    fn in_host_mode_the_port_is_the_containers_own() {
        assert_eq!(at(&bound([]), NetworkMode::Host), "host 8080");
        assert_eq!(on(&TaskState::default(), &bound([]), NetworkMode::Host), UNKNOWN);
    }

    #[test]
    fn in_awsvpc_mode_the_task_has_an_address_of_its_own() {
        let interface = |v4: Option<&str>, v6: Option<&str>| NetworkInterface {
            attachment: None,
            v4: v4.map(|text| text.parse().unwrap()),
            v6: v6.map(|text| text.parse().unwrap()),
        };
        let check = |interfaces: Vec<NetworkInterface>, expected: &str| {
            let container = ContainerState { interfaces, ..ContainerState::default() };
            assert_eq!(at(&container, NetworkMode::Awsvpc), expected);
        };
        check(vec![interface(Some("10.0.0.9"), None)], "10.0.0.9 8080");
        check(vec![interface(Some("10.0.0.9"), Some("2600::9"))], "10.0.0.9 8080");
        check(vec![interface(None, Some("2600::9"))], "2600::9 8080");
        check(vec![interface(None, Some("2600::9")), interface(Some("10.0.0.9"), None)], "10.0.0.9 8080");
        check(vec![interface(None, None)], UNKNOWN);
        check(vec![], UNKNOWN);
    }

    #[test]
    fn in_awsvpc_mode_an_attached_interface_counts_where_the_container_says_nothing() {
        let attachment = |id: &str, is_interface, is_attached, v6: &str| Attachment {
            id: Some(id.to_owned()),
            is_interface,
            is_attached,
            v4: None,
            v6: Some(v6.parse().unwrap()),
        };
        let mut task = TaskState {
            attachments: vec![
                attachment("lb", false, true, "2600::1"),
                attachment("old", true, false, "2600::2"),
            ],
            ..TaskState::default()
        };
        assert_eq!(on(&task, &bound([]), NetworkMode::Awsvpc), UNKNOWN);
        task.attachments
            .extend([attachment("one", true, true, "2600::3"), attachment("two", true, true, "2600::4")]);
        assert_eq!(on(&task, &bound([]), NetworkMode::Awsvpc), "2600::3 8080");
        let of = |attachment: &str| ContainerState {
            interfaces: vec![NetworkInterface {
                attachment: Some(attachment.to_owned()),
                ..NetworkInterface::default()
            }],
            ..ContainerState::default()
        };
        assert_eq!(on(&task, &of("two"), NetworkMode::Awsvpc), "2600::4 8080");
        assert_eq!(on(&task, &of("old"), NetworkMode::Awsvpc), UNKNOWN);
    }

    #[test]
    fn without_a_network_there_is_nowhere_to_call() {
        assert_eq!(at(&bound([]), NetworkMode::None), "network mode `none` has no address");
    }
}
