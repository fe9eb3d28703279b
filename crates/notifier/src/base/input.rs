//! Reads input up to a limit.

use std::io::{self, Read};

/// Reads a whole text of at most this many bytes. Counts bytes instead of the file's size, which is zero for pipes and
/// devices.
pub fn text(source: impl Read, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    let bytes = source.take(bytes_max.saturating_add(1)).read_to_string(&mut text)?;
    if bytes as u64 > bytes_max {
        return Err(io::Error::other(format!("it is larger than {bytes_max} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_largest_size_is_read_and_one_without_end_is_not() {
        assert_eq!(text(&b"1234"[..], 4).unwrap(), "1234");
        assert_eq!(text(&b"12345"[..], 4).unwrap_err().to_string(), "it is larger than 4 bytes");
        assert!(text(io::repeat(b' '), 1024).is_err());
    }
}
