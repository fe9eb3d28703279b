//! Durations, counted in buckets. Pure.

use std::time::Duration;

/// Limits of the buckets of an attempt, in seconds.
pub(super) const ATTEMPT_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The same of a broadcast, or of the way of an event into a task.
pub(super) const BROADCAST_SECONDS: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];

/// How many durations were at most as long as each limit.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    limits: &'static [f64],
    /// One for each limit, and one for what is longer. Not cumulative.
    counts: Vec<u64>,
    sum: Duration,
}

impl Histogram {
    pub(super) fn new(limits: &'static [f64]) -> Self {
        Self { limits, counts: vec![0; limits.len() + 1], sum: Duration::ZERO }
    }

    pub(super) fn add(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.limits.partition_point(|limit| *limit < seconds);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(duration);
    }

    /// Each limit with the number of durations up to it; the last one is infinite.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let limits = self.limits.iter().copied().chain([f64::INFINITY]);
        limits.zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }

    /// Sum in seconds.
    pub(super) fn sum(&self) -> f64 {
        self.sum.as_secs_f64()
    }

    /// Number of durations.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_each_bucket_up_to_whose_limit_it_reaches() {
        let mut histogram = Histogram::new(&[0.1, 1.0]);
        for millis in [50, 100, 101, 1_000, 1_001] {
            histogram.add(Duration::from_millis(millis));
        }
        let buckets: Vec<_> = histogram.buckets().collect();
        assert_eq!(buckets, [(0.1, 2), (1.0, 4), (f64::INFINITY, 5)]);
        assert_eq!((histogram.count(), histogram.sum()), (5, 2.252));
    }
}
