//! A minimal EC2 client: the private addresses of instances.
//!
//! The EC2 client of the SDK has 1.24 million lines for this one call and doubles the build time. So the call is built
//! here on the SDK's own parts (`super::operation`), and behaves like the clients of ECS and SQS.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};

use aws_config::SdkConfig;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::aws::budget::{Budget, Group};
use crate::aws::calls::Calls;
use crate::aws::{AGAIN_AFTER, AwsError};

mod error;
mod query;
pub mod response;

pub(in crate::aws) use error::read as read_error;
use query::{Ask, Query};
use response::Page;

/// Instances in one request. A filter accepts up to 200 values; a hundred make one page.
/// Source: EC2 API reference, `Filter` and `DescribeInstances`.
const INSTANCES_ASKED_MAX: usize = 100;
/// The most pages of one request; one is expected.
const PAGES_MAX: usize = 100;
/// Concurrent requests. The largest cluster, 5,000 hosts, needs fifty.
const CALLS_CONCURRENT_MAX: usize = 4;

/// The private addresses of one instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostAddress {
    /// The primary private IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The first IPv6 address of the primary network interface. Other interfaces may belong to tasks.
    pub v6: Option<Ipv6Addr>,
}

/// Why a request to EC2 failed.
#[derive(Debug, thiserror::Error)]
pub enum Ec2Error {
    /// The call failed.
    #[error("{}", .0.summary())]
    Call(#[source] AwsError),
    /// A list that repeats a token, or has too many pages.
    #[error("the pages of DescribeInstances do not end")]
    Endless,
}

/// A client of EC2 for addresses only. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Ec2 {
    query: Query,
    budget: Budget,
}

impl Ec2 {
    pub(in crate::aws) fn new(config: &SdkConfig, calls: Calls, budget: Budget) -> Self {
        Self { query: Query::new(config, calls), budget }
    }

    /// The private addresses of these instances, by instance id.
    ///
    /// An unknown id is missing from the result, after a few retries. So is an instance that is terminated or shutting
    /// down: its address may already belong to another. A stopped instance keeps its address.
    /// The ids may have duplicates; each is requested once.
    ///
    /// # Errors
    ///
    /// If EC2 does not answer. Unknown ids are not an error.
    pub async fn addresses(&self, instance_ids: &[String]) -> Result<HashMap<String, HostAddress>, Ec2Error> {
        let asked: BTreeSet<&str> = instance_ids.iter().map(String::as_str).filter(|id| is_id(id)).collect();
        let mut missing: Vec<&str> = asked.into_iter().collect();
        let mut found = HashMap::new();
        let mut waits = AGAIN_AFTER.into_iter();
        loop {
            let batches: Vec<_> =
                missing.chunks(INSTANCES_ASKED_MAX).map(|batch| self.batch(batch)).collect();
            let answers: Vec<_> =
                stream::iter(batches).buffer_unordered(CALLS_CONCURRENT_MAX).try_collect().await?;
            found.extend(answers.into_iter().flatten());
            missing.retain(|id| !found.contains_key(*id));
            match waits.next() {
                Some(wait) if !missing.is_empty() => tokio::time::sleep(wait).await,
                _ => return Ok(found),
            }
        }
    }

    async fn batch(&self, asked: &[&str]) -> Result<Vec<(String, HostAddress)>, Ec2Error> {
        let mut found = Vec::new();
        let mut token = None;
        for _ in 0..PAGES_MAX {
            self.budget.wait(Group::Ec2Read).await;
            let Page { instances, next } = self.query.send(Ask::new(asked, token.as_deref())).await?;
            found.extend(instances.into_iter().filter(|(id, _)| asked.contains(&id.as_str())));
            match next {
                None => return Ok(found),
                // A server that returns the token of the request would cause an endless loop.
                Some(_) if next == token => break,
                Some(_) => token = next,
            }
        }
        Err(Ec2Error::Endless)
    }
}

/// Whether this can be an instance's id. In a filter `*` and `?` are wildcards and `\` escapes them.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
