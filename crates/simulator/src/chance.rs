//! Chance that comes out the same for the same seed.

/// Numbers drawn from a seed: `SplitMix64`.
#[derive(Clone, Debug)]
pub(crate) struct Draw {
    state: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The draw that belongs to number `number` of this seed, whatever was drawn before.
    pub(crate) fn nth(seed: u64, number: u64) -> Self {
        let mut own = Self::new(seed);
        own.state = own.next() ^ number;
        Self::new(own.next())
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).unwrap_or_default();
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    /// An id in the form of a UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }

    /// A place in a list of this length; 0 where it is empty.
    pub(crate) fn below(&mut self, length: usize) -> usize {
        // The remainder's bias is below 2⁻⁴⁰ for every list that fits into memory.
        usize::try_from(self.next() % (length.max(1) as u64)).unwrap_or_default()
    }
}

/// A number for a name, so that things with names differ under one seed: FNV-1a.
pub(crate) fn seed_of(seed: u64, name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(mut draw: Draw) -> Vec<u64> {
        std::iter::repeat_with(|| draw.next()).take(5).collect()
    }

    #[test]
    fn draws_depend_on_seed_and_number_alone() {
        assert_eq!(drawn(Draw::new(7)), drawn(Draw::new(7)));
        assert_ne!(drawn(Draw::new(7)), drawn(Draw::new(8)));
        assert_eq!(drawn(Draw::nth(7, 3)), drawn(Draw::nth(7, 3)));
        assert_ne!(drawn(Draw::nth(7, 3)), drawn(Draw::nth(7, 4)));
        assert_ne!(seed_of(7, "a"), seed_of(7, "b"));
    }

    #[test]
    fn draws_are_spread_evenly() {
        let mut draw = Draw::new(1);
        let mean = (0..10_000).map(|_| draw.unit()).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        let mut hits = [0; 5];
        (0..10_000).for_each(|_| hits[draw.below(5)] += 1);
        assert!(hits.iter().all(|hits| (1_800..2_200).contains(hits)), "{hits:?}");
        assert_eq!(draw.below(0), 0);
    }
}
