//! Reads the answers of `DescribeInstances`. Pure.
//!
//! Bounds: the size of an answer is limited before it is read (`aws::answer`), entities other than XML's own five are
//! an error, and everything that is not asked for is passed over.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::{FromStr, Utf8Error};

use serde::Deserialize;

use super::HostAddress;
use crate::base::text;

/// One page of the list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Instances that keep their addresses, by id.
    pub instances: Vec<(String, HostAddress)>,
    /// Token of the next page; `None` on the last page.
    pub next: Option<String>,
}

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The body is not text.
    #[error("the answer is not UTF-8")]
    Encoding(#[from] Utf8Error),
    /// What is wrong is told with words of the answer, printable.
    #[error("the answer is no list of instances: {0}")]
    Xml(String),
}

/// Reads one page.
///
/// An address that is none counts as missing: it must not hide the other instances of the page.
pub fn page(body: &[u8]) -> Result<Page, AnswerError> {
    let document: Document = quick_xml::de::from_str(std::str::from_utf8(body)?)
        .map_err(|error| AnswerError::Xml(text::chain(&error)))?;
    let reservations = document.reservation_set.item.into_iter();
    let instances = reservations.flat_map(|reservation| reservation.instances_set.item);
    Ok(Page {
        instances: instances.filter_map(Instance::address).collect(),
        next: document.next_token.filter(|token| !token.is_empty()),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    reservation_set: Set<Reservation>,
    next_token: Option<String>,
}

/// How EC2 writes every list.
#[derive(Deserialize)]
struct Set<T> {
    #[serde(default = "Vec::new")]
    item: Vec<T>,
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self { item: Vec::new() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reservation {
    #[serde(default)]
    instances_set: Set<Instance>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the fields are named as EC2 names its elements")]
struct Instance {
    instance_id: String,
    instance_state: State,
    private_ip_address: Option<String>,
    ipv6_address: Option<String>,
    #[serde(default)]
    network_interface_set: Set<NetworkInterface>,
}

#[derive(Deserialize)]
struct State {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NetworkInterface {
    attachment: Option<Attachment>,
    #[serde(default, rename = "ipv6AddressesSet")]
    ipv6_addresses: Set<Ipv6Address>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attachment {
    device_index: Option<u32>,
    #[serde(default)]
    network_card_index: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ipv6Address {
    ipv6_address: Option<String>,
}

impl Instance {
    /// The addresses, unless the instance is losing them. Source: EC2 user guide, "Instance state changes".
    fn address(self) -> Option<(String, HostAddress)> {
        let keeps =
            matches!(self.instance_state.name.as_str(), "pending" | "running" | "stopping" | "stopped");
        let v4: Option<Ipv4Addr> = read(self.private_ip_address.as_deref());
        let v6: Option<Ipv6Addr> = read(self.ipv6_address.as_deref()).or_else(|| self.primary_ipv6());
        keeps.then_some((self.instance_id, HostAddress { v4, v6 }))
    }

    /// The first IPv6 address of the interface that the host itself uses; ECS attaches more for its tasks.
    fn primary_ipv6(&self) -> Option<Ipv6Addr> {
        let mut interfaces = self.network_interface_set.item.iter();
        let primary = interfaces.find(|interface| {
            let attachment = interface.attachment.as_ref();
            attachment.is_some_and(|at| at.device_index == Some(0) && at.network_card_index == 0)
        })?;
        primary.ipv6_addresses.item.iter().find_map(|address| read(address.ipv6_address.as_deref()))
    }
}

fn read<T: FromStr>(text: Option<&str>) -> Option<T> {
    text?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_page(text: &str) -> Page {
        page(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// A page of one reservation of instances.
    fn of(instances: &str) -> String {
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
                <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
                <reservationSet><item><ownerId>111122223333</ownerId><groupSet/><instancesSet>{instances}</instancesSet></item></reservationSet>
            </DescribeInstancesResponse>"#
        )
    }

    fn instance(id: &str, state: &str, rest: &str) -> String {
        format!(
            "<item><instanceId>{id}</instanceId><imageId>ami-1</imageId>\
             <instanceState><code>16</code><name>{state}</name></instanceState>{rest}\
             <blockDeviceMapping><item><deviceName>/dev/xvda</deviceName></item></blockDeviceMapping>\
             <tagSet><item><key>Name</key><value>a &amp; b</value></item></tagSet></item>"
        )
    }

    fn interface(device: u32, card: u32, addresses: &str) -> String {
        format!(
            "<item><attachment><deviceIndex>{device}</deviceIndex><networkCardIndex>{card}</networkCardIndex></attachment>\
             <ipv6AddressesSet>{addresses}</ipv6AddressesSet></item>"
        )
    }

    fn address_of(rest: &str) -> HostAddress {
        read_page(&of(&instance("i-1", "running", rest))).instances[0].1
    }

    #[test]
    fn every_instance_of_every_reservation_is_read_with_its_addresses() {
        let one = instance("i-1", "running", "<privateIpAddress>10.0.0.1</privateIpAddress>");
        let two = instance(
            "i-2",
            "running",
            "<privateIpAddress>10.0.0.2</privateIpAddress><ipAddress>3.4.5.6</ipAddress>",
        );
        let three = instance("i-3", "running", "<ipv6Address>2600:1f16::7</ipv6Address>");
        let text = of(&format!("{one}{two}</instancesSet></item><item><instancesSet>{three}"));
        let v4 = |text: &str| HostAddress { v4: text.parse().ok(), v6: None };
        let v6 = |text: &str| HostAddress { v4: None, v6: text.parse().ok() };
        let expected = [("i-1", v4("10.0.0.1")), ("i-2", v4("10.0.0.2")), ("i-3", v6("2600:1f16::7"))];
        assert_eq!(read_page(&text).instances, expected.map(|(id, address)| (id.to_owned(), address)));
    }

    #[test]
    fn an_instance_that_is_losing_its_address_is_left_out() {
        for (state, kept) in [
            ("pending", true),
            ("running", true),
            ("stopping", true),
            ("stopped", true),
            ("shutting-down", false),
            ("terminated", false),
            ("something new", false),
        ] {
            let page =
                read_page(&of(&instance("i-1", state, "<privateIpAddress>10.0.0.1</privateIpAddress>")));
            assert_eq!(page.instances.len(), usize::from(kept), "{state}");
        }
    }

    #[test]
    fn ipv6_comes_from_the_primary_interface_and_never_from_one_that_ecs_attached_for_a_task() {
        let first =
            "<item><ipv6Address>2600::1</ipv6Address></item><item><ipv6Address>2600::2</ipv6Address></item>";
        let tasks = "<item><ipv6Address>2600::9</ipv6Address></item>";
        let set = |items: &[String]| format!("<networkInterfaceSet>{}</networkInterfaceSet>", items.concat());
        let both = set(&[interface(1, 0, tasks), interface(0, 1, tasks), interface(0, 0, first)]);
        assert_eq!(address_of(&both).v6, "2600::1".parse().ok());
        assert_eq!(address_of(&set(&[interface(1, 0, tasks)])).v6, None);
    }

    #[test]
    fn an_address_that_is_none_hides_no_neighbour() {
        for text in ["10.0.0.256", "10.0.0", "ff::1", "http://evil", "", "10.0.0.1:80"] {
            let wrong = instance("i-1", "running", &format!("<privateIpAddress>{text}</privateIpAddress>"));
            let right = instance("i-2", "running", "<privateIpAddress>10.0.0.2</privateIpAddress>");
            let found = read_page(&of(&format!("{wrong}{right}"))).instances;
            assert_eq!(found[0], ("i-1".to_owned(), HostAddress::default()), "{text}");
            assert_eq!(found[1].1.v4, "10.0.0.2".parse().ok());
        }
    }

    #[test]
    fn what_is_no_answer_of_describe_instances_is_an_error() {
        let whole = of(&instance("i-1", "running", "<privateIpAddress>10.0.0.1</privateIpAddress>"));
        for cut in 0..whole.rfind("</DescribeInstancesResponse>").expect("it ends so") {
            let Some(start) = whole.get(..cut) else { continue };
            assert!(page(start.as_bytes()).is_err(), "{start}");
        }
        assert!(matches!(page(b"<a>\xff</a>"), Err(AnswerError::Encoding(_))));
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = |depth| format!("{}{}", "<deep>".repeat(depth), "</deep>".repeat(depth));
        let page = read_page(&of(&instance("i-1", "running", &deep(200_000))));
        assert_eq!(page.instances.len(), 1);
    }

    proptest! {
        #[test]
        fn what_ids_and_addresses_say_is_read_back(id in "i-[0-9a-f]{8,17}", v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>()) {
            let expected = HostAddress { v4: Some(v4.into()), v6: Some(v6.into()) };
            let rest = format!(
                "<privateIpAddress>{}</privateIpAddress><ipv6Address>{}</ipv6Address>",
                Ipv4Addr::from(v4), Ipv6Addr::from(v6),
            );
            prop_assert_eq!(read_page(&of(&instance(&id, "running", &rest))).instances, [(id, expected)]);
        }
    }
}
