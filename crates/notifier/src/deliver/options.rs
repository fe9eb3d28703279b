//! Options of deliveries: limits of time, attempts and concurrency.

use std::time::Duration;

/// Time for attempts in flight to end after a broadcast was interrupted.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(2);

/// Options of deliveries.
///
/// The defaults suit tasks in the same VPC. A broadcast takes about: the number of tasks that do not answer, times
/// `timeout`, divided by `concurrency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryOptions {
    /// Time-out of a connection, including TLS; at most `timeout`. Default: 1 s.
    pub connect_timeout: Duration,
    /// Time-out of one attempt, including connection and answer. Default: 3 s.
    pub timeout: Duration,
    /// Maximum number of attempts of one delivery; 0 counts as 1. Default: 3.
    pub attempts: u32,
    /// Maximum backoff before the second attempt; it doubles with each attempt, with full jitter. Default: 200 ms.
    pub wait_first: Duration,
    /// Upper limit of that backoff. Default: 2 s.
    pub wait_most: Duration,
    /// Upper limit of a task's `Retry-After`. Default: 10 s.
    pub retry_after_most: Duration,
    /// Period after queueing in which a delivery is retried: ECS reuses addresses within minutes. Only for deliveries from
    /// a queue. Default: 10 min.
    pub horizon: Duration,
    /// Maximum number of concurrent attempts; 0 counts as 1. [`Deliverer::new`](super::Deliverer::new) lowers it to the limit of open files.
    /// Default: 256. More than 1,024 has no benefit.
    pub concurrency: usize,
    /// Time for attempts in flight to end after a broadcast was interrupted. Default: [`GRACE_DEFAULT`].
    pub grace: Duration,
    /// Maximum bytes of an answer's body that are read; the start becomes part of the reason. Default: 16 KiB.
    pub answer_bytes_max: usize,
}

impl Default for DeliveryOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(3),
            attempts: 3,
            wait_first: Duration::from_millis(200),
            wait_most: Duration::from_secs(2),
            retry_after_most: Duration::from_secs(10),
            horizon: Duration::from_secs(10 * 60),
            concurrency: 256,
            grace: GRACE_DEFAULT,
            answer_bytes_max: 16 * 1024,
        }
    }
}
