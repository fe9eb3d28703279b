//! Output of a run: results on stdout, messages on stderr.
//!
//! A closed pipe (`… | head`) is not an error: the rest of the output is dropped, and the exit code is the usual one.

mod closed;
mod printable;
mod stderr;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use anstream::{AutoStream, ColorChoice};
use notifier::base::Environment;
use notifier::base::text::printable_lines;
use serde::Serialize;

use crate::args::{Color, Format, Global, Progress};
use crate::failure::{Exit, Failure};
use crate::render::json;
use crate::render::style::{ERROR, HINT, WARNING};
use crate::render::table::Table;

use closed::UntilClosed;
use printable::Printable;
use stderr::Screen;
pub(crate) use stderr::{Room, Stderr};

/// The narrowest terminal that is supported.
const COLUMNS_MIN: usize = 40;
/// The widest line of prose.
const PROSE_COLUMNS_MAX: usize = 110;

/// Both output streams.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) format: Format,
    pub(crate) verbose: u8,
    pub(crate) quiet: bool,
    pub(crate) progress: Progress,
    out: BufWriter<UntilClosed<Printable<AutoStream<io::Stdout>>>>,
    out_columns: Option<usize>,
    stderr: Stderr,
}

impl Console {
    pub(crate) fn new(global: &Global, environment: &Environment) -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let asked = environment.get("COLUMNS").and_then(|columns| columns.parse().ok());
        let columns = |size: Option<(terminal_size::Width, terminal_size::Height)>| {
            let terminal = size.map(|(width, _)| usize::from(width.0));
            asked.or(terminal).map(|columns: usize| columns.max(COLUMNS_MIN))
        };
        // A stream without colour drops escape sequences. CSV has no colours, and a pipe gets it byte for byte; on a
        // terminal, untrusted text in it is escaped.
        let is_csv = global.format == Format::Csv;
        let out_color = if is_csv { ColorChoice::AlwaysAnsi } else { choice(global.color, &stdout) };
        let escapes = is_csv && stdout.is_terminal();
        let err_color = choice(global.color, &stderr);
        // The live display needs a terminal that understands escape sequences.
        let has_styles = AutoStream::new(io::stderr(), err_color).current_choice() != ColorChoice::Never;
        let err_size = terminal_size::terminal_size_of(&stderr);
        let dumb = environment.get("TERM") == Some("dumb");
        let watched = stderr.is_terminal() && !dumb && !global.quiet;
        let shared = Stderr {
            columns: columns(err_size),
            room: err_size.filter(|_| watched).and_then(|(width, height)| {
                // Lines that the terminal wraps could not be erased.
                let columns = asked.unwrap_or(usize::MAX).min(usize::from(width.0));
                (columns >= COLUMNS_MIN).then_some(Room { columns, rows: usize::from(height.0) })
            }),
            stream: Arc::new(Mutex::new(Screen::new(stderr, has_styles))),
        };
        Self {
            format: global.format,
            verbose: global.verbose,
            quiet: global.quiet,
            progress: Progress::Auto,
            out_columns: columns(terminal_size::terminal_size_of(&stdout)),
            out: BufWriter::new(UntilClosed::new(Printable::new(
                AutoStream::new(stdout, out_color),
                escapes,
            ))),
            stderr: shared,
        }
    }

    /// Columns of stdout; `None` in a pipe.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.out_columns
    }

    /// Wraps prose to the width of stdout.
    pub(crate) fn prose(&self, text: &str) -> String {
        wrap(self.out_columns, text, "  ")
    }

    /// Stdout, for results.
    pub(crate) fn out(&mut self) -> &mut impl Write {
        &mut self.out
    }

    /// Stderr, for messages.
    pub(crate) fn stderr(&self) -> Stderr {
        self.stderr.clone()
    }

    /// Sets the form of progress. With JSON lines, all messages on stderr are JSON lines.
    pub(crate) fn show_progress(&mut self, progress: Progress) {
        self.progress = progress;
        if progress != Progress::Auto {
            self.stderr.room = None;
        }
    }

    /// Writes a note about the run, unless --quiet.
    pub(crate) fn note(&mut self, text: &str) {
        self.message("note", "", &printable_lines(text));
    }

    /// Writes a note that users may copy, without wrapping, unless --quiet.
    pub(crate) fn note_unwrapped(&mut self, text: &str) {
        if self.progress == Progress::Json {
            return self.note(text);
        }
        if !self.quiet {
            self.write(&format!("{}\n", printable_lines(text)));
        }
    }

    /// Writes a rendered note, which may have colours, unless --quiet.
    pub(crate) fn note_rendered(&mut self, text: &str) {
        self.message("note", "", text);
    }

    /// Writes a table for people, unless --quiet.
    pub(crate) fn show_table(&mut self, table: &Table) {
        if !self.quiet && self.progress != Progress::Json {
            let text = table.render(self.stderr.columns);
            self.write(&text);
        }
    }

    /// Writes a warning, unless --quiet.
    pub(crate) fn warn(&mut self, text: &str) {
        self.message("warning", &format!("{WARNING}warning:{WARNING:#} "), &printable_lines(text));
    }

    /// Writes what to do next, unless --quiet.
    pub(crate) fn hint(&mut self, text: &str) {
        self.message("hint", &format!("{HINT}hint:{HINT:#} "), &printable_lines(text));
    }

    fn message(&mut self, kind: &'static str, mark: &str, text: &str) {
        if self.quiet {
            return;
        }
        if self.progress == Progress::Json {
            // An empty line is only for people.
            if !text.is_empty() {
                self.write(&line(&Message { kind, text: &plain(text), because: &[], hint: None }));
            }
            return;
        }
        let text = self.stderr.wrap(&format!("{mark}{text}"), "");
        self.write(&format!("{text}\n"));
    }

    /// Writes an error, even with --quiet.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        let Failure { message, causes, hint, .. } = failure;
        if self.progress == Progress::Json {
            let hint = hint.as_deref();
            return self.write(&line(&Message { kind: "error", text: message, because: causes, hint }));
        }
        let message = printable_lines(message);
        let mut text = self.stderr.wrap(&format!("{ERROR}error:{ERROR:#} {message}"), "  ") + "\n";
        for cause in causes {
            // Some causes have several lines.
            let cause = printable_lines(cause).replace('\n', "\n    ");
            text += &(self.stderr.wrap(&format!("  because: {cause}"), "    ") + "\n");
        }
        if let Some(hint) = hint {
            let hint = printable_lines(hint);
            text += &(self.stderr.wrap(&format!("{HINT}hint:{HINT:#} {hint}"), "  ") + "\n");
        }
        self.write(&text);
    }

    /// Writes to stderr after the buffered results, so that both streams in one file are in order.
    fn write(&mut self, text: &str) {
        // `finish` reports a write error of stdout.
        drop(self.out.flush());
        self.stderr.write(text);
    }

    /// Flushes stdout.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A message as a JSON line.
