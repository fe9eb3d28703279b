//! The forms: a token to log in, a cancellation to confirm, and pages that only say something.

use super::html::{Html, put};
use super::{Updates, page};
use crate::page::feed::Snapshot;
use crate::page::query::Filter;
use crate::page::view::broadcast::sentence;

/// The page for somebody without a session. `is_wrong`: a token was given, and it is not the right one.
pub(crate) fn log_in(is_wrong: bool) -> String {
    let mut html = Html::default();
    html.raw("<h1>Token</h1>\n<p id=\"login-status\" role=\"status\">");
    html.raw(if is_wrong {
        "This is not the token."
    } else {
        "This page needs the token that the command printed."
    });
    html.raw(
        "</p>\n<form class=\"login\" method=\"post\" action=\"login\"><label>Token \
        <input type=\"password\" name=\"token\" required autocomplete=\"off\" maxlength=\"1000\"></label> \
        <button type=\"submit\">Open</button></form>\n",
    );
    page("Token", &Updates::None, &html)
}

/// The question before a cancellation.
pub(crate) fn cancel(snapshot: &Snapshot, wrong: Option<&str>) -> String {
    let id = snapshot.recorded.report.broadcast();
    let mut html = Html::default();
    put!(html, "<h1>Cancel broadcast</h1>\n<p>" [sentence(snapshot)] "</p>\n");
    html.raw(
        "<p>Containers that have not been called are not called any more. Calls in flight continue. \
        This cannot be undone.</p>\n",
    );
    if let Some(wrong) = wrong {
        put!(html, "<p class=\"wrong\" role=\"alert\">" [wrong] "</p>\n");
    }
    put!(html, "<p>The id is <span class=\"id\">" [id] "</span></p>\n<form class=\"cancel\" method=\"post\" action=\"");
    put!(html, [Filter::default().link("cancel", id, 1)] "\">");
    html.raw("<label>Type the id to confirm <input type=\"text\" name=\"confirm\" required autocomplete=\"off\" maxlength=\"256\"></label>\n\
        <label>Reason, for the report <input type=\"text\" name=\"reason\" autocomplete=\"off\" maxlength=\"500\"></label>\n\
        <button type=\"submit\">Cancel the broadcast</button></form>\n");
    put!(html, "<p><a href=\"" [Filter::default().link("broadcast", id, 1)] "\">Back without a change</a></p>\n");
    page("Cancel broadcast", &Updates::None, &html)
}

/// A page with one message.
pub(crate) fn message(title: &str, text: &str) -> String {
    let mut html = Html::default();
    put!(html, "<h1>" [title] "</h1>\n<p>" [text] "</p>\n<p><a href=\"./\">All broadcasts</a></p>\n");
    page(title, &Updates::None, &html)
}
