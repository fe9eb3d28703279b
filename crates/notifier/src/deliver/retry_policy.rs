//! The retry policy of one delivery. Pure.

use std::time::Duration;

use crate::base::Backoff;

/// When a delivery is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RetryPolicy {
    /// Maximum number of attempts; 0 counts as 1.
    pub attempts: u32,
    /// The waits before attempt 2 and later, in addition to the wait that the task requests.
    pub backoff: Backoff,
    /// The longest wait that a task may request.
    pub asked_most: Duration,
}

impl RetryPolicy {
    /// How long to wait before attempt number `n`, or `None` if no attempts are left.
    ///
    /// `n` counts from 1 and attempt 1 never waits. Later attempts wait for the time that the task `asked` for, up to
    /// [`asked_most`](Self::asked_most), and then for [`backoff`](Self::backoff) with full jitter, so that tasks with the
    /// same `Retry-After` are spread too. The caller draws `spread`, from 0.0 to 1.0.
    pub(super) fn wait_before(&self, n: u32, asked: Option<Duration>, spread: f64) -> Option<Duration> {
        if n <= 1 {
            return Some(Duration::ZERO);
        }
        if n > self.attempts {
            return None;
        }
        let asked = asked.unwrap_or_default().min(self.asked_most);
        Some(asked.saturating_add(self.backoff.full_jitter(n - 1, spread)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 5,
        backoff: Backoff { first: ms(100), most: ms(300) },
        asked_most: ms(10_000),
    };

    #[test]
    fn waits_double_up_to_the_most_and_then_the_attempts_end() {
        let waits: Vec<_> = (0..=6).map(|n| POLICY.wait_before(n, None, 1.0)).collect();
        let expected = [Some(0), Some(0), Some(100), Some(200), Some(300), Some(300), None];
        assert_eq!(waits, expected.map(|wait| wait.map(ms)));
    }

    #[test]
    fn the_spread_picks_a_point_between_zero_and_the_wait() {
        assert_eq!(POLICY.wait_before(3, None, 0.0), Some(Duration::ZERO));
        assert_eq!(POLICY.wait_before(3, None, 0.25), Some(ms(50)));
        assert_eq!(POLICY.wait_before(3, None, f64::INFINITY), Some(ms(200)));
    }

    #[test]
    fn a_task_that_asks_for_a_wait_gets_it_up_to_the_most() {
        assert_eq!(POLICY.wait_before(2, Some(ms(2_000)), 0.0), Some(ms(2_000)));
        assert_eq!(POLICY.wait_before(2, Some(ms(2_000)), 0.5), Some(ms(2_050)));
        assert_eq!(POLICY.wait_before(2, Some(Duration::MAX), 1.0), Some(ms(10_100)));
        assert_eq!(POLICY.wait_before(6, Some(ms(1)), 0.0), None);
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_both_limits_together(
            n: u32, first: u32, most: u32, asked: Option<u64>, asked_most: u32, spread in 0.0..=1.0,
        ) {
            let policy = RetryPolicy {
                attempts: u32::MAX,
                backoff: Backoff { first: ms(first.into()), most: ms(most.into()) },
                asked_most: ms(asked_most.into()),
            };
            let wait = policy.wait_before(n, asked.map(Duration::from_secs), spread);
            prop_assert!(wait.unwrap() <= ms(u64::from(most) + u64::from(asked_most)));
        }
    }
}
