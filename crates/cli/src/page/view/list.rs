//! The list of broadcasts.

use std::collections::HashMap;

use notifier::ledger::BroadcastRecord;
use notifier::rollout;
use wire::BroadcastId;

use super::html::{Html, put};
use super::{Updates, cut, instant, outcome_bar, page, span};
use crate::args::describe;
use crate::page::feed::Brief;
use crate::page::query::Filter;
use crate::render::format::count;

/// Broadcasts on one page of the list.
pub(crate) const LISTED: usize = 20;
/// Seconds after which the list is loaded again while a broadcast on it runs, and otherwise.
const RUNS_EVERY_S: u64 = 5;
const IDLE_EVERY_S: u64 = 30;

/// One page of the list. `number` is the number of this page, from 1, and `all` are all listed broadcasts.
pub(crate) fn list(
    all: &[BroadcastRecord],
    shown: &[BroadcastRecord],
    briefs: &HashMap<BroadcastId, Brief>,
    number: usize,
) -> String {
    let mut html = Html::default();
    html.raw("<h1>Broadcasts</h1>\n<div id=\"live\">");
    if shown.is_empty() {
        html.raw("<p>The ledger has no record of a broadcast here.</p>");
    } else {
        table(&mut html, shown, briefs, number);
    }
    pages(&mut html, all.len(), number);
    html.raw("</div>\n");
    let runs = shown.iter().any(|record| briefs.get(&record.id).is_none_or(|brief| !brief.is_over));
    let updates = Updates::Every(if runs { RUNS_EVERY_S } else { IDLE_EVERY_S });
    page("Broadcasts", &updates, &html)
}

fn table(html: &mut Html, shown: &[BroadcastRecord], briefs: &HashMap<BroadcastId, Brief>, number: usize) {
    html.raw("<div class=\"scroll\" role=\"region\" aria-label=\"Broadcasts\" tabindex=\"0\"><table>");
    put!(html, "<caption>The latest broadcasts, newest first, page " [number] "</caption>");
    html.raw("<thead><tr>");
    for name in ["Time", "Type", "Scope", "Asked by", "Outcomes", "Duration"] {
        put!(html, "<th scope=\"col\">" [name] "</th>");
    }
    html.raw("</tr></thead><tbody>\n");
    for record in shown {
        row(html, record, briefs.get(&record.id));
    }
    html.raw("</tbody></table></div>");
}

fn row(html: &mut Html, record: &BroadcastRecord, brief: Option<&Brief>) {
    html.raw("<tr><td class=\"nowrap\">");
    instant(html, &record.asked());
    put!(html, "</td><th scope=\"row\"><a href=\"" [Filter::default().link("broadcast", &record.id, 1)] "\">");
    put!(html, [cut(record.event.kind())] "</a><br><span class=\"id\">" [record.id] "</span></th>");
    put!(html, "<td>" [cut(&describe(&record.scope()))] "</td>");
    put!(html, "<td>" [cut(record.asked_by.as_deref().unwrap_or("not recorded"))] "</td><td>");
    match brief {
        None => html.raw("not counted yet"),
        Some(brief) => {
            outcome_bar(html, brief.counts);
            if let Some(state) = state(brief) {
                put!(html, " <span class=\"figures\">" [state] "</span>");
            }
        }
    }
    html.raw("</td><td class=\"nowrap\">");
    match brief {
        Some(Brief { is_over: false, .. }) => html.raw("runs"),
        Some(Brief { took: Some(took), .. }) => html.text(span(*took)),
        _ => html.raw("unknown"),
    }
    html.raw("</td></tr>\n");
}

/// What else there is to say of a broadcast.
fn state(brief: &Brief) -> Option<String> {
    match (brief.is_cancelled, brief.stopped_at, brief.wave) {
        (true, ..) => Some("cancelled".to_owned()),
        (false, Some(wave), _) => Some(format!("stopped {}", rollout::place(wave))),
        (false, None, Some((wave, last))) if !brief.is_over => Some(format!("in wave {wave} of {last}")),
        (false, None, _) => None,
    }
}

fn pages(html: &mut Html, all: usize, number: usize) {
    let last = all.div_ceil(LISTED).max(1);
    if last == 1 && number == 1 {
        return;
    }
    html.raw("<nav class=\"pages\" aria-label=\"Pages\">");
    if number > 1 {
        put!(html, "<a rel=\"prev\" href=\"./?page=" [(number - 1).min(last)] "\">Newer</a> ");
    }
    put!(html, "<span>Page " [number] " of " [last] ", " [count(all, "broadcast")] "</span>");
    if number < last {
        put!(html, " <a rel=\"next\" href=\"./?page=" [number + 1] "\">Older</a>");
    }
    html.raw("</nav>");
}
