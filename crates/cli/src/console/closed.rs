//! A stream that ignores a closed pipe.

use std::io::{self, Write};

/// Drops all output after the reader has closed the pipe.
#[derive(Debug)]
pub(crate) struct UntilClosed<S> {
    stream: S,
    is_closed: bool,
}

impl<S> UntilClosed<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, is_closed: false }
    }

    fn unless_closed<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(instead)
            }
            other => other,
        }
    }
}

impl<S: Write> Write for UntilClosed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_closed {
            return Ok(bytes.len());
        }
        let result = self.stream.write(bytes);
        self.unless_closed(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        let result = self.stream.flush();
        self.unless_closed(result, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts this number of writes; then the pipe is closed.
    struct Reader(usize);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::Error::other("the disk is full"))
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is_one() {
        let mut out = UntilClosed::new(Reader(1));
        assert!(out.write_all(b"first").is_ok());
        assert!(out.flush().is_err());
        assert!(out.write_all(b"second").is_ok());
        assert!(out.flush().is_ok());
    }
}
