//! Stderr: lines, and below them a block that is redrawn.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{plain, wrap};

/// DEC private mode 2026, "synchronized output": a terminal that supports it shows everything between these at once;
/// others ignore them.
const FRAME_BEGINS: &str = "\x1b[?2026h";
const FRAME_ENDS: &str = "\x1b[?2026l";

/// The stderr of a run, shared by messages, logs and the live display.
#[derive(Clone, Debug)]
pub(crate) struct Stderr {
    pub(super) stream: Arc<Mutex<Screen<io::Stderr>>>,
    pub(super) columns: Option<usize>,
    /// The size of the terminal for the live display; `None` without a display.
    pub(crate) room: Option<Room>,
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// A stream that keeps the block at its end.
#[derive(Debug)]
pub(super) struct Screen<S> {
    stream: S,
    has_styles: bool,
    /// The block at the end of the stream.
    block: Vec<String>,
}

impl Stderr {
    pub(super) fn wrap(&self, text: &str, indent: &str) -> String {
        wrap(self.columns, text, indent)
    }

    /// Writes lines above the block.
    pub(crate) fn write(&self, text: &str) {
        self.screen().write(text);
    }

    /// Draws the block in place of the previous one.
    pub(crate) fn draw(&self, lines: Vec<String>) {
        self.screen().draw(lines);
    }

    fn screen(&self) -> MutexGuard<'_, Screen<io::Stderr>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Write> Screen<S> {
    /// Without styles, escape sequences in text are dropped.
    pub(super) fn new(stream: S, has_styles: bool) -> Self {
        Self { stream, has_styles, block: Vec::new() }
    }

    fn write(&mut self, text: &str) {
        if self.block.is_empty() {
            let text = self.styled(text);
            return self.put(&text);
        }
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let block = std::mem::take(&mut self.block);
        self.replace(block.len(), &format!("{text}{end}"), block);
    }

    fn draw(&mut self, lines: Vec<String>) {
        let before = self.block.len();
        if before > 0 || !lines.is_empty() {
            self.replace(before, "", lines);
        }
    }

    /// Erases this number of lines, and writes the text and the block in their place: in one write, so that the block
    /// does not flicker.
    fn replace(&mut self, lines: usize, text: &str, block: Vec<String>) {
        let mut out = FRAME_BEGINS.to_owned();
        if lines > 0 {
            // ECMA-48: cursor up to the start of a line, then erase to the end of the display. Writing to a `String`
            // cannot fail.
            let _ = write!(out, "\x1b[{lines}F\x1b[J");
        }
        out += &self.styled(text);
        for line in &block {
            out += &self.styled(line);
            out.push('\n');
        }
        out += FRAME_ENDS;
        self.block = block;
        self.put(&out);
    }

    fn styled(&self, text: &str) -> String {
        if self.has_styles { text.to_owned() } else { plain(text) }
    }

    /// Write errors of stderr are ignored: they cannot be reported anywhere.
    fn put(&mut self, text: &str) {
        drop(self.stream.write_all(text.as_bytes()).and_then(|()| self.stream.flush()));
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, &String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records each write separately.
    #[derive(Default)]
    struct Writes(Vec<String>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn block(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn after_every_write_the_block_stands_at_the_end() {
        let mut screen = Screen::new(Writes::default(), true);
        screen.write("before\n");
        screen.draw(block(&["bar", "total"]));
        screen.write("a line\n");
        screen.write("half a line");
        screen.draw(block(&["total 2"]));
        screen.draw(Vec::new());
        screen.draw(Vec::new());
        screen.write("after\n");
        assert_eq!(
            screen.stream.0,
            [
                "before\n",
                "\x1b[?2026hbar\ntotal\n\x1b[?2026l",
                "\x1b[?2026h\x1b[2F\x1b[Ja line\nbar\ntotal\n\x1b[?2026l",
                "\x1b[?2026h\x1b[2F\x1b[Jhalf a line\nbar\ntotal\n\x1b[?2026l",
                "\x1b[?2026h\x1b[2F\x1b[Jtotal 2\n\x1b[?2026l",
                "\x1b[?2026h\x1b[1F\x1b[J\x1b[?2026l",
                "after\n",
            ]
        );
    }

    #[test]
    fn without_styles_only_those_of_the_text_are_dropped() {
        let mut screen = Screen::new(Writes::default(), false);
        screen.write("\x1b[1mbold\x1b[0m\n");
        screen.draw(block(&["\x1b[2mdim\x1b[0m"]));
        screen.draw(block(&["dim"]));
        assert_eq!(
            screen.stream.0,
            ["bold\n", "\x1b[?2026hdim\n\x1b[?2026l", "\x1b[?2026h\x1b[1F\x1b[Jdim\n\x1b[?2026l"]
        );
    }
}
