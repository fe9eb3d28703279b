//! What a process gets from its surroundings without asking anybody: the time, chance, and its limit of open files.
//!
//! The only module that reads them. Everything else is handed a [`Clock`] and a [`Chance`], so that a test can say what
//! they answer. Waits are not here: they go by tokio's clock, which tests can stop.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use time::OffsetDateTime;
use zeroize::Zeroizing;

/// The time of day. Cloning it is cheap.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// The machine's own clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
    pub fn system() -> Self {
        Self::from_fn(SystemTime::now)
    }

    /// A clock that stands still.
    #[must_use]
    pub fn fixed(at: SystemTime) -> Self {
        Self::from_fn(move || at)
    }

    /// A clock that asks `now` each time it is read.
    pub fn from_fn(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time, in UTC.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        (self.0)().into()
    }

    /// The time in whole seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.now().unix_timestamp()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Where random numbers come from. Cloning it is cheap; clones draw from the same sequence.
///
/// Good for spreading waits, not for secrets.
#[derive(Clone, Debug)]
pub struct Chance(Arc<Mutex<fastrand::Rng>>);

impl Chance {
    /// A sequence that nobody can foretell, different in every process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's randomness")]
    pub fn from_entropy() -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::new())))
    }

    /// The sequence of this seed, always the same.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// The next number: at least 0.0 and less than 1.0, all equally likely.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        // A generator has no state that a panic elsewhere could leave half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }
}

/// Bytes that nobody can foretell, from the system's generator: fit to be a key. Overwritten when dropped.
///
/// # Errors
///
/// When the system has none to give, as in a sandbox that forbids the call.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the system for keys")]
pub fn key_bytes() -> std::io::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)?;
    Ok(bytes)
}

/// How many files and sockets this process may have open at once; `None` when there is no limit.
#[must_use]
pub fn open_files_most() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_fixed_clock_stands_still() {
        let clock = Clock::fixed(SystemTime::UNIX_EPOCH + Duration::from_millis(86_400_900));
        assert_eq!(clock.unix_seconds(), 86_400);
        assert_eq!(clock.now().date().to_string(), "1970-01-02");
    }

    #[test]
    fn a_seed_gives_the_same_numbers_from_zero_to_one() {
        let draw = |seed| {
            let chance = Chance::seeded(seed);
            let other = chance.clone();
            [chance.fraction(), other.fraction(), chance.fraction()]
        };
        assert_eq!(draw(7).map(f64::to_bits), draw(7).map(f64::to_bits));
        assert_ne!(draw(7).map(f64::to_bits), draw(8).map(f64::to_bits));
        assert_ne!(draw(7)[0].to_bits(), draw(7)[1].to_bits(), "clones share one sequence");
        assert!(draw(9).iter().all(|n| (0.0..1.0).contains(n)));
    }

    #[test]
    fn no_two_keys_are_alike() {
        let keys: Vec<_> = (0..100).map(|_| *key_bytes().unwrap()).collect();
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        // 25,600 bits: further from the half than this is once in more runs than there will be.
        let ones: u32 = keys.iter().flatten().map(|byte| byte.count_ones()).sum();
        assert!((11_800..13_800).contains(&ones), "{ones}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_limit_of_open_files_is_that_of_the_process() {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let soft = line.split_whitespace().nth(3).unwrap();
        assert_eq!(open_files_most().map_or("unlimited".to_owned(), |n| n.to_string()), soft);
    }
}
