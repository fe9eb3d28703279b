//! Exponential backoff with jitter.
//!
//! Source: AWS Builders' Library, "Timeouts, retries, and backoff with jitter"; AWS Architecture Blog, "Exponential
//! Backoff And Jitter".

use std::time::Duration;

/// Waits that double from `first` up to `most`, less a random part ("jitter").
///
/// The caller draws `spread`, from 0.0 to 1.0, so that the waits are pure and tests exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub first: Duration,
    /// The longest wait after any failure.
    pub most: Duration,
}

impl Backoff {
    /// The wait after this number of consecutive failures: between zero and the maximum. Zero without a failure.
    pub fn full_jitter(&self, failures: u32, spread: f64) -> Duration {
        self.longest(failures).mul_f64(spread.clamp(0.0, 1.0))
    }

    /// The wait after this number of consecutive failures: between half of the maximum and the maximum. Zero without a
    /// failure.
    pub fn equal_jitter(&self, failures: u32, spread: f64) -> Duration {
        self.longest(failures).mul_f64(0.5 + spread.clamp(0.0, 1.0) / 2.0)
    }

    fn longest(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        2_u32
            .checked_pow(doublings)
            .and_then(|factor| self.first.checked_mul(factor))
            .map_or(self.most, |wait| wait.min(self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };

    #[test]
    fn waits_double_up_to_the_longest_and_never_overflow() {
        for wait in [Backoff::full_jitter, Backoff::equal_jitter] {
            let waits = [0, 1, 2, 3, 5, 6, 7, 33, u32::MAX].map(|n| wait(&BACKOFF, n, 1.0).as_secs());
            assert_eq!(waits, [0, 1, 2, 4, 16, 30, 30, 30, 30]);
        }
    }

    #[test]
    fn full_jitter_takes_all_of_a_wait_and_equal_jitter_half_of_it() {
        let seconds = Duration::from_secs;
        let waits = |spread| (BACKOFF.full_jitter(3, spread), BACKOFF.equal_jitter(3, spread));
        assert_eq!(waits(-1.0), (Duration::ZERO, seconds(2)));
        assert_eq!(waits(0.0), (Duration::ZERO, seconds(2)));
        assert_eq!(waits(0.5), (seconds(2), seconds(3)));
        assert_eq!(waits(f64::INFINITY), (seconds(4), seconds(4)));
    }
}
