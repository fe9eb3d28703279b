//! A minimal EC2 client: the private addresses of instances.
//!
//! The EC2 client of the SDK has 1.24 million lines for this one call and doubles the build time. So the call is built
//! here on the SDK's own parts (`super::operation`), and behaves like the clients of ECS and SQS.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};

use aws_config::SdkConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_types::error::metadata::ErrorMetadata;
use form_urlencoded::Serializer;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::aws::budget::{Budget, Group};
use crate::aws::calls::Calls;
use crate::aws::error::read_xml;
use crate::aws::minimal::endpoint::{Rules, Service};
use crate::aws::minimal::operation::{Protocol, operation};
use crate::aws::pages::pages;
use crate::aws::{AGAIN_AFTER, AwsError, AwsService, CallError};
use crate::base::text::is_word;

pub mod response;

use response::Page;

const EC2: Service = Service { id: "EC2", host: "ec2", rules: Rules::PlainInGovCloud };
const OPERATION: &str = "DescribeInstances";
/// The version of EC2's API whose answers `response` reads.
const API_VERSION: &str = "2016-11-15";
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

/// A client of EC2 for addresses only. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Ec2 {
    describe: Operation<String, Page, ErrorMetadata>,
    budget: Budget,
}

impl Ec2 {
    pub(in crate::aws) fn new(config: &SdkConfig, calls: Calls, budget: Budget) -> Self {
        let protocol = Protocol {
            name: OPERATION,
            headers: &[("content-type", "application/x-www-form-urlencoded")],
            read: |body| Ok(response::page(body)?),
            read_error: read_xml,
        };
        Self { describe: operation(EC2, &protocol, config, calls, Some(budget.clone())), budget }
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
    pub async fn addresses(
        &self,
        instance_ids: &[String],
    ) -> Result<HashMap<String, HostAddress>, CallError> {
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

    async fn batch(&self, asked: &[&str]) -> Result<Vec<(String, HostAddress)>, CallError> {
        let listed = pages(PAGES_MAX, async |token| {
            self.budget.wait(Group::Ec2Read).await;
            let page = self.describe.invoke(form(asked, token.as_deref())).await;
            let Page { instances, next } =
                page.map_err(|error| AwsError::of(AwsService::Ec2, OPERATION, &error))?;
            Ok::<_, CallError>((instances, next))
        });
        let endless = CallError::Answer("the pages of DescribeInstances do not end");
        let mut found = listed.await?.ok_or(endless)?;
        found.retain(|(id, _)| asked.contains(&id.as_str()));
        Ok(found)
    }
}

/// The form that asks for one page.
///
/// Asks through a filter and for a page of a given size: one unknown id would fail a request that names its instances,
/// and AWS throttles one without pages earlier.
fn form(instances: &[&str], token: Option<&str>) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", OPERATION);
    form.append_pair("Version", API_VERSION);
    form.append_pair("MaxResults", &INSTANCES_ASKED_MAX.to_string());
    // The hosts of ECS Managed Instances belong to AWS, and an account may hide such resources.
    form.append_pair("IncludeManagedResources", "true");
    form.append_pair("Filter.1.Name", "instance-id");
    for (number, id) in (1..).zip(instances) {
        form.append_pair(&format!("Filter.1.Value.{number}"), id);
    }
    if let Some(token) = token {
        form.append_pair("NextToken", token);
    }
    form.finish()
}
