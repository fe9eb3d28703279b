//! A hash of texts that never changes.

/// The 32-bit FNV-1a hash of a text. It spreads well, and is the same in every version, which a standard hasher does not
/// guarantee. Not for hostile texts.
pub(crate) fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: the FNV-1a test vectors of the algorithm's authors.
    #[test]
    fn it_has_the_published_values() {
        assert_eq!([fnv1a(""), fnv1a("a"), fnv1a("foobar")], [0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968]);
    }
}
