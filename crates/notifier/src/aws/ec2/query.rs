//! `DescribeInstances` over the EC2 query protocol, put together from the SDK's own parts as its generated clients are.

use aws_config::SdkConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::recursion_detection::RecursionDetectionInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_runtime::service_clock_skew::{ServiceClockSkewClassifier, ServiceClockSkewInterceptor};
use aws_runtime::user_agent::{ApiMetadata, UserAgentInterceptor};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{AuthSchemeOptionResolverParams, SharedAuthSchemeOptionResolver};
use aws_smithy_runtime_api::client::endpoint::{EndpointResolverParams, SharedEndpointResolver};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use form_urlencoded::Serializer;

use super::answer::{self, Page};
use super::endpoint::Settings;
use super::fault::Fault;
use super::{Ec2Error, INSTANCES_ASKED_MAX};
use crate::aws::answer::AnswerLimit;
use crate::aws::calls::Calls;
use crate::aws::wiring;

/// The version of EC2's API whose answers `answer` reads.
const API_VERSION: &str = "2016-11-15";

/// One page's request: a form.
#[derive(Clone, Debug)]
pub(super) struct Ask(String);

impl Ask {
    /// Asks through a filter and for a page of a given size: one unknown id would fail a request that names its
    /// instances, and AWS throttles one without pages earlier.
    pub(super) fn new(instances: &[&str], token: Option<&str>) -> Self {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", "DescribeInstances");
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
        Self(form.finish())
    }
}

/// The operation, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Query(Operation<Ask, Page, Fault>);

impl Query {
    pub(super) fn new(config: &SdkConfig, calls: Calls) -> Self {
        let plugin = StaticRuntimePlugin::new()
            .with_config(settings(config).freeze())
            .with_runtime_components(components(config, calls));
        let mut operation = Operation::builder()
            .service_name("EC2")
            .operation_name("DescribeInstances")
            .standard_retry(&wiring::retries())
            .timeout_config(wiring::timeouts())
            .with_connection_poisoning()
            .runtime_plugin(plugin);
        if let Some(version) = config.behavior_version() {
            operation = operation.behavior_version(version);
        }
        Self(operation.serializer(request).deserializer(page).build())
    }

    pub(super) async fn send(&self, ask: Ask) -> Result<Page, Ec2Error> {
        self.0.invoke(ask).await.map_err(|error| match error {
            SdkError::ServiceError(error) => error.into_err().into_error(),
            error => Ec2Error::Unavailable(Box::new(error)),
        })
    }
}

/// What the parts below read: where to sign for, and who we are.
fn settings(config: &SdkConfig) -> Layer {
    let mut layer = Layer::new("EC2");
    layer.store_put(EndpointResolverParams::new(()));
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig::default());
    layer.store_put(SigningName::from_static("ec2"));
    layer.store_or_unset(config.region().cloned().map(SigningRegion::from));
    layer.store_put(ApiMetadata::new("ec2", env!("CARGO_PKG_VERSION")));
    layer.store_or_unset(config.app_name().cloned());
    layer.store_put(wiring::partition("ec2"));
    layer
}

/// The parts of a generated client, in its order.
fn components(config: &SdkConfig, calls: Calls) -> RuntimeComponentsBuilder {
    let mut components = RuntimeComponentsBuilder::new("EC2")
        .with_http_client(config.http_client())
        .with_identity_cache(config.identity_cache())
        .with_endpoint_resolver(Some(SharedEndpointResolver::new(Settings::of(config))))
        .with_auth_scheme(SigV4AuthScheme::new())
        .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
            StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
        )))
        .with_interceptor(ServiceClockSkewInterceptor::new())
        .with_interceptor(RequestInfoInterceptor::new())
        .with_interceptor(UserAgentInterceptor::new())
        .with_interceptor(InvocationIdInterceptor::new())
        .with_interceptor(RecursionDetectionInterceptor::new())
        .with_interceptor(calls)
        .with_interceptor(AnswerLimit)
        .with_retry_classifier(HttpStatusCodeClassifier::default())
        .with_retry_classifier(TransientErrorClassifier::<Fault>::new())
        .with_retry_classifier(AwsErrorCodeClassifier::<Fault>::new())
        .with_retry_classifier(ServiceClockSkewClassifier::<Fault>::new());
    if let Some(credentials) = config.credentials_provider() {
        components.set_identity_resolver(SCHEME_ID, credentials);
    }
    components
}

fn request(ask: Ask) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(ask.0));
    request.set_method("POST")?;
    request.set_uri("/")?;
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
    Ok(request)
}

fn page(response: &HttpResponse) -> Result<Page, OrchestratorError<Fault>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        answer::page(body).map_err(OrchestratorError::other)
    } else {
        Err(OrchestratorError::operation(Fault::read(response.status().as_u16(), body)))
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
