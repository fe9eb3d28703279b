//! Networks that are allowed, and addresses inside and outside them.

use proptest::prelude::*;

use super::*;

fn networks(text: &str) -> Networks {
    text.parse().unwrap()
}

/// Every address of a text with spaces between them.
fn check(allowed: &str, addresses: &str, expected: Result<(), Refused>) {
    let allowed = networks(allowed);
    for address in addresses.split_whitespace() {
        assert_eq!(allowed.check(address.parse().unwrap()), expected, "{address} with {allowed} allowed");
    }
}

const EVERYTHING: &str = "0.0.0.0/0,::/0,127.0.0.0/8,::1";

#[test]
fn the_default_is_what_vpcs_use() {
    assert_eq!(Networks::default(), networks(DEFAULT));
    assert_eq!(Networks::default().to_string(), DEFAULT);
    check(DEFAULT, "10.0.0.0 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 100.64.0.1", Ok(()));
    check(DEFAULT, "100.127.255.255 fd80::1 fc00::1 fdff::1", Ok(()));
    check(DEFAULT, "9.255.255.255 11.0.0.0 172.15.0.1 172.32.0.1 192.167.1.1", Err(Refused::Outside));
    check(DEFAULT, "100.63.255.255 100.128.0.0 8.8.8.8 54.1.2.3 240.0.0.1", Err(Refused::Outside));
    check(
        DEFAULT,
        "2600:1f18::1 2a05:d018::1 2001:db8::1 3fff::1 4000::1 1fff::1 fec0::1 100::1",
        Err(Refused::Outside),
    );
}

#[test]
fn what_no_task_can_have_is_refused_whatever_is_allowed() {
    for allowed in [DEFAULT, EVERYTHING] {
        check(allowed, "169.254.169.254 169.254.170.2 169.254.0.0 169.254.255.255", Err(Refused::LinkLocal));
        check(allowed, "fe80::1 febf::ffff", Err(Refused::LinkLocal));
        check(allowed, "fd00:ec2::254 fd00:ec2::253 fd00:ec2::123 fd00:ec2::23", Err(Refused::AwsLocal));
        check(allowed, "fd00:ec2:ffff::", Err(Refused::AwsLocal));
        check(allowed, "224.0.0.1 239.255.255.255 ff02::1 ff00::", Err(Refused::Multicast));
        check(allowed, "255.255.255.255", Err(Refused::Broadcast));
        check(allowed, "0.0.0.0 0.1.2.3 ::", Err(Refused::Unspecified));
        check(allowed, "2001::1 64:ff9b:1::a00:1 64:ff9b:1:a9fe:a9:fe00::", Err(Refused::Tunnel));
    }
    check(DEFAULT, "fd00:ec1::254 fd00:ec3::254", Ok(()));
    check(EVERYTHING, "2001:1::1", Ok(()));
}

#[test]
fn loopback_opens_only_when_it_is_named_itself() {
    for allowed in [DEFAULT, "0.0.0.0/0", "::/0", "0.0.0.0/0,::/0", "126.0.0.0/7"] {
        check(allowed, "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1", Err(Refused::Loopback));
    }
    check("127.0.0.0/8", "127.0.0.1 127.9.9.9 ::ffff:127.0.0.1", Ok(()));
    check("127.0.0.0/8", "::1", Err(Refused::Loopback));
    check("::1", "::1", Ok(()));
    check("::1", "127.0.0.1", Err(Refused::Loopback));
    check("127.0.1.0/24", "127.0.1.7", Ok(()));
    check("127.0.1.0/24", "127.0.0.1", Err(Refused::Loopback));
    check("127.0.0.0/8", "10.0.0.1", Err(Refused::Outside));
}

