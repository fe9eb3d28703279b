//! How deliveries are made: limits of time, attempts and concurrency.

use std::time::Duration;

/// How long attempts under way may take after a broadcast was interrupted.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(2);

/// How deliveries are made.
///
/// The defaults suit tasks in the same VPC. A broadcast takes about as long as: tasks that do not answer, times
/// `timeout`, divided by `concurrency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryOptions {
    /// The longest that a connection may take to stand, TLS included; at most `timeout`. Default: 1 s.
    pub connect_timeout: Duration,
    /// The longest that one attempt may take, connection and answer together. Default: 3 s.
    pub timeout: Duration,
    /// Attempts of one delivery in all; 0 counts as 1. Default: 3.
    pub attempts: u32,
    /// The longest wait before the second attempt; later ones double, and each is shortened at random. Default: 200 ms.
    pub wait_first: Duration,
    /// What doubling ends at. Default: 2 s.
    pub wait_most: Duration,
    /// The longest that a task's `Retry-After` is honoured; what it asks for beyond that is cut. Default: 10 s.
    pub retry_after_most: Duration,
    /// How long after it was queued a delivery is still tried: ECS gives addresses to other tasks within minutes. Counts
    /// only for deliveries that come from a queue. Default: 10 min.
    pub horizon: Duration,
    /// Attempts under way at the same time; 0 counts as 1. [`Deliverer::new`](super::Deliverer::new) lowers it to what the limit of open files
    /// allows. Default: 256. Beyond 1,024 nothing is gained.
    pub concurrency: usize,
    /// How long attempts under way may take after a broadcast was interrupted. Default: [`GRACE_DEFAULT`].
    pub grace: Duration,
    /// Bytes of an answer's body that are read; the start of it becomes part of a reason. Default: 16 KiB.
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
