//! The form that filters the containers of a broadcast.

use notifier::model::Cause;

use super::html::{Html, put};
use super::{OUTCOMES, SERVICES_MAX, View, word};
use crate::page::query::Filter;

pub(super) fn form(html: &mut Html, view: &View<'_>) {
    let Filter { cause, service, text, .. } = view.filter;
    let overview = &view.snapshot.overview;
    let chosen = view.filter.outcome();
    html.raw("<form id=\"filter\" class=\"filter\" method=\"get\" action=\"broadcast#containers\" role=\"search\" aria-label=\"Containers\">");
    put!(html, "<input type=\"hidden\" name=\"id\" value=\"" [view.snapshot.recorded.report.broadcast()] "\">");
    html.raw("<label>Outcome <select name=\"outcome\">");
    option(html, "", "all", chosen.is_empty());
    let words = OUTCOMES.map(|outcome| (word(outcome), word(outcome)));
    for (value, name) in [("untold", "not notified")].into_iter().chain(words) {
        option(html, value, name, chosen == value);
    }
    html.raw("</select></label> <label>Cause <select name=\"cause\">");
    option(html, "", "all", cause.is_none());
    for known in &overview.causes {
        option(html, known.as_str(), known.as_str(), *cause == Some(*known));
    }
    // A cause that no container has any more stays chosen.
    if let Some(gone) = cause.filter(|cause| !overview.causes.contains(cause)) {
        option(html, gone.as_str(), Cause::as_str(gone), true);
    }
    html.raw("</select></label> ");
    starts_and_waves(html, view);
    html.raw("<label>Service <input type=\"text\" name=\"service\" list=\"services\" autocomplete=\"off\"");
    put!(html, " value=\"" [service] "\"></label><datalist id=\"services\">");
    for known in overview.services.iter().take(SERVICES_MAX) {
        put!(html, "<option value=\"" [known.name] "\"></option>");
    }
    html.raw(
        "</datalist> <label>Text <input type=\"search\" name=\"text\" maxlength=\"200\" autocomplete=\"off\"",
    );
    put!(html, " value=\"" [text] "\"></label> <button type=\"submit\">Filter</button> ");
    let id = view.snapshot.recorded.report.broadcast();
    put!(html, "<a href=\"" [Filter::default().link("broadcast", id, 1)] "#containers\">Show all</a></form>\n");
}

/// Late tasks and waves, where the broadcast has some.
fn starts_and_waves(html: &mut Html, view: &View<'_>) {
    let overview = &view.snapshot.overview;
    let Filter { late, wave, .. } = *view.filter;
    if overview.late > 0 || late {
        html.raw("<label>Tasks <select name=\"late\">");
        option(html, "", "all", !late);
        option(html, "yes", "late", late);
        html.raw("</select></label> ");
    }
    if !overview.waves.is_empty() || wave.is_some() {
        html.raw("<label>Wave <select name=\"wave\">");
        option(html, "", "all", wave.is_none());
        let known: Vec<u16> = overview.waves.iter().map(|one| one.wave).collect();
        let unknown = wave.filter(|wave| !known.contains(wave));
        for number in known.into_iter().chain(unknown) {
            let text = number.to_string();
            option(html, &text, &text, wave == Some(number));
        }
        html.raw("</select></label> ");
    }
}

fn option(html: &mut Html, value: &str, name: &str, is_chosen: bool) {
    put!(html, "<option value=\"" [value] "\"");
    html.raw(if is_chosen { " selected>" } else { ">" });
    put!(html, [name] "</option>");
}
