//! EC2's answers.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::AwsError;
use crate::world::{Host, World};

use super::xml::Xml;

/// The answer of `DescribeInstances`. Every instance was launched alone, so it is a reservation of its own.
pub(super) fn describe_instances(
    world: &World,
    hosts: &[&Host],
    token: Option<&str>,
    request_id: &str,
) -> String {
    let root = "DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"";
    Xml::document(root, |xml| {
        xml.leaf("requestId", request_id);
        xml.element("reservationSet", |xml| {
            for host in hosts {
                xml.element("item", |xml| {
                    xml.leaf("reservationId", host.instance.replacen("i-", "r-", 1));
                    xml.leaf("ownerId", &world.account);
                    xml.element("groupSet", |_| ());
                    xml.element("instancesSet", |xml| xml.element("item", |xml| instance(world, host, xml)));
                });
            }
        });
        xml.leaf_if_some("nextToken", token);
    })
}

fn instance(world: &World, host: &Host, xml: &mut Xml) {
    xml.leaf("instanceId", &host.instance);
    xml.leaf("imageId", "ami-0abcdef1234567890");
    xml.element("instanceState", |xml| {
        xml.leaf("code", 16);
        xml.leaf("name", "running");
    });
    xml.leaf_if_some("privateDnsName", host.ips.v4.map(|ip| private_name(world, ip)));
    xml.leaf("dnsName", "");
    xml.leaf("amiLaunchIndex", 0);
    xml.leaf("instanceType", "m7i.large");
    xml.leaf("launchTime", iso(host.registered_at));
    xml.element("placement", |xml| {
        xml.leaf("availabilityZone", &host.zone);
        xml.leaf("tenancy", "default");
    });
    xml.leaf("subnetId", world.subnet());
    xml.leaf("vpcId", "vpc-0123456789abcdef0");
    xml.leaf_if_some("privateIpAddress", host.ips.v4);
    xml.leaf_if_some("ipv6Address", host.ips.v6);
    xml.leaf("architecture", "x86_64");
    xml.element("networkInterfaceSet", |xml| xml.element("item", |xml| interface(world, host, xml)));
    xml.leaf("hypervisor", "xen");
    xml.leaf("virtualizationType", "hvm");
    xml.element("tagSet", |_| ());
}

fn interface(world: &World, host: &Host, xml: &mut Xml) {
    xml.leaf("networkInterfaceId", &host.interface_id);
    xml.leaf("subnetId", world.subnet());
    xml.leaf("ownerId", &world.account);
    xml.leaf("status", "in-use");
    xml.leaf_if_some("privateIpAddress", host.ips.v4);
    xml.element("privateIpAddressesSet", |xml| {
        if let Some(ip) = host.ips.v4 {
            xml.element("item", |xml| {
                xml.leaf("privateIpAddress", ip);
                xml.leaf("primary", true);
            });
        }
    });
    xml.element("ipv6AddressesSet", |xml| {
        if let Some(ip) = host.ips.v6 {
            xml.element("item", |xml| {
                xml.leaf("ipv6Address", ip);
                xml.leaf("isPrimaryIpv6", false);
            });
        }
    });
}

/// EC2's name for an address: `ip-10-0-1-4.eu-west-1.compute.internal`.
fn private_name(world: &World, ip: std::net::Ipv4Addr) -> String {
    let [a, b, c, d] = ip.octets();
    format!("ip-{a}-{b}-{c}-{d}.{}.compute.internal", world.region)
}

fn iso(time: Duration) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    date.format(&Rfc3339).unwrap_or_default()
}

/// An error in EC2's format, which differs from the query protocol's other services.
pub(crate) fn error(error: &AwsError, request_id: &str) -> String {
    Xml::document("Response", |xml| {
        xml.element("Errors", |xml| {
            xml.element("Error", |xml| {
                xml.leaf("Code", &error.code);
                xml.leaf("Message", &error.message);
            });
        });
        xml.leaf("RequestID", request_id);
    })
}
