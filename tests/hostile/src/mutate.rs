//! Mutations of bytes that often expose parser bugs. The same seed makes the same mutations.

use fastrand::Rng;

/// Maximum number of changes of one input.
const CHANGES_MAX: usize = 8;
/// Maximum size of a mutated input, in bytes.
const BYTES_MAX: usize = 64 * 1024;

/// Byte sequences with a special meaning for some parser.
const TOKENS: [&[u8]; 32] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\n",
    b"\r\n",
    b"\0",
    b"\x1b[2J",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\\u0000",
    b"\\ud800",
    b"//",
    b"@",
    b"%00",
    b"<![CDATA[",
    b"&x;",
    b"<item>",
    b"</item>",
    b"::ffff:",
    b"\xe2\x80\xae",
    b"9999999999",
];

/// Returns a mutation of one of the seeds.
pub fn mutated(seeds: &[&[u8]], rng: &mut Rng) -> Vec<u8> {
    let pick = |rng: &mut Rng| seeds.get(rng.usize(..seeds.len().max(1))).copied().unwrap_or_default();
    let mut bytes = pick(rng).to_vec();
    for _ in 0..rng.usize(1..=CHANGES_MAX) {
        let (at, to) = (rng.usize(..=bytes.len()), rng.usize(..=bytes.len()));
        let (at, to) = (at.min(to), at.max(to));
        match rng.u8(..8) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.u8(..8);
                }
            }
            1 => bytes.insert(at, rng.u8(..)),
            2 => drop(bytes.drain(at..to)),
            3 => {
                let part = bytes.get(at..to).unwrap_or_default().to_vec();
                splice(&mut bytes, at, &part);
            }
            4 => bytes.truncate(at),
            5 => {
                let other = pick(rng);
                let start = rng.usize(..=other.len());
                splice(&mut bytes, at, other.get(start..).unwrap_or_default());
            }
            _ => splice(&mut bytes, at, TOKENS.get(rng.usize(..TOKENS.len())).copied().unwrap_or_default()),
        }
        bytes.truncate(BYTES_MAX);
    }
    bytes
}

fn splice(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    bytes.splice(at..at, part.iter().copied());
}
