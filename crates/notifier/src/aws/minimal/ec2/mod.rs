//! A minimal EC2 client: the private addresses of instances.
//!
//! The EC2 client of the SDK has 1.24 million lines for this one call and doubles the build time. So the call is built
//! here on the SDK's own parts (`super::operation`), and behaves like the clients of ECS and SQS.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};

use aws_config::SdkConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_types::error::metadata::ErrorMetadata;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::aws::budget::{Budget, Group};
use crate::aws::calls::Calls;
use crate::aws::pages::pages;
use crate::aws::{AGAIN_AFTER, AwsError, AwsService};
use crate::base::text::is_word;

mod query;
pub mod response;

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
    describe: Operation<String, Page, ErrorMetadata>,
    budget: Budget,
}

impl Ec2 {
    pub(in crate::aws) fn new(config: &SdkConfig, calls: Calls, budget: Budget) -> Self {
        Self { describe: query::operation(config, calls), budget }
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
        // In a filter `*` and `?` are wildcards and `\` escapes them: none is part of an id.
        let asked: BTreeSet<&str> =
            instance_ids.iter().map(String::as_str).filter(|id| is_word(id)).collect();
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
        let listed = pages(PAGES_MAX, async |token| {
            self.budget.wait(Group::Ec2Read).await;
            let page = self.describe.invoke(query::form(asked, token.as_deref())).await;
            let Page { instances, next } = page
                .map_err(|error| Ec2Error::Call(AwsError::of(AwsService::Ec2, query::OPERATION, &error)))?;
            Ok((instances, next))
        });
        let mut found = listed.await?.ok_or(Ec2Error::Endless)?;
        found.retain(|(id, _)| asked.contains(&id.as_str()));
        Ok(found)
    }
}
