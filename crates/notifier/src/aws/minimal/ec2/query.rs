//! `DescribeInstances` over the EC2 query protocol.

use aws_config::SdkConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::metadata::ErrorMetadata;
use form_urlencoded::Serializer;

use super::error;
use super::response::{self, Page};
use super::{Ec2Error, INSTANCES_ASKED_MAX};
use crate::aws::calls::Calls;
use crate::aws::minimal::endpoint::{Rules, Service};
use crate::aws::minimal::operation;
use crate::aws::{AwsError, AwsService};

const EC2: Service = Service { id: "EC2", host: "ec2", rules: Rules::PlainInGovCloud };
const OPERATION: &str = "DescribeInstances";
/// The version of EC2's API.
const API_VERSION: &str = "2016-11-15";

/// One page's request: a form.
#[derive(Clone, Debug)]
pub(super) struct Ask(String);

impl Ask {
    /// Uses a filter and a page size: one unknown id would fail a request with instance ids, and AWS throttles requests
    /// without pages earlier.
    pub(super) fn new(instances: &[&str], token: Option<&str>) -> Self {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", "DescribeInstances");
        form.append_pair("Version", API_VERSION);
        form.append_pair("MaxResults", &INSTANCES_ASKED_MAX.to_string());
        // The hosts of ECS Managed Instances belong to AWS, and an account may exclude such resources by default.
        form.append_pair("IncludeManagedResources", "true");
        form.append_pair("Filter.1.Name", "instance-id");
        for (number, id) in (1..).zip(instances) {
            form.append_pair(&format!("Filter.1.Value.{number}"), id);
        }
        if let Some(token) = token {
            form.append_pair("NextToken", token);
        }
        Self(form.finish())
    }
}

/// The operation.
#[derive(Clone, Debug)]
pub(super) struct Query(Operation<Ask, Page, ErrorMetadata>);

impl Query {
    pub(super) fn new(config: &SdkConfig, calls: Calls) -> Self {
        let operation = operation::builder(EC2, OPERATION, config, calls);
        Self(operation.serializer(request).deserializer(page).build())
    }

    pub(super) async fn send(&self, ask: Ask) -> Result<Page, Ec2Error> {
        let answer = self.0.invoke(ask).await;
        answer.map_err(|error| Ec2Error::Call(AwsError::of(AwsService::Ec2, OPERATION, &error)))
    }
}

fn request(ask: Ask) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(ask.0));
    request.set_method("POST")?;
    request.set_uri("/")?;
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
    Ok(request)
}

fn page(response: &HttpResponse) -> Result<Page, OrchestratorError<ErrorMetadata>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        response::page(body).map_err(OrchestratorError::other)
    } else {
        Err(OrchestratorError::operation(error::read(body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_form_with_a_filter_and_a_page_size() {
        assert_eq!(
            Ask::new(&["i-1", "i-2"], Some("a+b/c=&d")).0,
            "Action=DescribeInstances&Version=2016-11-15&MaxResults=100&IncludeManagedResources=true\
             &Filter.1.Name=instance-id&Filter.1.Value.1=i-1&Filter.1.Value.2=i-2&NextToken=a%2Bb%2Fc%3D%26d"
        );
    }
}
