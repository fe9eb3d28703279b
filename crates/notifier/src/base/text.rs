//! Makes untrusted text printable. Pure.

use std::any::Any;
use std::error::Error;

/// The most characters of a quoted text in an error.
const QUOTED_CHARS_MAX: usize = 80;
/// The most characters of one line about an error: its causes may quote an answer of AWS.
const LINE_CHARS_MAX: usize = 2_000;
/// Longer names are not compared: the cost grows with the product of both lengths.
const NEAR_CHARS_MAX: usize = 255;
/// Letters that may be missing, added, wrong or swapped in a misspelt name; one in three at most.
const NEAR_EDITS_MAX: usize = 2;

/// The text with control characters escaped, cut to a number of characters.
///
/// Control characters, including line ends, and characters that change the direction of text are escaped, as in
/// `\u{1b}`. Quotation marks stay, so that quoted text stays readable.
pub fn printable(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    for c in text.chars().take(chars_max) {
        match c {
            '"' | '\'' | '\\' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}

/// A short text for quotation marks in an error: printable, and cut.
pub(crate) fn quoted(text: &str) -> String {
    let mut out: String = text.chars().take(QUOTED_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

/// Whether this has letters, digits and hyphens only, as ids and regions have.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The name that a misspelt one most probably means; `None` when it is like none of them, or is one of them. A number is
/// no misspelt other number.
pub fn near<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = wrong.len();
    let is_number = wrong.bytes().all(|byte| byte.is_ascii_digit());
    let edits_max = if is_number { 0 } else { NEAR_EDITS_MAX.min(length / 3) };
    let edits = |name: &'a str| {
        let is_comparable =
            length.max(name.len()) <= NEAR_CHARS_MAX && length.abs_diff(name.len()) <= edits_max;
        is_comparable.then(|| strsim::osa_distance(wrong, name))
    };
    let nearest = names.into_iter().filter_map(|name| Some((edits(name)?, name))).min();
    nearest.filter(|(edits, _)| (1..=edits_max).contains(edits)).map(|(_, name)| name)
}

/// The text with control characters escaped, except line feeds.
pub fn printable_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(|line| printable(line, usize::MAX)).collect();
    lines.join("\n")
}

/// An error and its causes as one printable line.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors include the text of their cause.
        if !line.ends_with(&said) {
            line.push_str(": ");
            line.push_str(&said);
        }
        cause = error.source();
    }
    printable(&line, LINE_CHARS_MAX)
}

/// The text of a panic.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_means_the_one_that_differs_in_a_letter_or_two() {
        let names = ["checkout", "search", "web", "503"];
        for (wrong, meant) in [
            ("chekout", Some("checkout")),
            ("serach", Some("search")),
            ("wed", Some("web")),
            ("checkout", None),
            ("audit", None),
            ("we", None),
            ("502", None),
            ("", None),
        ] {
            assert_eq!(near(wrong, names), meant, "{wrong}");
        }
        assert_eq!(near(&"x".repeat(100_000), ["x"]), None);
    }

    #[test]
    fn what_commands_a_terminal_is_written_out_and_the_rest_is_left() {
        for (text, shown) in [
            ("role \"a\" of 'b' \\ für é", "role \"a\" of 'b' \\ für é"),
            ("\u{1b}[2J\u{202e}\0\r\n", r"\u{1b}[2J\u{202e}\0\r\n"),
        ] {
            assert_eq!(printable(text, 99), shown);
        }
        assert_eq!(printable("äöü", 2), "äö");
        assert_eq!(printable_lines("a\n\u{9b}b\r\n"), "a\n\\u{9b}b\\r\n");
    }
}
