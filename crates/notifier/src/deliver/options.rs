//! Options of deliveries: limits of time, attempts and concurrency, and the retry policy. Pure.

use std::time::Duration;

use crate::base::Backoff;

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

impl DeliveryOptions {
    /// The retry policy: how long to wait before attempt number `n`, or `None` if no attempts are left.
    ///
    /// `n` counts from 1 and attempt 1 never waits. Later attempts wait for the time that the task `asked` for, up to
    /// [`retry_after_most`](Self::retry_after_most), and then for a backoff with full jitter, so that tasks with the same
    /// `Retry-After` are spread too. The caller draws `spread`, from 0.0 to 1.0.
    pub(super) fn wait_before(&self, n: u32, asked: Option<Duration>, spread: f64) -> Option<Duration> {
        if n <= 1 {
            return Some(Duration::ZERO);
        }
        if n > self.attempts {
            return None;
        }
        let backoff = Backoff { first: self.wait_first, most: self.wait_most };
        let asked = asked.unwrap_or_default().min(self.retry_after_most);
        Some(asked.saturating_add(backoff.full_jitter(n - 1, spread)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn wait_before(n: u32, asked: Option<Duration>, spread: f64) -> Option<Duration> {
        let options = DeliveryOptions {
            attempts: 5,
            wait_first: ms(100),
            wait_most: ms(300),
            retry_after_most: ms(10_000),
            ..DeliveryOptions::default()
        };
        options.wait_before(n, asked, spread)
    }

    #[test]
    fn waits_double_up_to_the_most_and_then_the_attempts_end() {
        let waits: Vec<_> = (0..=6).map(|n| wait_before(n, None, 1.0)).collect();
        let expected = [Some(0), Some(0), Some(100), Some(200), Some(300), Some(300), None];
        assert_eq!(waits, expected.map(|wait| wait.map(ms)));
    }

    #[test]
    fn the_spread_picks_a_point_between_zero_and_the_wait() {
        assert_eq!(wait_before(3, None, 0.0), Some(Duration::ZERO));
        assert_eq!(wait_before(3, None, 0.25), Some(ms(50)));
        assert_eq!(wait_before(3, None, f64::INFINITY), Some(ms(200)));
    }

    #[test]
    fn a_task_that_asks_for_a_wait_gets_it_up_to_the_most() {
        assert_eq!(wait_before(2, Some(ms(2_000)), 0.0), Some(ms(2_000)));
        assert_eq!(wait_before(2, Some(ms(2_000)), 0.5), Some(ms(2_050)));
        assert_eq!(wait_before(2, Some(Duration::MAX), 1.0), Some(ms(10_100)));
        assert_eq!(wait_before(6, Some(ms(1)), 0.0), None);
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_both_limits_together(
            n: u32, first: u32, most: u32, asked: Option<u64>, asked_most: u32, spread in 0.0..=1.0,
        ) {
            let options = DeliveryOptions {
                attempts: u32::MAX,
                wait_first: ms(first.into()),
                wait_most: ms(most.into()),
                retry_after_most: ms(asked_most.into()),
                ..DeliveryOptions::default()
            };
            let wait = options.wait_before(n, asked.map(Duration::from_secs), spread);
            prop_assert!(wait.unwrap() <= ms(u64::from(most) + u64::from(asked_most)));
        }
    }
}
