//! Addresses of the hosts of tasks in bridge and host mode. Each host is looked up once.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use quick_cache::sync::Cache;
use tokio::sync::Mutex;

use super::DiscoveryError;
use crate::aws::ecs::Ecs;
use crate::aws::minimal::ec2::Ec2;
use crate::model::{Cause, SkipReason};

/// Hosts in the cache: a cluster has at most 5,000. Source: ECS service quotas.
const HOSTS_MAX: usize = 20_000;
/// The prefix of ids of hosts outside AWS. Source: ECS Anywhere, AWS Systems Manager managed nodes.
const ANYWHERE: &str = "mi-";

/// The address of a host, or why it is unknown.
pub(super) type HostResult = Result<IpAddr, SkipReason>;

/// A cache of hosts, by the ARN of the container instance.
///
/// An instance never changes its private address, so an address is cached without expiry. A failure is not cached: the
/// instance may be too new for EC2's eventually consistent answers.
#[derive(Debug)]
pub(super) struct HostCache {
    known: Cache<String, IpAddr>,
    /// Locked during a lookup, so that two messages never look up the same host.
    lookup: Mutex<()>,
}

impl Default for HostCache {
    fn default() -> Self {
        Self { known: Cache::new(HOSTS_MAX), lookup: Mutex::default() }
    }
}

impl HostCache {
    /// The addresses of the hosts of these container instances.
    ///
    /// # Errors
    ///
    /// If ECS or EC2 does not answer. An unknown host is an error in its [`HostResult`].
    pub(super) async fn get(
        &self,
        ecs: &Ecs,
        ec2: &Ec2,
        cluster: &str,
        instances: &[String],
    ) -> Result<HashMap<String, HostResult>, DiscoveryError> {
        if instances.is_empty() {
            return Ok(HashMap::new());
        }
        let _lookup = self.lookup.lock().await;
        let known = instances.iter().filter_map(|arn| Some((arn.clone(), Ok(self.known.get(arn)?))));
        let mut found: HashMap<String, HostResult> = known.collect();
        let unknown = instances.iter().filter(|arn| !found.contains_key(*arn)).cloned().collect();
        for (arn, address) in look_up(ecs, ec2, cluster, unknown).await? {
            if let Ok(address) = address {
                self.known.insert(arn.clone(), address);
            }
            found.insert(arn, address);
        }
        Ok(found)
    }
}

async fn look_up(
    ecs: &Ecs,
    ec2: &Ec2,
    cluster: &str,
    instances: Vec<String>,
) -> Result<HashMap<String, HostResult>, DiscoveryError> {
    let described = ecs.describe_container_instances(cluster, &instances).await?;
    let ids: BTreeMap<String, String> =
        described.found.into_iter().filter_map(|host| Some((host.arn, host.instance?))).collect();
    let in_ec2: Vec<String> = ids.values().filter(|id| !id.starts_with(ANYWHERE)).cloned().collect();
    let addresses = if in_ec2.is_empty() { HashMap::new() } else { ec2.addresses(&in_ec2).await? };
    let address = |arn: &String| {
        let id = ids.get(arn).ok_or_else(|| unknown(arn, "is not known to the cluster"))?;
        if id.starts_with(ANYWHERE) {
            return Err(unknown(id, "is outside AWS (ECS Anywhere), where addresses are not looked up yet"));
        }
        let host = addresses.get(id).ok_or_else(|| unknown(id, "is not known to EC2"))?;
        let address = host.v4.map(IpAddr::V4).or(host.v6.map(IpAddr::V6));
        address.ok_or_else(|| unknown(id, "has no private address"))
    };
    Ok(instances.iter().map(|arn| (arn.clone(), address(arn))).collect())
}

fn unknown(host: &str, problem: &str) -> SkipReason {
    SkipReason::new(Cause::Host, format!("its host {host} {problem}"))
}
