//! Percentiles.

use serde::Serialize;

/// Percentiles by nearest rank: each is a measured value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Percentiles<T> {
    /// The median.
    pub p50: T,
    /// The 99th percentile.
    pub p99: T,
    /// The largest.
    pub max: T,
}

impl<T: Copy + Ord> Percentiles<T> {
    /// The percentiles of these values; `None` when there are none.
    pub(super) fn of(mut values: Vec<T>) -> Option<Self> {
        values.sort_unstable();
        let rank =
            |percent: usize| values.get((values.len() * percent).div_ceil(100).checked_sub(1)?).copied();
        Some(Self { p50: rank(50)?, p99: rank(99)?, max: rank(100)? })
    }
}

impl<T> Percentiles<T> {
    /// The same in another unit.
    pub fn map<U>(self, unit: impl Fn(T) -> U) -> Percentiles<U> {
        Percentiles { p50: unit(self.p50), p99: unit(self.p99), max: unit(self.max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_happened() {
        let of = |values: &[u32]| Percentiles::of(values.to_vec()).map(|p| [p.p50, p.p99, p.max]);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some([7, 7, 7]));
        assert_eq!(of(&[9, 1]), Some([1, 9, 9]));
        assert_eq!(of(&(1..=100).rev().collect::<Vec<_>>()), Some([50, 99, 100]));
        assert_eq!(of(&(1..=1000).collect::<Vec<_>>()), Some([500, 990, 1000]));
    }
}
