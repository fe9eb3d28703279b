//! Waits that grow and spread, so that callers that failed together do not come back together.

use std::time::Duration;

/// Waits that double from `first` up to `most`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub first: Duration,
    /// The longest wait after any failure.
    pub most: Duration,
}

impl Backoff {
    /// How long to wait after `failures` failures in a row, from 1; after none, not at all.
    ///
    /// `spread`, from 0.0 to 1.0, picks a point between zero and the longest wait ("full jitter").
    ///
    /// Source: AWS Builders' Library, "Timeouts, retries, and backoff with jitter".
    #[must_use]
    pub fn wait_after(&self, failures: u32, spread: f64) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let longest = 2_u32
            .checked_pow(doublings)
            .and_then(|factor| self.first.checked_mul(factor))
            .map_or(self.most, |wait| wait.min(self.most));
        longest.mul_f64(spread.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };

    #[test]
    fn waits_double_up_to_the_longest_and_never_overflow() {
        let waits = [0, 1, 2, 3, 5, 6, 7, 33, u32::MAX].map(|n| BACKOFF.wait_after(n, 1.0).as_secs());
        assert_eq!(waits, [0, 1, 2, 4, 16, 30, 30, 30, 30]);
    }

    #[test]
    fn spread_picks_a_point_between_zero_and_the_longest_wait() {
        assert_eq!(BACKOFF.wait_after(3, 0.0), Duration::ZERO);
        assert_eq!(BACKOFF.wait_after(3, 0.5), Duration::from_secs(2));
    }
}
