//! The waves of a broadcast: what each has come to, and what it waits for.

use notifier::report::WaveReport;
use notifier::rollout::{Pause, Plan};
use serde_json::Value;
use time::OffsetDateTime;
use wire::Pace;

use super::html::{Html, put};
use super::{anchor, cut, moment, outcome_bar};
use crate::page::feed::Snapshot;
use crate::page::query::Filter;
use crate::render::format::digits;

/// Where a broadcast is that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Deliveries of this wave, or of an earlier one, are under way.
    In(u16),
    /// It waits between two waves.
    Between {
        /// The wave that has ended.
        wave: u16,
        /// The wave that follows.
        next: u16,
        /// The time of its last outcome.
        ended: OffsetDateTime,
    },
}

/// Where the broadcast is; `None` if it calls nobody any more, or all at once.
pub(super) fn place(snapshot: &Snapshot) -> Option<Place> {
    let Snapshot { recorded, overview, is_over, .. } = snapshot;
    if *is_over || recorded.stopped.is_some() || recorded.cancelled.is_some() {
        return None;
    }
    let (wave, _) = overview.wave?;
    let begun = || overview.waves.iter().take_while(|one| one.wave <= wave);
    let is_pending = begun().any(|one| one.counts.pending > 0);
    let ended = begun().last().and_then(|one| one.ended).filter(|_| !is_pending);
    let next = overview.waves.iter().find(|one| one.wave > wave).map(|one| one.wave);
    Some(match (ended, next) {
        (Some(ended), Some(next)) => Place::Between { wave, next, ended },
        _ => Place::In(wave),
    })
}

/// A table of the waves. `link` makes the address of a filter; `has_actions`: a pause can be ended.
pub(super) fn section(
    html: &mut Html,
    snapshot: &Snapshot,
    link: &impl Fn(&Filter) -> Option<String>,
    has_actions: bool,
) {
    let Snapshot { recorded, overview, .. } = snapshot;
    let pace = recorded.broadcast.as_ref().and_then(|record| record.pace.as_ref());
    if overview.waves.is_empty() {
        return;
    }
    html.raw("<h2>Waves</h2>\n");
    if let Some(pace) = pace {
        put!(html, "<p>Pace: " [cut(&described(pace))] "</p>\n");
    }
    if let Some(stopped) = &recorded.stopped {
        put!(html, "<p>Stopped " [&stopped.place()] ": " [cut(&stopped.reason)] "</p>\n");
    }
    let open = snapshot.open_pause.ok().filter(|wave| overview.waits.contains(wave));
    match (place(snapshot), open) {
        (Some(Place::Between { wave, next, ended }), _) => waits(html, snapshot, pace, (wave, next, ended)),
        // Through the queues, each service is in a wave of its own.
        (Some(Place::In(_)), Some(wave)) => {
            put!(html, "<p>Pause after wave " [wave] " for services that are behind.</p>\n");
        }
        _ => {}
    }
    if let Some(wave) = open.filter(|_| has_actions && !snapshot.is_continued) {
        let id = recorded.report.broadcast();
        put!(html, "<p><a href=\"" [Filter::default().link("continue", id, 1)] "\">Continue after wave " [wave] "…</a></p>\n");
    }
    html.raw("<div class=\"scroll\" role=\"region\" aria-label=\"Waves\" tabindex=\"0\"><table>");
    html.raw("<caption>Shares of the fleet that are called together, in their order</caption><thead><tr>");
    for name in ["Wave", "Containers", "Outcomes", "State"] {
        put!(html, "<th scope=\"col\">" [name] "</th>");
    }
    html.raw("</tr></thead><tbody>\n");
    for wave in &overview.waves {
        let filter = Filter { wave: Some(wave.wave), ..Filter::default() };
        html.raw("<tr><th scope=\"row\" class=\"nowrap\">");
        anchor(html, link(&filter).as_deref(), &format!("Wave {}", wave.wave));
        put!(html, "</th><td class=\"number\">" [digits(wave.total)] "</td><td>");
        outcome_bar(html, wave.counts);
        html.raw("</td><td class=\"nowrap\">");
        state(html, snapshot, wave);
        html.raw("</td></tr>\n");
    }
    html.raw("</tbody></table></div>\n");
}

fn state(html: &mut Html, snapshot: &Snapshot, wave: &WaveReport) {
    let is_called = wave.counts.skipped < wave.total;
    match (wave.ended, wave.counts.pending, place(snapshot)) {
        (Some(ended), ..) => {
            html.raw("ended ");
            moment(html, ended);
        }
        (None, 0, _) if is_called => html.raw("ended"),
        (None, 0, _) => html.raw("not called"),
        (None, _, Some(Place::In(current))) if wave.wave <= current => html.raw("under way"),
        (None, pending, Some(_)) if pending == wave.total => html.raw("waits"),
        (None, _, Some(_)) => html.raw("under way"),
        (None, _, None) => html.raw("has not ended"),
    }
    if snapshot.recorded.stopped.as_ref().is_some_and(|stopped| stopped.wave == wave.wave) {
        html.raw(", stopped here");
    }
}

/// What the broadcast waits for between two waves.
fn waits(
    html: &mut Html,
    snapshot: &Snapshot,
    pace: Option<&Pace>,
    (wave, next, ended): (u16, u16, OffsetDateTime),
) {
    let pause = pace.and_then(|pace| Plan::read(pace).ok()).map(|plan| plan.pause);
    match pause {
        _ if snapshot.is_continued => {
            put!(html, "<p>The pause after wave " [wave] " was ended, so wave " [next] " begins soon.</p>\n");
        }
        Some(Pause::For(pause)) => {
            put!(html, "<p>Pause after wave " [wave] ": wave " [next] " begins at ");
            moment(html, ended + pause);
            html.raw(" or shortly after.</p>\n");
        }
        Some(Pause::Manual) => {
            let id = snapshot.recorded.report.broadcast();
            put!(html, "<p>Pause after wave " [wave] ": wave " [next] " begins when somebody continues the broadcast, ");
            put!(html, "for example with <span class=\"id\">ecs-task-notifier continue " [id] "</span></p>\n");
        }
        None => put!(html, "<p>Pause after wave " [wave] ".</p>\n"),
    }
}

/// `pause 5m; waves 1,10%,100%`: the fields of a pace, those of a later version too.
fn described(pace: &Pace) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(pace) else { return String::new() };
    let fields = fields.into_iter().map(|(name, value)| {
        let name = name.replace('_', " ");
        match value {
            Value::Bool(true) => name,
            Value::String(text) => format!("{name} {text}"),
            Value::Array(all) => {
                let all: Vec<_> = all
                    .iter()
                    .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
                    .collect();
                format!("{name} {}", all.join(", "))
            }
            other => format!("{name} {other}"),
        }
    });
    fields.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_described_by_the_fields_of_its_message() {
        let mut pace = Pace::new();
        pace.waves = Some("1,10%".to_owned());
        pace.max_errors = Some("5%".to_owned());
        pace.max_parallel = Some(7);
        assert_eq!(described(&pace), "max errors 5%; max parallel 7; waves 1,10%");
    }
}
