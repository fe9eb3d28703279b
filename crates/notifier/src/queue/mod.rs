//! SQS queues: publish and consume.
//!
//! A [`Queue`] publishes messages. An [`Consumer`] is the consumer of a queue: it receives messages, extends their
//! visibility timeouts while they are processed, and deletes each, returns it or moves it to the dead-letter queue.
//!
//! | file | job |
//! | --- | --- |
//! | `consumer` | a queue that this process consumes |
//! | `event_source_mapping` | a queue that Lambda's event source mapping reads |
//! | `dead_letter_queue` | a dead-letter queue, whose messages are redriven or deleted |
//! | `publish` | messages to send |
//! | `reader`, `message`, `visibility` | received messages, invisible to others while they are processed |
//! | `settle` | deletes and returns in the background, in batches |
//! | `depth` | the number of messages on a queue |
//! | `policy` | visibility timeout and redrive policy of a queue |
//! | `batch`, `operations`, `pack` | batch operations: at most ten entries and 1 MiB, with retries of `Failed[]` |
//! | `attributes`, `dead_letter`, `trace` | message attributes (pure) |
//! | `limits` | limits of SQS and of this program |
//!
//! Standard queues only: they deliver at least once and in no order.

mod attributes;
mod batch;
mod consumer;
mod dead_letter;
mod dead_letter_queue;
mod depth;
mod error;
mod event_source_mapping;
pub mod limits;
mod message;
mod operations;
mod pack;
mod policy;
mod publish;
mod reader;
mod settle;
mod trace;
mod visibility;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::StalledStreamProtectionConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::retry::RetryConfig;

pub use batch::{EntryError, NotAccepted};
pub use consumer::Consumer;
pub(crate) use dead_letter_queue::DeadLetterQueue;
pub use depth::Depth;
pub use error::QueueError;
pub use event_source_mapping::EventSourceMapping;
pub use message::Message;
pub use policy::DeadLetterError;
pub use publish::{Delayed, PublishError};
pub use trace::Trace;
pub use visibility::Receipt;

use crate::aws::{AwsError, AwsService};
use crate::base::Rng;
use crate::base::text::quoted;
use crate::base::url::{Url, UrlError};
use limits::{CALL_TIME_MAX, RETRY, SDK_TRIES_MAX};

/// Suffix of the name of a FIFO queue.
const FIFO: &str = ".fifo";
const NOT_STANDARD: &str =
    "it is a FIFO queue, which would drop a retry as a duplicate; use a standard queue";

/// One SQS queue to send to. Cloning it is cheap.
#[derive(Clone)]
pub struct Queue {
    client: Client,
    url: Arc<str>,
    rng: Rng,
}

impl Queue {
    /// The queue with this URL. Makes no request.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "SDK clients are handles, handed over like this everywhere"
    )]
    pub fn at(client: Client, url: impl AsRef<str>, rng: Rng) -> Self {
        Self { client: with_few_tries(&client), url: url.as_ref().into(), rng }
    }

    /// The queue at `place`: a URL, or the name of a queue in the client's account and region.
    ///
    /// # Errors
    ///
    /// [`QueueError`], if the name cannot be looked up (`GetQueueUrl`). A URL is only checked for its form.
    pub async fn open(client: Client, place: &str, rng: Rng) -> Result<Self, QueueError> {
        check(place)?;
        if place.contains("://") {
            return Ok(Self::at(client, place, rng));
        }
        let url = url_of(&with_few_tries(&client), place, None).await?;
        Ok(Self::at(client, url, rng))
    }

    /// The queue's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The queue's name: the end of its URL.
    pub fn name(&self) -> &str {
        let url = self.url().trim_end_matches('/');
        url.rsplit_once('/').map_or(url, |(_, name)| name)
    }
}

/// Checks the URL of a queue, which ends with the queue's name, or the name itself. Source: Amazon SQS API Reference,
/// `CreateQueue`.
fn check(place: &str) -> Result<(), QueueError> {
    let invalid =
        |problem: &str| Err(QueueError::InvalidName { name: quoted(place), problem: problem.to_owned() });
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if place.contains("://") {
        match Url::parse(place) {
            // The URL itself would repeat the password.
            Err(error @ UrlError::UserInfo) => {
                Err(QueueError::InvalidName { name: "…".to_owned(), problem: error.to_string() })
            }
            Err(error) => invalid(&error.to_string()),
            Ok(url) if url.queue().is_none() => invalid("it does not end with the name of a queue"),
            Ok(_) if place.ends_with(FIFO) => invalid(NOT_STANDARD),
            Ok(_) => Ok(()),
        }
    } else if let Some(name) = place.strip_prefix("arn:").and_then(|arn| arn.rsplit(':').next()) {
        invalid(&format!("it is an ARN; the queue's name is `{}`", quoted(name)))
    } else if place.ends_with(FIFO) {
        invalid(NOT_STANDARD)
    } else if !(1..=80).contains(&place.len()) || !place.bytes().all(is_word) {
        invalid("a name has up to 80 letters, digits, `-` and `_`; a URL begins with https://")
    } else {
        Ok(())
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.url()).finish()
    }
}

/// The same client with few attempts: each caller here has its own retries, and reports soon that SQS does not answer.
fn with_few_tries(client: &Client) -> Client {
    let retries = RetryConfig::standard()
        .with_max_attempts(SDK_TRIES_MAX)
        .with_initial_backoff(RETRY.first)
        .with_max_backoff(RETRY.most);
    // The SDK's protection against stalled bodies would wake twice a second during a long poll. Every call has a time-out.
    let no_watch = StalledStreamProtectionConfig::disabled();
    let config = client.config().to_builder().retry_config(retries).stalled_stream_protection(no_watch);
    Client::from_conf(config.build())
}

/// Looks up a queue by its name, in the client's account or in another.
async fn url_of(client: &Client, name: &str, account: Option<&str>) -> Result<String, QueueError> {
    let call =
        client.get_queue_url().queue_name(name).set_queue_owner_aws_account_id(account.map(Into::into));
    let answer = in_time(name, "GetQueueUrl", CALL_TIME_MAX, call.send()).await?;
    answer.queue_url.ok_or_else(|| QueueError::without(name, "GetQueueUrl", "URL"))
}

/// Waits for a call about a queue, up to a time limit.
async fn in_time<T, E>(
    queue: &str,
    operation: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, QueueError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let answer = match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| AwsError::of(AwsService::Sqs, operation, &error)),
        Err(_elapsed) => Err(AwsError::timed_out(AwsService::Sqs, operation, limit)),
    };
    answer.map_err(|source| QueueError::of(queue, source))
}
