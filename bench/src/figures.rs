//! Figures out of samples. Pure.

use std::time::Duration;

/// In µs.
pub(crate) fn per_call(cpu: Duration, count: u32) -> f64 {
    cpu.as_secs_f64() * 1e6 / f64::from(count)
}

pub(crate) fn rate(wall: Duration, count: u32) -> f64 {
    f64::from(count) / wall.as_secs_f64()
}

/// The lower quartile, the median and the upper quartile.
pub(crate) fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    [last / 4, last / 2, last - last / 4].map(|at| values.get(at).copied().unwrap_or_default())
}
