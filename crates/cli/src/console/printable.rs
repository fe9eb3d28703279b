//! A stream that escapes control characters.

use std::io::{self, Write};

use notifier::base::text::printable_lines;

/// Escapes control characters if `escapes` is set, and copies everything else. Line feeds stay.
#[derive(Debug)]
pub(super) struct Printable<S> {
    stream: S,
    escapes: bool,
    /// The first bytes of an incomplete character.
    partial: Vec<u8>,
}

impl<S> Printable<S> {
    pub(super) fn new(stream: S, escapes: bool) -> Self {
        Self { stream, escapes, partial: Vec::new() }
    }
}

impl<S: Write> Write for Printable<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.escapes {
            return self.stream.write(bytes);
        }
        self.partial.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.partial) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.partial.len(),
        };
        let whole: Vec<u8> = self.partial.drain(..whole).collect();
        self.stream.write_all(printable_lines(&String::from_utf8_lossy(&whole)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of this text, written byte by byte.
    fn written(escapes: bool, text: &str) -> String {
        let mut out = Vec::new();
        let mut stream = Printable::new(&mut out, escapes);
        for byte in text.as_bytes() {
            stream.write_all(&[*byte]).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn control_characters_are_escaped_only_where_that_is_asked_for() {
        let text = "a,\u{1b}[2J,\u{9b}é\n\"two\r\nlines\"\n";
        assert_eq!(written(true, text), "a,\\u{1b}[2J,\\u{9b}é\n\"two\\r\nlines\"\n");
        assert_eq!(written(false, text), text);
    }
}
