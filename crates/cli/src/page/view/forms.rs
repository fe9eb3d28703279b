//! The forms: a token to log in, an action to confirm, and pages that only say something.

use super::html::{Html, put};
use super::{Updates, cut, page};
use crate::page::feed::Snapshot;
use crate::page::query::Filter;
use crate::page::redrive::{Moved, Run};
use crate::page::view::broadcast::sentence;
use crate::render::format::count;

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

/// The question before the pause after a wave is ended.
pub(crate) fn go_on(snapshot: &Snapshot, wave: u16, wrong: Option<&str>) -> String {
    let id = snapshot.recorded.report.broadcast();
    let mut html = Html::default();
    put!(html, "<h1>Continue broadcast</h1>\n<p>" [sentence(snapshot)] "</p>\n");
    put!(html, "<p>The pause after wave " [wave] " ends, and the next wave begins. This cannot be undone.</p>\n");
    if snapshot.is_continued {
        html.raw("<p>It was ended before; the next wave has not begun yet.</p>\n");
    }
    if let Some(wrong) = wrong {
        put!(html, "<p class=\"wrong\" role=\"alert\">" [wrong] "</p>\n");
    }
    put!(html, "<p>The id is <span class=\"id\">" [id] "</span></p>\n<form class=\"cancel\" method=\"post\" action=\"");
    put!(html, [Filter::default().link("continue", id, 1)] "\"><input type=\"hidden\" name=\"wave\" value=\"" [wave] "\">");
    html.raw("<label>Type the id to confirm <input type=\"text\" name=\"confirm\" required autocomplete=\"off\" maxlength=\"256\"></label>\n\
        <button type=\"submit\">Continue the broadcast</button></form>\n");
    put!(html, "<p><a href=\"" [Filter::default().link("broadcast", id, 1)] "\">Back without a change</a></p>\n");
    page("Continue broadcast", &Updates::None, &html)
}

/// The question before a redrive, with the result of the latest one of this broadcast.
pub(crate) fn redrive(snapshot: &Snapshot, wrong: Option<&str>, latest: Option<&Run>) -> String {
    let id = snapshot.recorded.report.broadcast();
    let mut html = Html::default();
    put!(html, "<h1>Send dead letters back</h1>\n<p>" [sentence(snapshot)] "</p>\n");
    if let Some(run) = latest {
        html.raw("<div role=\"status\">");
        match &run.result {
            None => html.raw("<p>The dead letters are being sent back. This page loads again by itself.</p>"),
            Some(moved) => put!(html, "<p><strong>Done.</strong> " [moved_text(moved)] "</p>"),
        }
        let problems = run.result.iter().flat_map(|moved| &moved.problems);
        problems.for_each(|problem| put!(html, "<p class=\"wrong\">" [cut(problem)] "</p>"));
        html.raw("</div>\n");
    }
    if latest.is_none_or(|run| run.result.is_some()) {
        html.raw(
            "<p>Every dead letter of this broadcast goes back to its queue, and its containers are called again, those of a \
            rejected call too. The dead letters of other broadcasts are invisible to other readers meanwhile.</p>\n",
        );
        if snapshot.recorded.cancelled.is_some() {
            html.raw("<p>The broadcast was cancelled: its containers are skipped, and not called.</p>\n");
        }
        if let Some(wrong) = wrong {
            put!(html, "<p class=\"wrong\" role=\"alert\">" [wrong] "</p>\n");
        }
        put!(html, "<p>The id is <span class=\"id\">" [id] "</span></p>\n<form class=\"cancel\" method=\"post\" action=\"");
        put!(html, [Filter::default().link("redrive", id, 1)] "\">");
        html.raw("<label>Type the id to confirm <input type=\"text\" name=\"confirm\" required autocomplete=\"off\" maxlength=\"256\"></label>\n\
            <button type=\"submit\">Send them back</button></form>\n");
    }
    put!(html, "<p><a href=\"" [Filter::default().link("broadcast", id, 1)] "\">Back to the broadcast</a></p>\n");
    page("Send dead letters back", &Updates::None, &html)
}

fn moved_text(moved: &Moved) -> String {
    let Moved { redriven, notified, stayed, .. } = moved;
    let be = |number: usize| if number == 1 { "is" } else { "are" };
    let mut sentences =
        vec![format!("{} {} back on the queues.", count(*redriven, "dead letter"), be(*redriven))];
    if *notified > 0 {
        sentences.push(format!(
            "{} {} deleted, because the container was notified in the meantime.",
            count(*notified, "dead letter"),
            if *notified == 1 { "was" } else { "were" }
        ));
    }
    if *stayed > 0 {
        sentences.push(format!("{} could not be moved.", count(*stayed, "dead letter")));
    }
    sentences.join(" ")
}

/// A page with one message.
pub(crate) fn message(title: &str, text: &str) -> String {
    let mut html = Html::default();
    put!(html, "<h1>" [title] "</h1>\n<p>" [text] "</p>\n<p><a href=\"./\">All broadcasts</a></p>\n");
    page(title, &Updates::None, &html)
}
