//! JSON that is safe to print: JSON itself escapes only ASCII control characters below the space.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Writes a value as one line, with all control characters escaped.
pub(crate) fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Printable))?;
    out.write_all(b"\n")
}

/// Escapes control characters, and characters that change the direction of text.
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        for part in fragment.split_inclusive(commands) {
            let mut chars = part.chars();
            match chars.next_back().filter(|c| commands(*c)) {
                // None of them is past U+FFFF.
                Some(c) => write!(out, "{}\\u{:04x}", chars.as_str(), u32::from(c))?,
                None => out.write_all(part.as_bytes())?,
            }
        }
        Ok(())
    }
}

/// Source of the ranges: Unicode Technical Report 36, "Bidirectional Text Spoofing".
fn commands(c: char) -> bool {
    c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_reads_back_and_commands_nothing(text in "[a\"\\\\\0\u{1b}\u{7f}\u{9b}é\u{202e}\u{2066}😀\n]{0,9}") {
            let mut out = Vec::new();
            line(&mut out, &[&text]).unwrap();
            let written = String::from_utf8(out).unwrap();
            prop_assert!(!written.trim_end_matches('\n').contains(commands), "{written:?}");
            prop_assert_eq!(serde_json::from_str::<[String; 1]>(&written).unwrap(), [text]);
        }
    }
}
