//! Configuration of the AWS clients: HTTP, time-outs, retries and their quota.
//!
//! Throttling must only slow the notifier down; it must not drop work or cause more throttling. The SDK's defaults (three
//! attempts, a retry quota that only success refills) fail on a busy account, so retries are set here, and
//! `AWS_MAX_ATTEMPTS` and `AWS_RETRY_MODE` are ignored.

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

/// Attempts of one request. With the waits below, a request outlasts a minute of throttling, on average.
const TRIES_MAX: u32 = 10;
/// The maximum backoff before the second attempt; it doubles with each attempt, with full jitter.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The upper limit of that backoff.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Tokens of the retry quota of one service. Each retry takes a token; success returns it.
const RETRY_TOKENS_MAX: usize = 200;
/// Tokens that are refilled each second, so that a long throttle does not use them up for good. Half of the refill rate of
/// AWS's own buckets.
const RETRY_TOKENS_PER_S: f32 = 10.0;

/// Time-out of a connection: the SDK's default.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// Time-out of the head of an answer. A long poll of SQS takes up to 20 s.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for interactive commands, which make no long polls: ECS and EC2 answer within a second or two.
const READ_TIMEOUT_ATTENDED: Duration = Duration::from_secs(4);
/// Time-out of one attempt, including the answer's body.
const TRY_TIMEOUT: Duration = Duration::from_secs(60);
/// Time-out of all attempts and waits of one request. A Lambda function has 15 minutes.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(5);

/// Standard retries: exponential backoff with full jitter, up to [`TRIES_MAX`] attempts.
///
/// Adaptive retries also delay first attempts. Measured against a shared bucket like AWS's, they had fewer refused
/// requests, but after one throttle a single client waited for 20 s instead of less than one. Here,
/// [`Budget`](super::budget::Budget) delays first attempts instead.
pub(super) fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(TRIES_MAX)
        .with_initial_backoff(WAIT_FIRST)
        .with_max_backoff(WAIT_MAX)
}

/// The retry quota of one service, so that retries do not prolong a throttle.
///
/// The SDK's own quota is shared by all clients of a service in the process, and when it is empty, requests fail at their
/// first throttle until enough others succeed.
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

/// `attended`: whether an interactive command waits for the answers.
pub(super) fn timeouts(attended: bool) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(if attended { READ_TIMEOUT_ATTENDED } else { READ_TIMEOUT })
        .operation_attempt_timeout(TRY_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// The SDK's default client, with proxy variables, on the TLS stack of the rest of the program: its default would add a
/// second one, built from C.
///
/// `attended`: whether an interactive command waits for the answers.
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

/// A client for a simulator on this machine: without TLS, proxy and system certificates.
pub(super) fn http() -> SharedHttpClient {
    SharedHttpClient::new(FailFastClient::new(Builder::new().build_http(), false))
}
