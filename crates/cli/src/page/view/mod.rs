//! The pages as HTML. Pure: every function gets what it shows.

mod answers;
pub(crate) mod broadcast;
mod chart;
mod filter;
pub(crate) mod forms;
pub(crate) mod html;
pub(crate) mod list;
mod rows;
pub(crate) mod task;
mod waves;

use std::time::Duration;

use notifier::model::Outcome;
use notifier::report::Counts;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::page::feed::Snapshot;
use crate::page::query::Filter;
use crate::render::format::digits;
use html::{Html, put};

pub(crate) const CSS: &str = include_str!("../assets/page.css");
pub(crate) const JS: &str = include_str!("../assets/page.js");

/// The outcomes in the order of bars: the good ones first, pending last.
const OUTCOMES: [Option<Outcome>; 6] = [
    Some(Outcome::Delivered),
    Some(Outcome::Gone),
    Some(Outcome::Skipped),
    Some(Outcome::Rejected),
    Some(Outcome::Failed),
    None,
];
/// Services with a bar of their own. The table has the containers of all.
const SERVICES_MAX: usize = 200;
/// The most characters of a text from outside, such as a reason.
const TEXT_CHARS_MAX: usize = 1_000;

/// What updates a page while it is open.
pub(crate) enum Updates {
    None,
    /// The address of a stream that says when something has changed.
    Stream(String),
    /// Load it again after some seconds.
    Every(u64),
}

/// What a page of one broadcast shows.
pub(crate) struct View<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) filter: &'a Filter,
    /// From 1.
    pub(crate) number: usize,
    pub(crate) has_actions: bool,
    pub(crate) has_redrive: bool,
}

/// A whole page.
pub(crate) fn page(title: &str, updates: &Updates, content: &Html) -> String {
    let mut html = Html::default();
    head(&mut html, title);
    html.raw(
        "<link rel=\"stylesheet\" href=\"page.css\"><script src=\"page.js\" defer></script></head>\n<body>",
    );
    html.raw("<a class=\"skip\" href=\"#main\">Skip to the content</a>");
    html.raw("<header><nav aria-label=\"Site\"><a href=\"./\">ecs-task-notifier</a></nav></header>\n<main id=\"main\" tabindex=\"-1\"");
    match updates {
        Updates::None => {}
        Updates::Stream(address) => put!(html, " data-stream=\"" [address] "\""),
        Updates::Every(seconds) => put!(html, " data-every-s=\"" [seconds] "\""),
    }
    html.raw(">\n");
    html.push(content);
    html.raw("</main>\n</body></html>\n");
    html.into_string()
}

/// A page in one file: with its style, without scripts or links to other pages.
pub(crate) fn file(title: &str, content: &Html) -> String {
    let mut html = Html::default();
    head(&mut html, title);
    html.raw("<style>");
    html.raw(CSS);
    html.raw("</style></head>\n<body>\n<main id=\"main\">\n");
    html.push(content);
    html.raw("</main>\n</body></html>\n");
    html.into_string()
}

fn head(html: &mut Html, title: &str) {
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">");
    put!(html, "<title>" [title] "</title>");
}

/// The word of an outcome.
fn word(outcome: Option<Outcome>) -> &'static str {
    outcome.map_or("pending", Outcome::as_str)
}

/// The class of an outcome, which has its colour.
fn class(outcome: Option<Outcome>) -> &'static str {
    word(outcome)
}

/// `8 delivered, 1 failed`.
fn counts_text(counts: Counts) -> String {
    let there = OUTCOMES.into_iter().filter(|outcome| counts.of(*outcome) > 0);
    let parts: Vec<_> =
        there.map(|outcome| format!("{} {}", digits(counts.of(outcome)), word(outcome))).collect();
    if parts.is_empty() { "no container".to_owned() } else { parts.join(", ") }
}

/// A bar of outcomes with its figures.
fn outcome_bar(html: &mut Html, counts: Counts) {
    chart::outcomes(html, counts);
    put!(html, "<span class=\"figures\">" [counts_text(counts)] "</span>");
}

/// A time, to the second in UTC.
fn moment(html: &mut Html, time: OffsetDateTime) {
    let text = time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default();
    instant(html, &text);
}

/// The same for a time as RFC 3339 writes it.
fn instant(html: &mut Html, text: &str) {
    let shown = text.replacen('T', " ", 1).replacen('Z', " UTC", 1);
    put!(html, "<time datetime=\"" [text] "\">" [shown] "</time>");
}

/// `12 s`, `3 min 20 s`, `2 h 5 min`.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => "under 1 s".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// A link, or only its text.
fn anchor(html: &mut Html, link: Option<&str>, text: &str) {
    match link {
        Some(link) => put!(html, "<a href=\"" [link] "\">" [text] "</a>"),
        None => html.text(text),
    }
}

/// Text from outside, cut where it is very long.
fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}… (cut)", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_words_with_units() {
        assert_eq!(
            counts_text(Counts { delivered: 1_200, pending: 1, ..Counts::default() }),
            "1,200 delivered, 1 pending"
        );
        assert_eq!(counts_text(Counts::default()), "no container");
        let spans = [0, 59, 60, 3_725].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["under 1 s", "59 s", "1 min 0 s", "1 h 2 min"]);
        assert_eq!(cut(&"ä".repeat(1_001)), format!("{}… (cut)", "ä".repeat(1_000)));
    }
}
