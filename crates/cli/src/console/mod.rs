//! Where a run writes: results on stdout, talk on stderr.
//!
//! A reader that went away (`… | head`) is not an error: what is left is dropped, and the run goes on to its exit code.

mod closed;
mod printable;
mod talk;

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
use talk::Screen;
pub(crate) use talk::{Room, Talk};

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
    pub(crate) progress: Progress,
    out: BufWriter<UntilClosed<Printable<AutoStream<io::Stdout>>>>,
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
        // The stream of a terminal without colour drops escape sequences. CSV has no colours of ours, and a program gets
        // it byte for byte; on a terminal, what others wrote into it is escaped.
        let is_csv = global.format == Format::Csv;
        let out_color = if is_csv { ColorChoice::AlwaysAnsi } else { choice(global.color, &stdout) };
        let escapes = is_csv && stdout.is_terminal();
        let err_color = choice(global.color, &stderr);
        // Escapes of ours are for terminals that obey them: there is no other way to draw on one.
        let has_styles = AutoStream::new(io::stderr(), err_color).current_choice() != ColorChoice::Never;
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

    /// Shows progress in this way from now on. Where it is JSON lines, all talk is.
    pub(crate) fn show_progress(&mut self, progress: Progress) {
        self.progress = progress;
        if progress != Progress::Auto {
            self.talk.room = None;
        }
    }

    /// Says something about the run, unless it is to be quiet.
    pub(crate) fn say(&mut self, text: &str) {
        self.tell("note", "", &printable_lines(text));
    }

    /// Says something that is to be copied, in lines that are as long as they are, unless the run is to be quiet.
    pub(crate) fn say_unwrapped(&mut self, text: &str) {
        if self.progress == Progress::Json {
            return self.say(text);
        }
        if !self.quiet {
            self.speak(&format!("{}\n", printable_lines(text)));
        }
    }

    /// Says something that was rendered, and so has colours of ours, unless the run is to be quiet.
    pub(crate) fn say_rendered(&mut self, text: &str) {
        self.tell("note", "", text);
    }

    /// Says something in columns, unless the run is to be quiet. It is for people alone.
    pub(crate) fn say_table(&mut self, table: &Table) {
        if !self.quiet && self.progress != Progress::Json {
            let text = table.render(self.talk.columns);
            self.speak(&text);
        }
    }

    /// Warns, unless the run is to be quiet.
    pub(crate) fn warn(&mut self, text: &str) {
        self.tell("warning", &format!("{WARNING}warning:{WARNING:#} "), &printable_lines(text));
    }

    /// Says what to do next, unless the run is to be quiet.
    pub(crate) fn hint(&mut self, text: &str) {
        self.tell("hint", &format!("{HINT}hint:{HINT:#} "), &printable_lines(text));
    }

    fn tell(&mut self, kind: &'static str, mark: &str, text: &str) {
        if self.quiet {
            return;
        }
        if self.progress == Progress::Json {
            // An empty line is for the eye.
            if !text.is_empty() {
                self.speak(&line(&Said { kind, text: &plain(text), because: &[], hint: None }));
            }
            return;
        }
        let text = self.talk.wrap(&format!("{mark}{text}"), "");
        self.speak(&format!("{text}\n"));
    }

    /// Tells of a failure, even when the run is to be quiet.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        let Failure { message, causes, hint, .. } = failure;
        if self.progress == Progress::Json {
            let hint = hint.as_deref();
            return self.speak(&line(&Said { kind: "error", text: message, because: causes, hint }));
        }
        let message = printable_lines(message);
        let mut text = self.talk.wrap(&format!("{ERROR}error:{ERROR:#} {message}"), "  ") + "\n";
        for cause in causes {
            // Some causes have lines of their own.
            let cause = printable_lines(cause).replace('\n', "\n    ");
            text += &(self.talk.wrap(&format!("  because: {cause}"), "    ") + "\n");
        }
        if let Some(hint) = hint {
            let hint = printable_lines(hint);
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

/// Talk as a JSON line.
#[derive(Serialize)]
struct Said<'a> {
    kind: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    because: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// A value as a JSON line. What cannot be written so is dropped, as talk is.
pub(crate) fn line(value: &impl Serialize) -> String {
    let mut line = Vec::new();
    json::line(&mut line, value).ok().and_then(|()| String::from_utf8(line).ok()).unwrap_or_default()
}

/// Text without its styles.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
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

/// Prints help, the version or a usage mistake, and returns the exit code.
///
/// The standard library keeps the last part of stdout back until the end of the process, where nobody hears that it could
/// not be written: so it is flushed here.
pub(crate) fn print_help(message: &clap::Error) -> Exit {
    match message.print().and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            // Stderr may be what cannot be written; then nobody is left to tell.
            drop(writeln!(io::stderr(), "error: the output cannot be written\n  because: {error}"));
            Exit::Failed
        }
        _ => Exit::of_usage(message),
    }
}
