//! Aligned columns that fit the terminal: the last one wraps, the others are cut if necessary.

use std::fmt::Write as _;

use anstyle::Style;
use notifier::base::text::printable;
use textwrap::core::display_width;

use super::style::PLAIN;

/// Spaces between columns.
const GAP: usize = 2;
/// The narrowest column.
const COLUMN_MIN: usize = 8;
/// The narrowest last column; with less room, it gets separate lines.
const LAST_MIN: usize = 24;

/// Text in one style. Control characters in the text are escaped.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: printable(&text.into(), usize::MAX), style }
    }

    fn styled(&self, text: &str) -> String {
        let style = self.style;
        if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, PLAIN)
    }
}

/// Rows in order. Rows of the same level share their columns.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<(usize, Vec<Cell>)>,
}

impl Table {
    /// Adds a row; each level is indented by two more columns.
    pub(crate) fn row(&mut self, level: usize, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push((level, cells.into_iter().collect()));
    }

    /// The width of this level's rows if nothing is cut.
    pub(crate) fn width(&self, level: usize) -> usize {
        let (widths, last) = self.widths(level);
        level * 2 + widths.iter().map(|width| width + GAP).sum::<usize>() + last
    }

    /// The rows as lines; `columns` is the width of the terminal, if there is one.
    pub(crate) fn render(&self, columns: Option<usize>) -> String {
        let levels = self.rows.iter().map(|(level, _)| level + 1).max().unwrap_or_default();
        let layouts: Vec<_> = (0..levels).map(|level| self.layout(level, columns)).collect();
        let mut out = String::new();
        for (level, cells) in &self.rows {
            if let Some(layout) = layouts.get(*level) {
                layout.write(cells, &mut out);
            }
        }
        out
    }

    /// The widths of all columns but the last, and of the last.
    fn widths(&self, level: usize) -> (Vec<usize>, usize) {
        let mut widths = Vec::<usize>::new();
        let mut last = 0;
        for (_, cells) in self.rows.iter().filter(|(of, _)| *of == level) {
            let Some((end, others)) = cells.split_last() else { continue };
            last = last.max(display_width(&end.text));
            widths.resize(widths.len().max(others.len()), 0);
            for (width, cell) in widths.iter_mut().zip(others) {
                *width = (*width).max(display_width(&cell.text));
            }
        }
        (widths, last)
    }

    fn layout(&self, level: usize, columns: Option<usize>) -> Layout {
        let (mut widths, last) = self.widths(level);
        let indent = level * 2;
        let taken = |widths: &[usize]| indent + widths.iter().map(|width| width + GAP).sum::<usize>();
        let mut last_width = None;
        if let Some(columns) = columns {
            // The columns that do not wrap must fit: the widest is cut first.
            while taken(&widths) > columns
                && let Some(widest) = widths.iter_mut().max().filter(|width| **width > COLUMN_MIN)
            {
                *widest -= 1;
            }
            let left = columns.saturating_sub(taken(&widths));
            last_width = Some(left).filter(|left| last > *left);
        }
        Layout { indent, widths, columns, last_width }
    }
}

/// The columns of one level.
struct Layout {
    indent: usize,
    widths: Vec<usize>,
    columns: Option<usize>,
    /// The width of the last column if it must wrap.
    last_width: Option<usize>,
}

impl Layout {
    fn write(&self, cells: &[Cell], out: &mut String) {
        let Some((last, others)) = cells.split_last() else { return };
        let mut line = " ".repeat(self.indent);
        let mut start = self.indent;
        for (cell, width) in others.iter().zip(&self.widths) {
            let text = cut(&cell.text, *width);
            let padding = " ".repeat(width + GAP - display_width(&text));
            // Writing to a `String` cannot fail.
            let _ = write!(line, "{}{padding}", cell.styled(&text));
            start += width + GAP;
        }
        match (self.last_width, self.columns) {
            (Some(width), Some(columns)) if width < LAST_MIN => {
                let start = self.indent + 4;
                push(out, &line);
                for part in wrapped(&last.text, columns.saturating_sub(start)) {
                    push(out, &format!("{}{}", " ".repeat(start), last.styled(&part)));
                }
            }
            (Some(width), _) => {
                for (number, part) in wrapped(&last.text, width).iter().enumerate() {
                    let before = if number == 0 { line.clone() } else { " ".repeat(start) };
                    push(out, &format!("{before}{}", last.styled(part)));
                }
            }
            (None, _) => push(out, &format!("{line}{}", last.styled(&last.text))),
        }
    }
}

/// Adds a line without white space at its end.
fn push(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let options = textwrap::Options::new(width.max(COLUMN_MIN));
    let lines = textwrap::wrap(text, options.word_splitter(textwrap::WordSplitter::NoHyphenation));
    lines.into_iter().map(std::borrow::Cow::into_owned).collect()
}

/// Cuts a text that does not fit, and marks the cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if display_width(&out) + display_width(c.encode_utf8(&mut [0; 4])) >= width {
            break;
        }
        out.push(c);
    }
    out + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(usize, &[&str])]) -> Table {
        let mut table = Table::default();
        for (level, cells) in rows {
            table.row(*level, cells.iter().map(|cell| Cell::from(*cell)));
        }
        table
    }

    #[test]
    fn rows_of_a_level_share_their_columns() {
        let table = table(&[
            (0, &["checkout", "3 of 3 notified"]),
            (1, &["failed", "10.0.0.1:80", "no answer"]),
            (0, &["a", "1 of 1 notified"]),
            (1, &["skipped", "-", "network mode"]),
        ]);
        insta::assert_snapshot!(table.render(None), @r"
        checkout  3 of 3 notified
          failed   10.0.0.1:80  no answer
        a         1 of 1 notified
          skipped  -            network mode
        ");
    }

    #[test]
    fn the_last_column_wraps_and_gets_its_own_lines_where_it_is_narrow() {
        let table = table(&[(0, &["0123456789", "words that go on and on until the line is full of them"])]);
        insta::assert_snapshot!(table.render(Some(44)), @r"
        0123456789  words that go on and on until
                    the line is full of them
        ");
        insta::assert_snapshot!(table.render(Some(32)), @r"
        0123456789
            words that go on and on
            until the line is full of
            them
        ");
    }

    #[test]
    fn columns_that_do_not_fit_are_cut_the_widest_first() {
        let table = table(&[(0, &["a-service-with-a-long-name", "short", "x"])]);
        assert_eq!(table.render(Some(26)), "a-service-with-a…  short\n    x\n");
        assert_eq!(cut("ünïcödé", 4), "ünï…");
        assert_eq!(cut("日本語", 4), "日…");
    }

    #[test]
    fn nothing_is_cut_in_a_pipe() {
        let long = "x".repeat(300);
        assert_eq!(table(&[(0, &[&long, &long])]).render(None).trim_end().len(), 602);
    }
}
