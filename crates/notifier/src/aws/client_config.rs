//! How requests reach AWS: the HTTP client, the deadlines, and the retries with their quota.
//!
//! "Throttling slows us down; it never drops work and never spirals" is a promise. The SDK's defaults (three tries, a
//! quota of retries that only success refills) give up on a busy account, so retries are set here, and
//! `AWS_MAX_ATTEMPTS` and `AWS_RETRY_MODE` are left unread.

use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use super::fail_fast::FailFastClient;

/// Tries of one request, the first included. With the waits below a request outlives a minute of throttling, on average.
const TRIES_MAX: u32 = 10;
/// The wait before the second try is drawn between zero and this, and doubles from try to try.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Retries of one service that may be owed at once. Each takes a token; success brings it back.
const RETRY_TOKENS_MAX: usize = 200;
/// Tokens that come back each second whatever happens: no throttle, however long, uses them up for good. Half of what
/// AWS refills its own buckets with.
const RETRY_TOKENS_PER_S: f32 = 10.0;

/// Until the connection stands. The SDK's own value.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// Until the head of the answer is there. SQS holds a long poll for up to 20 s.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The same while somebody waits, who sends no long polls: ECS and EC2 answer within a second or two.
const READ_TIMEOUT_ATTENDED: Duration = Duration::from_secs(4);
/// One try from beginning to end, the answer's body included.
const TRY_TIMEOUT: Duration = Duration::from_secs(60);
/// All tries and waits of one request. A Lambda function has 15 minutes.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(5);

/// Standard retries: waits that double, with full jitter, until [`TRIES_MAX`].
///
/// Adaptive retries, which also hold back first tries, were measured against a bucket like AWS's, shared with others:
/// fewer refused requests, but after a single throttle a lone client waits for 20 s instead of less than one. First tries
/// are held back by [`Budget`](super::budget::Budget) instead.
pub(super) fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(TRIES_MAX)
        .with_initial_backoff(WAIT_FIRST)
        .with_max_backoff(WAIT_MAX)
}

/// The quota of retries of one service: what keeps retries from feeding the throttle that causes them.
///
/// The SDK's own is shared by all clients of a service in the process, and once drained it fails requests at their first
/// throttle until enough others succeed.
pub(super) fn partition(service: &'static str) -> RetryPartition {
    let tokens = TokenBucket::builder()
        .capacity(RETRY_TOKENS_MAX)
        .refill_rate(RETRY_TOKENS_PER_S)
        .retry_cost(1)
        .throttling_retry_cost(1)
        .timeout_retry_cost(1)
        .build();
    RetryPartition::custom(service).token_bucket(tokens).build()
}

/// `attended`: whether somebody waits for the answers.
pub(super) fn timeouts(attended: bool) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(if attended { READ_TIMEOUT_ATTENDED } else { READ_TIMEOUT })
        .operation_attempt_timeout(TRY_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// The SDK's default client, proxy variables included, on the TLS stack that the rest of the program has: its own
/// would bring a second one, built from C.
///
/// `attended`: whether somebody waits for the answers.
pub(super) fn https(attended: bool) -> SharedHttpClient {
    let client = Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    });
    SharedHttpClient::new(FailFastClient::new(client, attended))
}

/// A client that speaks to a simulator on this machine: no TLS, no proxy, no look at the system's certificates.
pub(super) fn http() -> SharedHttpClient {
    SharedHttpClient::new(FailFastClient::new(Builder::new().build_http(), false))
}
