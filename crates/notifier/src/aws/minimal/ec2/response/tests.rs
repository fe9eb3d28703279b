//! Pages of `DescribeInstances`, right and wrong.

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
        let page = read_page(&of(&instance("i-1", state, "<privateIpAddress>10.0.0.1</privateIpAddress>")));
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
    assert_eq!(page(b"<a>\xff</a>").unwrap_err().to_string(), "the answer is not UTF-8");
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
