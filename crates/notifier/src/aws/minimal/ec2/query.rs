//! `DescribeInstances` over the EC2 query protocol.

use aws_config::SdkConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_types::error::metadata::ErrorMetadata;
use form_urlencoded::Serializer;

use super::INSTANCES_ASKED_MAX;
use super::response::{self, Page};
use crate::aws::calls::Calls;
use crate::aws::error::read_xml;
use crate::aws::minimal::endpoint::{Rules, Service};
use crate::aws::minimal::operation::{self, Protocol};

const EC2: Service = Service { id: "EC2", host: "ec2", rules: Rules::PlainInGovCloud };
pub(super) const OPERATION: &str = "DescribeInstances";
/// The version of EC2's API whose answers `response` reads.
const API_VERSION: &str = "2016-11-15";

/// The form that asks for one page.
///
/// Asks through a filter and for a page of a given size: one unknown id would fail a request that names its instances,
/// and AWS throttles one without pages earlier.
pub(super) fn form(instances: &[&str], token: Option<&str>) -> String {
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

/// The operation, ready to be sent.
pub(super) fn operation(config: &SdkConfig, calls: Calls) -> Operation<String, Page, ErrorMetadata> {
    let protocol = Protocol {
        name: OPERATION,
        headers: &[("content-type", "application/x-www-form-urlencoded")],
        read: |body| Ok(response::page(body)?),
        read_error: read_xml,
    };
    operation::operation(EC2, &protocol, config, calls)
}
