//! Figures out of samples. Pure.

use std::time::Duration;

/// In µs.
pub(crate) fn per_call(cpu: Duration, count: u32) -> f64 {
    cpu.as_secs_f64() * 1e6 / f64::from(count)
}

/// What one more of `more` costs, in µs, where all of them make the difference between these two.
pub(crate) fn slope(without: Duration, with: Duration, more: u32) -> f64 {
    (with.as_secs_f64() - without.as_secs_f64()) * 1e6 / f64::from(more)
}

pub(crate) fn rate(wall: Duration, count: u32) -> f64 {
    f64::from(count) / wall.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "memory in KiB is far below 2^52")]
pub(crate) fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// The lower quartile, the median and the upper quartile.
pub(crate) fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    [last / 4, last / 2, last - last / 4].map(|at| values.get(at).copied().unwrap_or_default())
}
