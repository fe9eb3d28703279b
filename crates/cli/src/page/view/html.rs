//! HTML text. Pure.
//!
//! Markup is `'static` text of this program; every other text is escaped by [`Html::text`]. There is no third way in.

use std::fmt::{self, Display, Write as _};

/// A piece of HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    /// Adds markup of this program.
    pub(crate) fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Adds any text, escaped for element content and for quoted attributes.
    ///
    /// Control characters and characters that change the direction of text are written as in `\u{202e}`, so that a text
    /// cannot pose as another.
    pub(crate) fn text(&mut self, text: impl Display) {
        // Writing to a `String` cannot fail.
        let _ = write!(Escaped(&mut self.0), "{text}");
    }

    /// Adds another piece.
    pub(crate) fn push(&mut self, piece: &Self) {
        self.0.push_str(&piece.0);
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' => self.0.push('\n'),
                c if is_command(c) => write!(self.0, "\\u{{{:x}}}", u32::from(c))?,
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Control characters, and those that set the direction of text.
///
/// Source of the ranges: Unicode Technical Report 36, "Bidirectional Text Spoofing".
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// Adds markup and, in brackets, texts: `put!(html, "<td>" [name] "</td>")`.
macro_rules! put {
    ($html:expr $(,)?) => {};
    ($html:expr, $markup:literal $($rest:tt)*) => {{ $html.raw($markup); $crate::page::view::html::put!($html, $($rest)*); }};
    ($html:expr, [$text:expr] $($rest:tt)*) => {{ $html.text(&$text); $crate::page::view::html::put!($html, $($rest)*); }};
}
pub(crate) use put;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut html = Html::default();
        html.text(text);
        html.into_string()
    }

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(
            escaped("<script>alert('1')</script>&\""),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;"
        );
        assert_eq!(escaped("a\u{202e}b\u{1b}[2J\0"), "a\\u{202e}b\\u{1b}[2J\\u{0}");
        assert_eq!(escaped("Grüße 😀\nשלום"), "Grüße 😀\nשלום");
    }

    proptest! {
        #[test]
        fn no_text_opens_markup_ends_an_attribute_or_changes_direction(
            text in "([<>&\"'/=` a-z\\\\\0\u{1b}\u{85}\u{202e}\u{2066}é😀\n]|.){0,40}"
        ) {
            let html = escaped(&text);
            prop_assert!(!html.contains(['<', '>', '"', '\'']), "{html}");
            prop_assert!(!html.contains(|c| c != '\n' && is_command(c)), "{html:?}");
            for (at, _) in html.match_indices('&') {
                let rest = html.get(at..).unwrap();
                let entity = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"].iter().any(|one| rest.starts_with(one));
                prop_assert!(entity, "{html}");
            }
            let back = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
            let back = back.replace("&amp;", "&");
            let plain: String = text.chars().filter(|c| *c == '\n' || !is_command(*c)).collect();
            if plain == text {
                prop_assert_eq!(back, text);
            }
        }
    }
}
