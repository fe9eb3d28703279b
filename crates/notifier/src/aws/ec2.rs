//! The one question that EC2 is asked: the private addresses of instances.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The private addresses of one instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostAddress {
    /// The primary private IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// An IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

/// Why EC2 did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Ec2Error {
    /// EC2 said no.
    #[error("EC2 refused DescribeInstances: {code}: {message}")]
    Refused {
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
}

/// EC2, asked for addresses only.
#[derive(Clone, Debug)]
pub struct Ec2;

impl Ec2 {
    /// The private addresses of these instances.
    pub async fn addresses(&self, _instance_ids: &[String]) -> Result<HashMap<String, HostAddress>, Ec2Error> {
        Ok(HashMap::new())
    }
}
