//! One operation of a service without a generated client, built from the SDK's own parts: same credentials, signatures,
//! retries, time-outs and endpoints.

use std::fmt;

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
use aws_smithy_runtime_api::client::orchestrator::{
    HttpRequest, HttpResponse, OrchestratorError, SensitiveOutput,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::metadata::ErrorMetadata;
use aws_types::SigningName;
use aws_types::region::SigningRegion;

use super::endpoint::{Service, Settings};
use crate::aws::budget::{Budget, Throttles};
use crate::aws::calls::Calls;
use crate::aws::client_config;
use crate::aws::fail_fast::FailFast;
use crate::aws::response_limit::AnswerLimit;

/// How an operation is called, and how its answers are read.
pub(super) struct Protocol<O> {
    pub(super) name: &'static str,
    /// Headers of every request: the type of its body at least.
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) read: fn(&[u8]) -> Result<O, BoxError>,
    pub(super) read_error: fn(&[u8]) -> ErrorMetadata,
}

/// An operation of this service, whose input is the body of a request. If its calls need a budget, that learns of throttles.
pub(super) fn operation<O: fmt::Debug + Send + Sync + 'static>(
    service: Service,
    protocol: &Protocol<O>,
    config: &SdkConfig,
    calls: Calls,
    budget: Option<Budget>,
) -> Operation<String, O, ErrorMetadata> {
    let &Protocol { name, headers, read, read_error } = protocol;
    let plugin = StaticRuntimePlugin::new()
        .with_config(settings(service, config).freeze())
        .with_runtime_components(components(service, config, calls, budget));
    let operation = Operation::builder()
        .service_name(service.id)
        .operation_name(name)
        .standard_retry(&config.retry_config().cloned().unwrap_or_else(client_config::retries))
        .timeout_config(config.timeout_config().cloned().unwrap_or_else(|| client_config::timeouts(false)))
        .with_connection_poisoning()
        .runtime_plugin(plugin);
    let operation = match config.behavior_version() {
        Some(version) => operation.behavior_version(version),
        None => operation,
    };
    operation
        .serializer(move |body: String| {
            let mut request = HttpRequest::new(SdkBody::from(body));
            request.set_method("POST")?;
            request.set_uri("/")?;
            for (name, value) in headers {
                request.headers_mut().insert(*name, *value);
            }
            Ok(request)
        })
        .deserializer(move |response: &HttpResponse| {
            let body = response.body().bytes().unwrap_or_default();
            if response.status().is_success() {
                read(body).map_err(OrchestratorError::other)
            } else {
                Err(OrchestratorError::operation(read_error(body)))
            }
        })
        .build()
}

/// The settings of the parts below: signing scope and user agent.
fn settings(service: Service, config: &SdkConfig) -> Layer {
    let mut layer = Layer::new(service.id);
    layer.store_put(EndpointResolverParams::new(()));
    // Without it, the SDK's own log of answers would show secrets.
    layer.store_put(SensitiveOutput);
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig::default());
    layer.store_put(SigningName::from_static(service.host));
    layer.store_or_unset(config.region().cloned().map(SigningRegion::from));
    layer.store_put(ApiMetadata::new(service.host, env!("CARGO_PKG_VERSION")));
    layer.store_or_unset(config.app_name().cloned());
    layer.store_put(client_config::partition(service.host));
    layer
}

/// The parts of a generated client, in the same order.
fn components(
    service: Service,
    config: &SdkConfig,
    calls: Calls,
    budget: Option<Budget>,
) -> RuntimeComponentsBuilder {
    let mut components = RuntimeComponentsBuilder::new(service.id)
        .with_http_client(config.http_client())
        .with_identity_cache(config.identity_cache())
        .with_endpoint_resolver(Some(SharedEndpointResolver::new(Settings::of(service, config))))
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
        .with_retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
        .with_retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
        .with_retry_classifier(ServiceClockSkewClassifier::<ErrorMetadata>::new())
        .with_retry_classifier(FailFast);
    if let Some(budget) = budget {
        components = components.with_interceptor(Throttles(budget));
    }
    if let Some(credentials) = config.credentials_provider() {
        components.set_identity_resolver(SCHEME_ID, credentials);
    }
    components
}
