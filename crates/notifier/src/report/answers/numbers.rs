//! Answers that are numbers. Pure.

use serde::Serialize;

/// Buckets of a histogram.
const BUCKETS: usize = 10;

/// The distribution of numbers. The percentiles are answers that occurred (nearest rank).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Numbers {
    /// How many numbers.
    pub count: usize,
    /// The smallest.
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
    /// Ten buckets of equal width from the smallest to the largest; one if all are equal.
    pub buckets: Vec<Bucket>,
}

/// One bucket of a histogram. The lower end is part of it; the upper one only of the last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bucket {
    /// The lower end.
    pub from: f64,
    /// The upper end.
    pub to: f64,
    /// How many numbers.
    pub count: usize,
}

impl Numbers {
    /// The distribution of these numbers, all of them finite; `None` if there are none.
    pub(super) fn of(numbers: &[f64]) -> Option<Self> {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank =
            |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).checked_sub(1)?).copied();
        let (min, max) = (*sorted.first()?, rank(100)?);
        let buckets = buckets(&sorted, min, max);
        Some(Self { count: sorted.len(), min, p50: rank(50)?, p99: rank(99)?, max, buckets })
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the place of a bucket is 0 to 10"
)]
fn buckets(numbers: &[f64], min: f64, max: f64) -> Vec<Bucket> {
    if min >= max {
        return vec![Bucket { from: min, to: max, count: numbers.len() }];
    }
    // Halves, because the difference of two numbers may be larger than the largest number.
    let width = max / 2.0 - min / 2.0;
    let end = |place: usize| {
        if place == BUCKETS { max } else { min + width * (place as f64 / BUCKETS as f64) * 2.0 }
    };
    let mut buckets: Vec<_> =
        (0..BUCKETS).map(|place| Bucket { from: end(place), to: end(place + 1), count: 0 }).collect();
    for number in numbers {
        let place = ((number / 2.0 - min / 2.0) / width * BUCKETS as f64) as usize;
        if let Some(bucket) = buckets.get_mut(place.min(BUCKETS - 1)) {
            bucket.count += 1;
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_distribution_has_percentiles_that_occurred_and_ten_buckets() {
        let numbers: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let found = Numbers::of(&numbers).unwrap();
        let counts: Vec<_> = found.buckets.iter().map(|bucket| bucket.count).collect();
        assert_eq!((found.min, found.p50, found.p99, found.max), (0.0, 50.0, 99.0, 100.0));
        assert_eq!(counts, [10, 10, 10, 10, 10, 10, 10, 10, 10, 11]);
        assert_eq!(Numbers::of(&[]), None);
        let same = Numbers::of(&[7.0, 7.0]).unwrap();
        assert_eq!(same.buckets, [Bucket { from: 7.0, to: 7.0, count: 2 }]);
    }

    proptest! {
        #[test]
        fn every_number_is_in_one_bucket(
            numbers in prop::collection::vec(any::<f64>().prop_filter("finite", |n| n.is_finite()), 1..50),
        ) {
            let found = Numbers::of(&numbers).unwrap();
            prop_assert_eq!(found.buckets.iter().map(|bucket| bucket.count).sum::<usize>(), numbers.len());
            prop_assert!(found.min <= found.p50 && found.p50 <= found.p99 && found.p99 <= found.max);
            prop_assert!(found.buckets.iter().all(|bucket| bucket.from.is_finite() && bucket.to.is_finite()));
        }
    }
}
