//! Parses the answers of `DescribeInstances`. Pure.
//!
//! Limits: the size of an answer is limited before it is read (`aws::response_limit`), entities other than XML's own five
//! are an error, and unknown elements are ignored.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

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

/// Why an answer cannot be parsed. It may have words of the answer, made printable.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AnswerError(String);

/// Reads one page.
///
/// An invalid address counts as missing, so that it does not hide the other instances of the page.
pub fn page(body: &[u8]) -> Result<Page, AnswerError> {
    let body = std::str::from_utf8(body).map_err(|_| AnswerError("the answer is not UTF-8".to_owned()))?;
    let document: Document = quick_xml::de::from_str(body).map_err(|error| {
        AnswerError(format!("the answer is not a list of instances: {}", text::chain(&error)))
    })?;
    let reservations = document.reservation_set.item.into_iter();
    let instances = reservations.filter_map(|reservation| reservation.instances_set).flat_map(|set| set.item);
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

/// A list in EC2's XML.
#[derive(Deserialize)]
struct Set<T> {
    #[serde(default = "Vec::new")]
    item: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reservation {
    instances_set: Option<Set<Instance>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the fields are named as EC2 names its elements")]
struct Instance {
    instance_id: String,
    instance_state: State,
    private_ip_address: Option<String>,
    ipv6_address: Option<String>,
    network_interface_set: Option<Set<NetworkInterface>>,
}

#[derive(Deserialize)]
struct State {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NetworkInterface {
    attachment: Option<Attachment>,
    #[serde(rename = "ipv6AddressesSet")]
    ipv6_addresses: Option<Set<Ipv6Address>>,
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
    /// The addresses, unless the instance is shutting down. Source: EC2 user guide, "Instance state changes".
    fn address(self) -> Option<(String, HostAddress)> {
        let keeps =
            matches!(self.instance_state.name.as_str(), "pending" | "running" | "stopping" | "stopped");
        let v4: Option<Ipv4Addr> = read(self.private_ip_address.as_deref());
        let v6: Option<Ipv6Addr> = read(self.ipv6_address.as_deref()).or_else(|| self.primary_ipv6());
        keeps.then_some((self.instance_id, HostAddress { v4, v6 }))
    }

    /// The first IPv6 address of the primary interface; ECS attaches further interfaces for tasks.
    fn primary_ipv6(&self) -> Option<Ipv6Addr> {
        let mut interfaces = self.network_interface_set.as_ref()?.item.iter();
        let primary = interfaces.find(|interface| {
            let attachment = interface.attachment.as_ref();
            attachment.is_some_and(|at| at.device_index == Some(0) && at.network_card_index == 0)
        })?;
        primary.ipv6_addresses.as_ref()?.item.iter().find_map(|address| read(address.ipv6_address.as_deref()))
    }
}

fn read<T: FromStr>(text: Option<&str>) -> Option<T> {
    text?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