#[test]
fn an_ipv6_form_opens_nothing_that_the_ipv4_address_does_not() {
    for allowed in [DEFAULT, EVERYTHING] {
        let metadata = "::ffff:169.254.169.254 ::169.254.169.254 ::ffff:0:169.254.169.254 \
            64:ff9b::169.254.169.254 2002:a9fe:a9fe:: 2002:a9fe:aa02:1::5";
        check(allowed, metadata, Err(Refused::LinkLocal));
        check(allowed, "::ffff:0.0.0.0 ::2 2002:: 64:ff9b::", Err(Refused::Unspecified));
        check(allowed, "2002:e000:1:: ::ffff:224.0.0.1", Err(Refused::Multicast));
        check(allowed, "2002:ffff:ffff::", Err(Refused::Broadcast));
    }
    check(DEFAULT, "2002:7f00:1:: 64:ff9b::127.0.0.1 ::127.0.0.1", Err(Refused::Loopback));
    check(DEFAULT, "2002:808:808:: ::ffff:8.8.8.8", Err(Refused::Outside));
    check("::/0", "::ffff:10.0.0.1", Err(Refused::Outside));
    check(DEFAULT, "::ffff:10.0.0.1 2002:a00:1:: 64:ff9b::10.0.0.1", Ok(()));
}

#[test]
fn networks_are_read_with_spaces_and_single_addresses() {
    assert_eq!(networks(" 10.0.0.0/8 , 192.0.2.7,fd00::/8 ").to_string(), "10.0.0.0/8,192.0.2.7/32,fd00::/8");
    check("192.0.2.7", "192.0.2.7", Ok(()));
    check("192.0.2.7", "192.0.2.8", Err(Refused::Outside));
    let wrong = "10.0.0.0/8 \u{1b}[2J".parse::<Networks>().unwrap_err().to_string();
    assert!(wrong.starts_with(r"`10.0.0.0/8 \u{1b}[2J` is not a network"), "{wrong}");
}

proptest! {
    /// An independent statement of the core rule, over the whole of IPv4.
    #[test]
    fn an_ipv4_address_is_callable_only_inside_a_private_range(
        a in prop_oneof![Just(10_u8), Just(100), Just(172), Just(192), any::<u8>()],
        b: u8,
        rest: [u8; 2],
    ) {
        let private = matches!((a, b), (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127));
        let address = IpAddr::from([a, b, rest[0], rest[1]]);
        prop_assert_eq!(Networks::default().check(address).is_ok(), private);
    }

    #[test]
    fn every_form_of_an_ipv4_address_gets_the_same_answer(bits: u32, tail: u128, allowed in "(0\\.0\\.0\\.0/0|10\\.0\\.0\\.0/8|::/0)") {
        let allowed = networks(&allowed);
        let v4 = u128::from(bits);
        let answer = allowed.check(IpAddr::V4(bits.into()));
        let mut forms = vec![
            0xffff << 32 | v4,
            0xffff << 48 | v4,
            0x0064_ff9b << 96 | v4,
            0x2002 << 112 | v4 << 80 | tail >> 48,
        ];
        if bits > 1 {
            forms.push(v4);
        }
        for form in forms {
            prop_assert_eq!(allowed.check(IpAddr::V6(form.into())), answer);
        }
    }

    #[test]
    fn what_is_read_is_what_is_written(nets in prop::collection::vec((0x0a00_0000_u32..0x0b00_0000, 8_u8..=32), 1..5)) {
        let nets = nets.into_iter().map(|(bits, prefix)| Ipv4Net::new_assert(bits.into(), prefix).trunc().into());
        let written = Networks(nets.collect());
        prop_assert_eq!(networks(&written.to_string()), written);
    }
}

#[test]
fn a_machine_outside_aws_is_called_only_in_a_network_that_was_named_for_it() {
    let check = |networks: &str, address: &str| {
        networks.parse::<Networks>().unwrap().check_outside(address.parse().unwrap())
    };
    assert_eq!(Networks::default().check_outside("10.0.0.1".parse().unwrap()), Err(Refused::NotNamed));
    assert_eq!(check("10.0.0.0/8,192.168.7.0/24", "192.168.7.9"), Ok(()));
    assert_eq!(check("10.0.0.0/8,192.168.7.0/24", "10.0.0.1"), Err(Refused::NotNamed), "a task of the VPC");
    assert_eq!(check("10.0.0.0/8,192.168.7.0/24", "192.168.8.1"), Err(Refused::Outside));
    assert_eq!(check("0.0.0.0/0", "169.254.169.254"), Err(Refused::LinkLocal));
    assert_eq!(check("0.0.0.0/0", "127.0.0.1"), Err(Refused::Loopback));
    assert_eq!(check("::/0,192.168.7.0/24", "::ffff:192.168.7.9"), Ok(()));
}
