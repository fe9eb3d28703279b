//! Where a run writes: results on stdout, talk on stderr.
//!
//! A reader that went away (`… | head`) is not an error: what is left is dropped, and the run goes on to its exit code.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anstream::{AutoStream, ColorChoice};
use notifier::settings::Environment;

use crate::args::{Color, Format, Global};
use crate::failure::{Exit, Failure};
use crate::render::style::{ERROR, HINT, WARNING};
use crate::render::table::Table;

/// The narrowest terminal that is written for.
const COLUMNS_MIN: usize = 40;
/// The widest that a line of prose gets.
const PROSE_COLUMNS_MAX: usize = 110;

/// Both streams, and how to write to them.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) format: Format,
    pub(crate) verbose: u8,
    pub(crate) quiet: bool,
    out: BufWriter<UntilClosed<AutoStream<io::Stdout>>>,
    out_columns: Option<usize>,
    talk: Talk,
}

impl Console {
    pub(crate) fn new(global: &Global, environment: &Environment) -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let asked = environment.get("COLUMNS").and_then(|columns| columns.parse().ok());
        let columns = |size: Option<(terminal_size::Width, terminal_size::Height)>| {
            let terminal = size.map(|(width, _)| usize::from(width.0));
            asked.or(terminal).map(|columns: usize| columns.max(COLUMNS_MIN))
        };
        let (out_color, err_color) = (choice(global.color, &stdout), choice(global.color, &stderr));
        let err_size = terminal_size::terminal_size_of(&stderr);
        let dumb = environment.get("TERM") == Some("dumb");
        let watched = stderr.is_terminal() && !dumb && !global.quiet;
        let talk = Talk {
            columns: columns(err_size),
            room: err_size.filter(|_| watched).and_then(|(width, height)| {
                // Lines that the terminal would break could not be taken away again.
                let columns = asked.unwrap_or(usize::MAX).min(usize::from(width.0));
                (columns >= COLUMNS_MIN).then_some(Room { columns, rows: usize::from(height.0) })
            }),
            stream: Arc::new(Mutex::new(Screen {
                stream: AutoStream::new(stderr, err_color),
                block_lines: 0,
            })),
        };
        Self {
            format: global.format,
            verbose: global.verbose,
            quiet: global.quiet,
            out_columns: columns(terminal_size::terminal_size_of(&stdout)),
            out: BufWriter::new(UntilClosed::new(AutoStream::new(stdout, out_color))),
            talk,
        }
    }

    /// Columns of stdout; `None` where nobody looks at columns, as in a pipe.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.out_columns
    }

    /// Prose in lines that fit the stdout.
    pub(crate) fn prose(&self, text: &str) -> String {
        wrap(self.out_columns, text, "  ")
    }

    /// Where results go.
    pub(crate) fn out(&mut self) -> &mut impl Write {
        &mut self.out
    }

    /// Where talk goes.
    pub(crate) fn talk(&self) -> Talk {
        self.talk.clone()
    }

    /// Says something about the run, unless it is to be quiet.
    pub(crate) fn say(&mut self, text: &str) {
        if !self.quiet {
            let text = self.talk.wrap(text, "");
            self.speak(&format!("{text}\n"));
        }
    }

    /// Says something in columns, unless the run is to be quiet.
    pub(crate) fn say_table(&mut self, table: &Table) {
        if !self.quiet {
            let text = table.render(self.talk.columns);
            self.speak(&text);
        }
    }

    /// Warns, unless the run is to be quiet.
    pub(crate) fn warn(&mut self, text: &str) {
        self.say(&format!("{WARNING}warning:{WARNING:#} {text}"));
    }

    /// Says what to do next, unless the run is to be quiet.
    pub(crate) fn hint(&mut self, text: &str) {
        self.say(&format!("{HINT}hint:{HINT:#} {text}"));
    }

    /// Tells of a failure, even when the run is to be quiet.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        let Failure { message, causes, hint, .. } = failure;
        let mut text = self.talk.wrap(&format!("{ERROR}error:{ERROR:#} {message}"), "  ") + "\n";
        for cause in causes {
            // Some causes have lines of their own.
            let cause = cause.replace('\n', "\n    ");
            text += &(self.talk.wrap(&format!("  because: {cause}"), "    ") + "\n");
        }
        if let Some(hint) = hint {
            text += &(self.talk.wrap(&format!("{HINT}hint:{HINT:#} {hint}"), "  ") + "\n");
        }
        self.speak(&text);
    }

    /// Talks after what was written of the result, so that both streams in one file are in order.
    fn speak(&mut self, text: &str) {
        // A result that cannot be written is told of at the end.
        drop(self.out.flush());
        self.talk.write(text);
    }

    /// Makes sure that everything was written.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The stderr of a run, shared by whoever talks.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    stream: Arc<Mutex<Screen>>,
    columns: Option<usize>,
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
struct Screen {
    stream: AutoStream<io::Stderr>,
    /// Lines of the block that is drawn again and again, at the end of what was written.
    block_lines: usize,
}

impl Talk {
    fn wrap(&self, text: &str, indent: &str) -> String {
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

/// Prose in lines that fit a terminal of so many columns; later lines begin with `indent`.
fn wrap(columns: Option<usize>, text: &str, indent: &str) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    let options = textwrap::Options::new(columns.min(PROSE_COLUMNS_MAX))
        .subsequent_indent(indent)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    // Each line by itself, for text that brings its own.
    let lines: Vec<_> = text.split('\n').map(|line| textwrap::fill(line, &options)).collect();
    lines.join("\n")
}

/// Whether this stream gets colour: what was asked for, else what `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`, `TERM` and
/// the stream itself say.
fn choice(asked: Color, stream: &impl anstream::stream::RawStream) -> ColorChoice {
    match asked {
        Color::Auto => AutoStream::choice(stream),
        Color::Always => ColorChoice::AlwaysAnsi,
        Color::Never => ColorChoice::Never,
    }
}

/// The exit code after help was printed or a mistake was shown.
pub(crate) fn after_help(shown: &io::Result<()>, exit: Exit) -> Exit {
    match shown {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => exit,
    }
}

/// Drops what is written after the reader went away.
#[derive(Debug)]
pub(crate) struct UntilClosed<S> {
    stream: S,
    is_closed: bool,
}

impl<S> UntilClosed<S> {
    fn new(stream: S) -> Self {
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

    /// Takes so many writes, and then nobody reads any more.
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
