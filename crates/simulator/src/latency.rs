//! How long answers take: a distribution with the tail that networks and services have.

use std::time::Duration;

use serde::Deserialize;

use crate::chance::Draw;

/// How far the 99th percentile of a normal distribution is from its middle, in standard deviations.
const P99_DEVIATIONS: f64 = 2.326_347_874;
/// The furthest that an answer is from the median: 1 answer in 30,000 would be further.
const DEVIATIONS_MAX: f64 = 4.0;

/// A log-normal distribution of times, given by its median and its 99th percentile.
///
/// Most times are near the median, a few are many times longer. Times are drawn from the seed: the same seed gives the
/// same times. The longest is (p99 / median)^1.72 times the median; with equal values every time is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    /// Half of the times are shorter, in microseconds.
    pub median_us: u64,
    /// 99 of 100 times are shorter, in microseconds. Less than the median counts as the median.
    pub p99_us: u64,
    /// What the times are drawn from.
    pub seed: u64,
}

impl Latency {
    /// The same time always.
    pub fn constant(time: Duration) -> Self {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self { median_us: us, p99_us: us, seed: 0 }
    }

    /// Number `number` of the times. `of` sets apart what shares the distribution, for example tasks.
    pub(crate) fn time(&self, of: u64, number: u64) -> Duration {
        if self.median_us == 0 && self.p99_us == 0 {
            return Duration::ZERO;
        }
        let seconds = |us| Duration::from_micros(us).as_secs_f64();
        let median = seconds(self.median_us.max(1));
        let ratio = (seconds(self.p99_us) / median).max(1.0);
        let mut draw = Draw::nth(self.seed ^ of, number);
        // Box and Muller: a normal distribution from two even ones. The first is above 0.
        let (even, turn) = (1.0 - draw.unit(), draw.unit());
        let normal = (-2.0 * even.ln()).sqrt() * (std::f64::consts::TAU * turn).cos();
        let normal = normal.clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX);
        let time = median * (ratio.ln() / P99_DEVIATIONS * normal).exp();
        Duration::try_from_secs_f64(time).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(latency: Latency) -> Vec<Duration> {
        let mut times: Vec<_> = (0..20_000).map(|number| latency.time(3, number)).collect();
        times.sort();
        times
    }

    #[test]
    fn half_the_times_are_below_the_median_and_one_in_a_hundred_above_the_99th_percentile() {
        let times = sorted(Latency { median_us: 5_000, p99_us: 80_000, seed: 1 });
        let below = |ms| times.iter().filter(|time| **time < Duration::from_millis(ms)).count();
        assert!((9_600..10_400).contains(&below(5)), "{}", below(5));
        assert!((19_740..19_860).contains(&below(80)), "{}", below(80));
        assert!(times[19_999] < Duration::from_secs(1), "{:?}", times[19_999]);
    }

    #[test]
    fn equal_percentiles_are_a_constant_and_none_are_no_time() {
        let time = Duration::from_millis(7);
        let near = |found: Duration| found.abs_diff(time) < Duration::from_nanos(10);
        assert!(sorted(Latency::constant(time)).into_iter().all(near));
        assert_eq!(Latency::default().time(0, 1), Duration::ZERO);
        let below = Latency { median_us: 7_000, p99_us: 1, seed: 0 };
        assert!(sorted(below).into_iter().all(near));
    }

    #[test]
    fn times_depend_on_seed_owner_and_number() {
        let one = Latency { median_us: 1_000, p99_us: 9_000, seed: 1 };
        assert_eq!(one.time(3, 4), one.time(3, 4));
        assert_ne!(one.time(3, 4), one.time(3, 5));
        assert_ne!(one.time(3, 4), one.time(4, 4));
        assert_ne!(one.time(3, 4), Latency { seed: 2, ..one }.time(3, 4));
    }
}
