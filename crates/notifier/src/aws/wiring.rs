//! How requests reach AWS: the HTTP client, the deadlines, and the retries with their quota.
//!
//! The SDK's own defaults (three tries, a quota of retries that only success refills) give up on a busy account, and
//! `AWS_MAX_ATTEMPTS` and `AWS_RETRY_MODE` could make them worse: both are left unread, because "throttling slows us
//! down; it never drops work and never spirals" is our promise and not a matter of taste.

use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime::client::retries::{ClientRateLimiter, RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

/// Tries of one request, the first included. With the waits below a request outlives a minute of throttling.
const TRIES_MAX: u32 = 10;
/// The wait before the second try is drawn between zero and this, and doubles from try to try.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Retries that one service may cost at once. Every retry takes a token, its success brings it back.
const RETRY_TOKENS_MAX: usize = 100;
/// Tokens that come back each second whatever happens, so that no throttle, however long, uses them up for good.
const RETRY_TOKENS_PER_S: f32 = 2.0;

/// Until the connection stands. The SDK's own value.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// Until the head of the answer is there. SQS holds a long poll for up to 20 s.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// One try from beginning to end, the answer's body included.
const TRY_TIMEOUT: Duration = Duration::from_secs(60);
/// All tries and waits of one request. A Lambda function has 15 minutes.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(5);

/// Adaptive retries: a client that was throttled also sends its *first* tries more slowly, until nobody throttles it.
pub(super) fn retries() -> RetryConfig {
    RetryConfig::adaptive()
        .with_max_attempts(TRIES_MAX)
        .with_initial_backoff(WAIT_FIRST)
        .with_max_backoff(WAIT_MAX)
}

/// The quota of retries and the send rate of one service.
///
/// By default the SDK shares both between all clients of a service in the process, so that one busy client slows its
/// neighbours, and a drained quota fails requests at their first throttle until others succeed.
pub(super) fn partition(service: &'static str) -> RetryPartition {
    let tokens = TokenBucket::builder()
        .capacity(RETRY_TOKENS_MAX)
        .refill_rate(RETRY_TOKENS_PER_S)
        .retry_cost(1)
        .throttling_retry_cost(1)
        .timeout_retry_cost(1)
        .build();
    RetryPartition::custom(service)
        .token_bucket(tokens)
        .client_rate_limiter(ClientRateLimiter::default())
        .build()
}

pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(TRY_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// The SDK's default client, proxy variables included, on the TLS stack that the rest of the program has: its own
/// would bring a second one, built from C.
pub(super) fn https() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}

/// A client that speaks to a simulator on this machine: no TLS, no proxy, no look at the system's certificates.
pub(super) fn http() -> SharedHttpClient {
    Builder::new().build_http()
}
