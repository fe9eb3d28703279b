//! When retries stop. Pure.
//!
//! There is no limit while there is progress: a table that accepts one item at a time accepts all in the end. Without
//! progress, pauses grow, and their number and the time are limited.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::Backoff;

/// Pauses since the last progress.
const PAUSES_MAX: u32 = 8;
/// Time limit without progress, for calls and pauses together. A function has a minute.
const STANDSTILL_MAX: Duration = Duration::from_secs(25);
/// Time-out of one request. DynamoDB answers in some milliseconds, but a large batch may take longer on a slow network.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);
/// The pauses add up to about ten seconds for a throttled table.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_secs(5) };

/// The rounds of one batch or request.
#[derive(Debug)]
pub(super) struct Rounds {
    /// Pauses since the last progress.
    pauses: u32,
    /// The end without further progress.
    until: Instant,
}

impl Rounds {
    /// Starts now.
    pub(super) fn new(now: Instant) -> Self {
        Self { pauses: 0, until: now + STANDSTILL_MAX }
    }

    /// Resets the limits after progress.
    pub(super) fn progress(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// Time since the last progress.
    pub(super) fn standstill(&self, now: Instant) -> Duration {
        STANDSTILL_MAX.saturating_sub(self.until.saturating_duration_since(now))
    }

    /// Time-out of the next request.
    pub(super) fn call_time(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now).min(CALL_TIME_MAX)
    }

    /// The pause before the next round; `None` if retries stop.
    ///
    /// `spread`, from 0.0 to 1.0, is the jitter, so that batches that failed together do not repeat together.
    pub(super) fn pause(&mut self, now: Instant, spread: f64) -> Option<Duration> {
        let left = self.until.saturating_duration_since(now);
        if self.pauses >= PAUSES_MAX || left.is_zero() {
            return None;
        }
        self.pauses += 1;
        Some(BACKOFF.full_jitter(self.pauses, spread).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The pauses of a call that always fails after this time, and the time until retries stop.
    fn standstill(call: Duration) -> (Vec<u128>, Duration) {
        let begin = Instant::now();
        let (mut now, mut pauses, mut rounds) = (begin, Vec::new(), Rounds::new(begin));
        loop {
            now += call.min(rounds.call_time(now));
            let Some(pause) = rounds.pause(now, 1.0) else { return (pauses, now - begin) };
            pauses.push(pause.as_millis());
            now += pause;
        }
    }

    #[test]
    fn without_progress_pauses_double_and_end() {
        let (pauses, time) = standstill(Duration::ZERO);
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000]);
        assert_eq!(time.as_millis(), 11_350);
    }

    #[test]
    fn calls_that_hang_end_at_the_limit_of_time() {
        assert_eq!(standstill(SECOND * 1_000).1, STANDSTILL_MAX);
        assert_eq!(Rounds::new(Instant::now()).call_time(Instant::now()), CALL_TIME_MAX);
    }

    #[test]
    fn with_progress_there_is_no_end_and_pauses_stay_short() {
        let mut now = Instant::now();
        let mut rounds = Rounds::new(now);
        for _ in 0..10_000 {
            now += SECOND * 24;
            rounds.progress(now);
            assert_eq!(rounds.pause(now, 1.0), Some(BACKOFF.first));
        }
        assert_eq!(rounds.pause(now, 0.0), Some(Duration::ZERO));
    }
}
