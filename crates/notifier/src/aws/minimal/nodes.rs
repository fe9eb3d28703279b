//! A minimal client of Systems Manager: the addresses of managed nodes, which are machines outside AWS (ECS Anywhere).
//!
//! The SDK's client of Systems Manager is one of its largest, so the call is built here (`super::operation`).

use std::collections::HashMap;
use std::net::IpAddr;

use aws_config::SdkConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_types::error::metadata::ErrorMetadata;
use serde::Deserialize;
use serde_json::json;

use super::operation::{Protocol, operation};
use super::secrets::SSM;
use crate::aws::budget::{Budget, Group};
use crate::aws::calls::Calls;
use crate::aws::error::read_json;
use crate::aws::pages::pages;
use crate::aws::{AwsError, AwsService, CallError};

const OPERATION: &str = "DescribeInstanceInformation";
/// Nodes in one request: as many as a page has at most. Source: SSM API reference, `DescribeInstanceInformation`.
const NODES_ASKED_MAX: usize = 50;
/// The most pages of one request; one is expected.
const PAGES_MAX: usize = 100;
/// The error of a whole request with one id that is unknown or another account's. Source: the same.
const INVALID_ID: &str = "InvalidInstanceId";
/// The most requests of one lookup that may be refused for an invalid id. Finding one among fifty takes up to twelve.
const REFUSED_MAX: usize = 64;
/// The status of a node whose agent is connected. Source: SSM API reference, `InstanceInformation.PingStatus`.
const ONLINE: &str = "Online";

/// A machine outside AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Whether its agent is connected: `Online`, `ConnectionLost` or `Inactive`.
    pub ping_status: String,
    /// The address that its agent reports.
    pub address: Option<IpAddr>,
}

impl Node {
    /// Whether its agent is connected.
    pub fn is_online(&self) -> bool {
        self.ping_status == ONLINE
    }
}

/// A client of Systems Manager for nodes only. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Nodes {
    describe: Operation<String, Page, ErrorMetadata>,
    budget: Budget,
}

impl Nodes {
    pub(in crate::aws) fn new(config: &SdkConfig, calls: Calls, budget: Budget) -> Self {
        let protocol = Protocol {
            name: OPERATION,
            headers: &[
                ("content-type", "application/x-amz-json-1.1"),
                ("x-amz-target", "AmazonSSM.DescribeInstanceInformation"),
            ],
            read: |body| Ok(serde_json::from_slice(body)?),
            read_error: read_json,
        };
        Self { describe: operation(SSM, &protocol, config, calls, Some(budget.clone())), budget }
    }

    /// The nodes of these ids (`mi-…`), by id. An unknown id is missing from the result, and so are terminated nodes.
    ///
    /// # Errors
    ///
    /// If Systems Manager does not answer. Unknown ids are not an error: a request that is refused for one is divided, until
    /// only that one is left out.
    pub async fn describe(&self, ids: &[String]) -> Result<HashMap<String, Node>, CallError> {
        let mut found = HashMap::with_capacity(ids.len());
        let mut open: Vec<&[String]> = ids.chunks(NODES_ASKED_MAX).collect();
        let mut refused = 0;
        while let Some(batch) = open.pop() {
            match self.batch(batch).await {
                Ok(nodes) => found.extend(nodes),
                Err(CallError::Call(error)) if error.code.as_deref() == Some(INVALID_ID) => {
                    refused += 1;
                    if batch.len() > 1 && refused < REFUSED_MAX {
                        let (one, other) = batch.split_at(batch.len() / 2);
                        open.extend([one, other]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn batch(&self, asked: &[String]) -> Result<Vec<(String, Node)>, CallError> {
        let listed = pages(PAGES_MAX, async |token| {
            self.budget.wait(Group::NodesRead).await;
            let filter = json!([{ "Key": "InstanceIds", "Values": asked }]);
            let mut question = json!({ "Filters": filter, "MaxResults": NODES_ASKED_MAX });
            if let (Some(token), Some(members)) = (token, question.as_object_mut()) {
                members.insert("NextToken".to_owned(), token.into());
            }
            let page = self.describe.invoke(question.to_string()).await;
            let Page { nodes, next } =
                page.map_err(|error| AwsError::of(AwsService::Ssm, OPERATION, &error))?;
            Ok::<_, CallError>((nodes, next))
        });
        let endless = CallError::Answer("the pages of DescribeInstanceInformation do not end");
        let nodes = listed.await?.ok_or(endless)?.into_iter();
        let node = |described: Described| {
            let Described { id, ping_status, address } = described;
            let address = address.and_then(|text| text.trim().parse().ok());
            Some((id.filter(|id| asked.contains(id))?, Node { ping_status, address }))
        };
        Ok(nodes.filter_map(node).collect())
    }
}

/// The used fields of an answer.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "InstanceInformationList")]
    nodes: Vec<Described>,
    #[serde(default, rename = "NextToken")]
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Described {
    #[serde(default, rename = "InstanceId")]
    id: Option<String>,
    #[serde(default, rename = "PingStatus")]
    ping_status: String,
    #[serde(default, rename = "IPAddress")]
    address: Option<String>,
}
