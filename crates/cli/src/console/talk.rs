//! Stderr: lines, and below them a block that is drawn again and again.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anstream::AutoStream;

use super::wrap;

/// The stderr of a run, shared by whoever talks.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(super) stream: Arc<Mutex<Screen>>,
    pub(super) columns: Option<usize>,
    /// The room for lines that are drawn again and again; `None` where nobody watches.
    pub(crate) room: Option<Room>,
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

#[derive(Debug)]
pub(super) struct Screen {
    stream: AutoStream<io::Stderr>,
    /// Lines of the block that is drawn again and again, at the end of what was written.
    block_lines: usize,
}

impl Talk {
    pub(super) fn wrap(&self, text: &str, indent: &str) -> String {
        wrap(self.columns, text, indent)
    }

    /// Writes lines above the block.
    pub(crate) fn write(&self, text: &str) {
        let mut screen = self.screen();
        screen.erase();
        screen.put(text);
    }

    /// Draws the block, in the place of the one before.
    pub(crate) fn draw(&self, lines: &[String]) {
        let mut screen = self.screen();
        screen.erase();
        screen.put(&lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>());
        screen.block_lines = lines.len();
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Screen {
    pub(super) fn new(stream: AutoStream<io::Stderr>) -> Self {
        Self { stream, block_lines: 0 }
    }

    fn erase(&mut self) {
        if self.block_lines > 0 {
            // ECMA-48: cursor up to the start of a line, then erase to the end of the display. Past the stream, which
            // drops every escape where colour is not wanted. Nothing is kept back in it: `put` flushes.
            let lines = std::mem::take(&mut self.block_lines);
            drop(write!(io::stderr(), "\x1b[{lines}F\x1b[J"));
        }
    }

    /// Talk that cannot be written is dropped: there is nobody left to tell.
    fn put(&mut self, text: &str) {
        drop(self.stream.write_all(text.as_bytes()).and_then(|()| self.stream.flush()));
    }
}

impl Write for Talk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, &String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
