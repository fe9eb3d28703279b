//! Addresses of the hosts of tasks in bridge and host mode. Each host is looked up once for the installation, if it has a
//! table for facts; else once for each process.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::DiscoveryError;
use super::facts::{Facts, HostIp};
use crate::aws::ecs::Ecs;
use crate::aws::minimal::ec2::Ec2;
use crate::aws::minimal::nodes::{Node, Nodes};
use crate::base::text::printable;
use crate::model::{Cause, Host, SkipReason};

/// Hosts in the cache: a cluster has at most 5,000. Source: ECS service quotas.
const HOSTS_MAX: usize = 20_000;
/// The prefix of ids of hosts outside AWS. Source: ECS Anywhere, AWS Systems Manager managed nodes.
const ANYWHERE: &str = "mi-";

/// How long the address of a host outside AWS is cached: another network may give it another one.
const ANYWHERE_CACHED: Duration = Duration::from_mins(5);
/// The most characters of a status or attribute in a reason.
const VALUE_CHARS_MAX: usize = 80;

/// The address of a host, or why it is unknown.
pub(super) type HostResult = Result<HostIp, SkipReason>;

/// The sources of addresses.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    pub(super) ec2: Ec2,
    /// For hosts outside AWS; `None` skips them.
    pub(super) nodes: Option<Nodes>,
}

/// A cache of hosts, by the ARN of the container instance, in front of the facts of the installation.
///
/// An instance never changes its private address, so an address is cached without expiry; one outside AWS, for some
/// minutes. A failure is not cached: the instance may be too new for EC2's eventually consistent answers.
#[derive(Debug)]
pub(super) struct HostCache {
    known: Cache<String, (HostIp, Option<Instant>)>,
    /// Locked during a lookup, so that two messages never look up the same host.
    lookup: Mutex<()>,
    facts: Arc<Facts>,
}

impl HostCache {
    pub(super) fn new(facts: Arc<Facts>) -> Self {
        Self { known: Cache::new(HOSTS_MAX), lookup: Mutex::default(), facts }
    }

    /// The addresses of the hosts of these container instances.
    ///
    /// # Errors
    ///
    /// If ECS or EC2 does not answer. An unknown host is an error in its [`HostResult`].
    pub(super) async fn get(
        &self,
        ecs: &Ecs,
        sources: &Sources,
        cluster: &str,
        instances: &[String],
    ) -> Result<HashMap<String, HostResult>, DiscoveryError> {
        if instances.is_empty() {
            return Ok(HashMap::new());
        }
        let _lookup = self.lookup.lock().await;
        let now = Instant::now();
        let known = |arn: &String| {
            let (address, expiry) = self.known.get(arn)?;
            expiry.is_none_or(|expiry| now < expiry).then(|| (arn.clone(), Ok(address)))
        };
        let known = instances.iter().filter_map(known);
        let mut found: HashMap<String, HostResult> = known.collect();
        let unknown = |found: &HashMap<String, HostResult>| -> Vec<String> {
            instances.iter().filter(|arn| !found.contains_key(*arn)).cloned().collect()
        };
        for (arn, known) in self.facts.hosts(&unknown(&found)).await {
            let host = known.fact;
            // Another process may look up hosts outside AWS where this one must skip them.
            if !host.is_outside || sources.nodes.is_some() {
                self.known.insert(arn.clone(), (host, host.is_outside.then(|| now + known.life)));
                found.insert(arn, Ok(host));
            }
        }
        let looked_up = look_up(ecs, sources, cluster, unknown(&found)).await?;
        let addresses =
            looked_up.iter().filter_map(|(arn, address)| Some((arn.clone(), *address.as_ref().ok()?)));
        let addresses: Vec<_> = addresses.collect();
        self.facts.keep_hosts(&addresses, ANYWHERE_CACHED).await;
        for (arn, address) in looked_up {
            if let Ok(address) = address {
                let expiry = address.is_outside.then(|| now + ANYWHERE_CACHED);
                self.known.insert(arn.clone(), (address, expiry));
            }
            found.insert(arn, address);
        }
        Ok(found)
    }
}

async fn look_up(
    ecs: &Ecs,
    sources: &Sources,
    cluster: &str,
    instances: Vec<String>,
) -> Result<HashMap<String, HostResult>, DiscoveryError> {
    if instances.is_empty() {
        return Ok(HashMap::new());
    }
    let described = ecs.describe_container_instances(cluster, &instances).await?;
    let hosts = described.found.into_iter().filter(|host| host.instance.is_some());
    let hosts: BTreeMap<String, Host> = hosts.map(|host| (host.arn.clone(), host)).collect();
    let ids = |wanted: fn(&Host) -> bool| -> Vec<String> {
        hosts.values().filter(|host| wanted(host)).filter_map(|host| host.instance.clone()).collect()
    };
    let in_ec2 = ids(|host| !is_outside(host));
    let addresses = if in_ec2.is_empty() { HashMap::new() } else { sources.ec2.addresses(&in_ec2).await? };
    let outside = ids(|host| is_outside(host) && host.address.is_none());
    let nodes = match &sources.nodes {
        Some(nodes) if !outside.is_empty() => {
            Some(nodes.describe(&outside).await.map_err(DiscoveryError::Ssm)?)
        }
        Some(_) => Some(HashMap::new()),
        None => None,
    };
    let address = |arn: &String| {
        let host = hosts.get(arn).ok_or_else(|| unknown(arn, "is not known to the cluster"))?;
        let id = host.instance.as_deref().unwrap_or_default();
        if is_outside(host) {
            let nodes = nodes.as_ref().ok_or_else(|| {
                unknown(id, "is outside AWS (ECS Anywhere); NOTIFIER_ANYWHERE=true looks its address up")
            })?;
            return Ok(HostIp { ip: outside_address(id, host, nodes.get(id))?, is_outside: true });
        }
        let found = addresses.get(id).ok_or_else(|| unknown(id, "is not known to EC2"))?;
        let ip = found.v4.map(IpAddr::V4).or(found.v6.map(IpAddr::V6));
        let ip = ip.ok_or_else(|| unknown(id, "has no private address"))?;
        Ok(HostIp { ip, is_outside: false })
    };
    Ok(instances.iter().map(|arn| (arn.clone(), address(arn))).collect())
}

fn is_outside(host: &Host) -> bool {
    host.instance.as_ref().is_some_and(|id| id.starts_with(ANYWHERE))
}

/// The address of a host outside AWS: its attribute's, else the one that its agent reports to Systems Manager.
fn outside_address(id: &str, host: &Host, node: Option<&Node>) -> Result<IpAddr, SkipReason> {
    if let Some(text) = &host.address {
        let wrong = |_| {
            let value = printable(text, VALUE_CHARS_MAX);
            unknown(id, &format!("has the attribute notify.address `{value}`, which is not an IP address"))
        };
        return text.trim().parse().map_err(wrong);
    }
    let node = node.ok_or_else(|| unknown(id, "is not known to Systems Manager"))?;
    if !node.is_online() {
        let status = printable(&node.ping_status, VALUE_CHARS_MAX);
        return Err(unknown(id, &format!("is outside AWS and not connected: Systems Manager says {status}")));
    }
    node.address.ok_or_else(|| unknown(id, "has no address in Systems Manager"))
}

fn unknown(host: &str, problem: &str) -> SkipReason {
    SkipReason::new(Cause::Host, format!("its host {host} {problem}"))
}