#[derive(Serialize)]
struct Message<'a> {
    kind: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    because: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// A value as a JSON line; empty if it cannot be serialised.
pub(crate) fn line(value: &impl Serialize) -> String {
    let mut line = Vec::new();
    json::line(&mut line, value).ok().and_then(|()| String::from_utf8(line).ok()).unwrap_or_default()
}

/// Text without its styles.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Wraps prose to this number of columns; continuation lines begin with `indent`.
fn wrap(columns: Option<usize>, text: &str, indent: &str) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    let options = textwrap::Options::new(columns.min(PROSE_COLUMNS_MAX))
        .subsequent_indent(indent)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    // Each line is wrapped by itself.
    let lines: Vec<_> = text.split('\n').map(|line| textwrap::fill(line, &options)).collect();
    lines.join("\n")
}

/// Whether this stream gets colours: by the flag, else by `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`, `TERM` and the
/// stream itself.
fn choice(asked: Color, stream: &impl anstream::stream::RawStream) -> ColorChoice {
    match asked {
        Color::Auto => AutoStream::choice(stream),
        Color::Always => ColorChoice::AlwaysAnsi,
        Color::Never => ColorChoice::Never,
    }
}

/// Prints help, the version or a usage error, and returns the exit code.
///
/// The standard library flushes the rest of stdout at the end of the process and ignores errors, so it is flushed here.
pub(crate) fn print_help(message: &clap::Error) -> Exit {
    match message.print().and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            // An error of stderr itself cannot be reported.
            drop(writeln!(io::stderr(), "error: the output cannot be written\n  because: {error}"));
            Exit::Failed
        }
        _ => Exit::of_usage(message),
    }
}
