//! Random numbers, as an argument: tests choose the seed.

use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

/// A generator of random numbers. Cloning it is cheap; clones share the sequence.
///
/// For jitter, not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(Arc<Mutex<fastrand::Rng>>);

impl Rng {
    /// An unpredictable sequence, different in every process.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's randomness")]
    pub fn from_entropy() -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::new())))
    }

    /// The sequence of this seed, always the same.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// The next number, uniform from 0.0 to less than 1.0.
    pub fn fraction(&self) -> f64 {
        // A panic leaves no inconsistent state in a generator.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    /// The next 64 bits.
    pub fn bits(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).u64(..)
    }
}

/// Random bytes from the system's generator, suitable for a key. Overwritten when dropped.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the system for keys")]
pub fn key_bytes() -> std::io::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_from_zero_to_one() {
        let draw = |seed| {
            let rng = Rng::seeded(seed);
            let other = rng.clone();
            [rng.fraction(), other.fraction(), rng.fraction()]
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
        // Of 25,600 bits, a larger deviation from half is practically impossible.
        let ones: u32 = keys.iter().flatten().map(|byte| byte.count_ones()).sum();
        assert!((11_800..13_800).contains(&ones), "{ones}");
    }
}
