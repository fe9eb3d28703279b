//! Finds secrets in text, in every encoding that a program could write.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Number of bytes of a secret that count as a leak.
pub const PIECE: usize = 12;

/// Returns every encoding of every piece of each secret.
pub fn needles(secrets: &[&[u8]]) -> Vec<String> {
    secrets.iter().flat_map(|secret| secret.chunks_exact(PIECE)).flat_map(forms).collect()
}

/// A piece as text, in hexadecimal, in Base64 at each of the three alignments, as numbers, and escaped for URLs.
fn forms(piece: &[u8]) -> Vec<String> {
    let hex =
        |between: &str| piece.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(between);
    let numbers: Vec<String> = piece.iter().map(u8::to_string).collect();
    let mut forms = vec![
        hex(""),
        hex("").to_lowercase(),
        format!("%{}", hex("%")),
        numbers.join(", "),
        numbers.join(","),
    ];
    forms.extend(String::from_utf8(piece.to_vec()));
    for before in 0..3 {
        let shifted = [&vec![0; before], piece].concat();
        for engine in [STANDARD, URL_SAFE] {
            let text = engine.encode(&shifted);
            // The groups at the ends also contain bits of the neighbouring bytes.
            let inner = text.get(if before == 0 { 0 } else { 4 }..shifted.len() / 3 * 4).unwrap();
            let escaped = inner.replace('+', "%2B").replace('/', "%2F");
            forms.extend([inner.to_owned(), escaped]);
        }
    }
    forms
}

/// Returns the needles that the text contains.
pub fn found<'n>(needles: &'n [String], text: &str) -> Vec<&'n String> {
    needles.iter().filter(|needle| text.contains(needle.as_str())).collect()
}
