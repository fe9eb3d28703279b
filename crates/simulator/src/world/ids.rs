//! Ids that look like AWS's and come out the same for the same fleet.

/// Makes ids from a seed and a name, so that one more service does not change the ids of the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    seed: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// 32 hexadecimal digits, as in task and container instance ids.
    pub(crate) fn long(self, name: &str) -> String {
        format!("{:016x}{:016x}", self.number(name, 0), self.number(name, 1))
    }

    /// 17 hexadecimal digits, as in `i-…` and `eni-…`.
    pub(crate) fn short(self, name: &str) -> String {
        self.long(name).chars().take(17).collect()
    }

    /// 19 decimal digits, as in `ecs-svc/…`.
    pub(crate) fn decimal(self, name: &str) -> String {
        format!("{:019}", self.number(name, 0) % 10_000_000_000_000_000_000)
    }

    /// 8-4-4-4-12 hexadecimal digits, as in attachment ids.
    pub(crate) fn uuid(self, name: &str) -> String {
        let (high, low) = (self.number(name, 0), self.number(name, 1));
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }

    /// FNV-1a over the name, spread by the `SplitMix64` finaliser.
    fn number(self, name: &str, part: u64) -> u64 {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ self.seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut mixed = hash.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(part + 1));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_depend_on_seed_and_name_alone() {
        assert_eq!(Ids::new(1).long("task/a"), Ids::new(1).long("task/a"));
        assert_ne!(Ids::new(1).long("task/a"), Ids::new(2).long("task/a"));
        let ids: HashSet<_> = (0..100_000).map(|n| Ids::new(1).short(&format!("task/{n}"))).collect();
        assert_eq!(ids.len(), 100_000);
    }

    #[test]
    fn ids_have_their_lengths() {
        let ids = Ids::new(7);
        assert_eq!((ids.long("a").len(), ids.short("a").len(), ids.decimal("a").len()), (32, 17, 19));
        assert_eq!(ids.uuid("a").split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }
}
