//! One broadcast: a sentence, bars, advice, a histogram, and a table of its containers.

use std::collections::BTreeMap;

use notifier::model::{DiscoveryMethod, Found, Outcome};
use notifier::report::Percentiles;

use super::html::{Html, put};
use super::waves::{self, Place};
use super::{
    OUTCOMES, SERVICES_MAX, Updates, View, anchor, answers, chart, class, counts_text, cut, file, filter,
    instant, outcome_bar, page, rows, span, word,
};
use crate::args::Only;
use crate::args::describe;
use crate::page::feed::Snapshot;
use crate::page::overview::{Advice, Bucket, Overview};
use crate::page::query::Filter;
use crate::render::format::{count, digits, duration};
use crate::render::report::way;

/// Containers in a report as one file.
const FILE_ROWS_MAX: usize = 1_000;
/// Statuses that are listed for one advice.
const STATUSES_MAX: usize = 5;

/// The state of a broadcast in one sentence.
pub(crate) fn sentence(snapshot: &Snapshot) -> String {
    let Snapshot { recorded, overview, is_over, .. } = snapshot;
    let counts = overview.counts;
    let all = count(counts.total(), "container");
    let (notified, rest) = (counts.notified(), counts_text(counts));
    let figures = format!("{} of {all} notified ({rest})", digits(notified));
    let took = overview.took.map_or_else(String::new, |took| {
        format!(" The latest record was made {} after the request.", span(took))
    });
    let last = overview.wave.map_or(0, |(_, last)| last);
    let state = match (&recorded.cancelled, &recorded.stopped) {
        (Some(_), _) => "Cancelled".to_owned(),
        (None, Some(stopped)) => format!("Stopped {}", stopped.place()),
        (None, None) => match (is_over, recorded.is_complete, waves::place(snapshot)) {
            (true, true, _) => "Ended".to_owned(),
            (true, false, _) => "No further outcome is expected".to_owned(),
            (false, _, None) => "Running".to_owned(),
            (false, _, Some(Place::In(wave))) => format!("Running, wave {wave} of {last}"),
            (false, _, Some(Place::Between { wave, .. })) => format!("Waiting after wave {wave} of {last}"),
        },
    };
    format!("{state}: {figures}.{took}")
}

/// A page of one broadcast.
pub(crate) fn broadcast(view: &View<'_>) -> String {
    let id = view.snapshot.recorded.report.broadcast();
    let mut html = Html::default();
    title(&mut html, view.snapshot);
    let stream = Filter::default().link("stream", id, 1);
    put!(html, "<p id=\"sentence\" class=\"sentence\" aria-live=\"polite\">" [sentence(view.snapshot)] "</p>\n");
    html.raw("<div id=\"live-figures\">");
    figures(&mut html, view.snapshot, Links::Pages { has_actions: view.has_actions });
    html.raw("</div>\n<h2 id=\"containers\">Containers</h2>\n");
    filter::form(&mut html, view);
    html.raw("<div id=\"live\">");
    rows::table(&mut html, view);
    html.raw("</div>\n<h2>More</h2>\n<ul>");
    for (path, name) in [("broadcast.csv", "CSV"), ("broadcast.json", "JSON, one object per line")] {
        put!(html, "<li><a href=\"" [view.filter.link(path, id, 1)] "\">The containers of this filter as " [name] "</a></li>");
    }
    if view.has_actions && !view.snapshot.is_over {
        put!(html, "<li><a href=\"" [Filter::default().link("cancel", id, 1)] "\">Cancel this broadcast…</a></li>");
    }
    if view.has_redrive {
        put!(html, "<li><a href=\"" [Filter::default().link("redrive", id, 1)] "\">Send its dead letters back…</a></li>");
    }
    html.raw("</ul>\n");
    let updates = if view.snapshot.is_over { Updates::None } else { Updates::Stream(stream) };
    page(&heading(view.snapshot), &updates, &html)
}

/// The same as one file, with the containers of this filter.
pub(crate) fn as_file(snapshot: &Snapshot, filter: &Filter) -> String {
    let mut html = Html::default();
    title(&mut html, snapshot);
    put!(html, "<p class=\"sentence\">" [sentence(snapshot)] "</p>\n");
    figures(&mut html, snapshot, Links::None);
    html.raw("<h2>Containers</h2>\n");
    rows::all(&mut html, snapshot, filter, FILE_ROWS_MAX);
    file(&heading(snapshot), &html)
}

fn heading(snapshot: &Snapshot) -> String {
    let kind = snapshot.recorded.broadcast.as_ref().map_or("Broadcast", |record| record.event.kind());
    format!("{} {}", cut(kind), snapshot.recorded.report.broadcast())
}

/// The heading, and what was asked.
fn title(html: &mut Html, snapshot: &Snapshot) {
    let recorded = &snapshot.recorded;
    let id = recorded.report.broadcast();
    let Some(record) = &recorded.broadcast else {
        put!(html, "<h1>Broadcast " [id] "</h1>\n<p>The request is not recorded.</p>\n");
        return;
    };
    put!(html, "<h1>" [cut(record.event.kind())] "</h1>\n<dl class=\"facts\">");
    put!(html, "<div><dt>Broadcast</dt><dd class=\"id\">" [id] "</dd></div><div><dt>Requested</dt><dd>");
    instant(html, &record.asked());
    put!(html, "</dd></div><div><dt>Asked by</dt><dd>" [cut(record.asked_by.as_deref().unwrap_or("not recorded"))] "</dd></div>");
    put!(html, "<div><dt>Scope</dt><dd>" [cut(&describe(&record.scope()))] "</dd></div>");
    put!(html, "<div><dt>Source</dt><dd>" [cut(record.event.source())] "</dd></div>");
    if let Some(subject) = record.event.subject() {
        put!(html, "<div><dt>Subject</dt><dd>" [cut(subject)] "</dd></div>");
    }
    if record.folded > 0 {
        put!(html, "<div><dt>Replaced</dt><dd>" [count(record.folded, "older event")] "</dd></div>");
    }
    if let Some(failure) = &record.failure {
        put!(html, "<div><dt>Discovery failed</dt><dd>" [cut(failure)] "</dd></div>");
    }
    if let Some(cancel) = &recorded.cancelled {
        let reason = if cancel.reason.is_empty() { "no reason given" } else { &cancel.reason };
        put!(html, "<div><dt>Cancelled</dt><dd>" [cut(reason)] "</dd></div>");
    }
    html.raw("</dl>\n");
}

/// Where figures lead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    /// Nowhere.
    None,
    /// To a filter of the containers, and to actions if they are allowed.
    Pages { has_actions: bool },
}

/// Everything between the sentence and the table.
fn figures(html: &mut Html, snapshot: &Snapshot, links: Links) {
    let overview = &snapshot.overview;
    let id = snapshot.recorded.report.broadcast();
    let link = |filter: &Filter| {
        (links != Links::None).then(|| format!("{}#containers", filter.link("broadcast", id, 1)))
    };
    chart::outcomes(html, overview.counts);
    html.raw("<ul class=\"legend\">");
    for outcome in OUTCOMES.into_iter().filter(|outcome| overview.counts.of(*outcome) > 0) {
        let filter = Filter { outcomes: vec![only(outcome)], ..Filter::default() };
        put!(html, "<li><span class=\"key " [class(outcome)] "\" aria-hidden=\"true\"></span>");
        let text = format!("{} {}", digits(overview.counts.of(outcome)), word(outcome));
        anchor(html, link(&filter).as_deref(), &text);
        html.raw("</li>");
    }
    html.raw("</ul>\n");
    discovery(html, snapshot, &link);
    waves::section(html, snapshot, &link, links == Links::Pages { has_actions: true });
    answers::section(html, snapshot);
    if !overview.advice.is_empty() {
        html.raw("<h2>What to do</h2>\n<ul class=\"advice\">");
        overview.advice.iter().for_each(|advice| advice_line(html, advice, &link));
        html.raw("</ul>\n");
    }
    html.raw("<h2>Services</h2>\n");
    services(html, overview, &link);
    histogram(html, overview);
}

/// How the tasks were found, and how many started later.
fn discovery(html: &mut Html, snapshot: &Snapshot, link: &impl Fn(&Filter) -> Option<String>) {
    let (found, late) = (&snapshot.recorded.found, snapshot.overview.late);
    if found.is_empty() && late == 0 {
        return;
    }
    html.raw("<dl class=\"facts\">");
    if !found.is_empty() {
        put!(html, "<div><dt>Tasks found</dt><dd>" [ways(found)] "</dd></div>");
    }
    if late > 0 {
        html.raw("<div><dt>Started later</dt><dd>");
        let filter = Filter { late: true, ..Filter::default() };
        anchor(html, link(&filter).as_deref(), &count(late, "late container"));
        html.raw("</dd></div>");
    }
    html.raw("</dl>\n");
}

/// `in the registry, 3 s old`; of several clusters, each method with its number of clusters.
fn ways(found: &BTreeMap<String, Found>) -> String {
    let mut ways = BTreeMap::<DiscoveryMethod, (usize, Found)>::new();
    for one in found.values() {
        let (clusters, oldest) = ways.entry(one.method).or_insert((0, *one));
        *clusters += 1;
        oldest.age_ms = oldest.age_ms.max(one.age_ms);
    }
    let several = found.len() > 1;
    let ways = ways.into_values().map(|(clusters, oldest)| {
        let of = if several { format!(" ({})", count(clusters, "cluster")) } else { String::new() };
        format!("{}{of}", way(oldest))
    });
    ways.collect::<Vec<_>>().join("; ")
}

fn advice_line(html: &mut Html, advice: &Advice, link: &impl Fn(&Filter) -> Option<String>) {
    let Advice { outcome, cause, statuses, number, text } = advice;
    let filter = Filter { outcomes: vec![only(*outcome)], cause: *cause, ..Filter::default() };
    put!(html, "<li><span class=\"key " [class(*outcome)] "\" aria-hidden=\"true\"></span>");
    let mut what: Vec<String> = statuses.iter().take(STATUSES_MAX).map(u16::to_string).collect();
    if statuses.len() > STATUSES_MAX {
        what.push("…".to_owned());
    }
    if what.is_empty() {
        what.extend(cause.map(|cause| cause.as_str().to_owned()));
    }
    let what = if what.is_empty() { String::new() } else { format!(" ({})", what.join(", ")) };
    anchor(html, link(&filter).as_deref(), &format!("{} {}{what}", digits(*number), word(*outcome)));
    put!(html, ": " [text] "</li>");
}

fn services(html: &mut Html, overview: &Overview, link: &impl Fn(&Filter) -> Option<String>) {
    html.raw("<div class=\"scroll\" role=\"region\" aria-label=\"Services\" tabindex=\"0\"><table>");
    html.raw("<caption>Outcomes of each service, those with problems first</caption><thead><tr>");
    for name in ["Service", "Cluster", "Account and region", "Outcomes", "Median", "Slowest"] {
        put!(html, "<th scope=\"col\">" [name] "</th>");
    }
    html.raw("</tr></thead><tbody>\n");
    for service in overview.services.iter().take(SERVICES_MAX) {
        let filter = Filter { service: service.name.clone(), ..Filter::default() };
        let name = if service.key.service.is_empty() { "(no service)" } else { &service.key.service };
        html.raw("<tr><th scope=\"row\">");
        anchor(html, link(&filter).as_deref(), &cut(name));
        put!(html, "</th><td>" [cut(&service.key.cluster)] "</td><td class=\"nowrap\">" [service.key.account] " " [service.key.region] "</td><td>");
        outcome_bar(html, service.counts);
        let time = |part: fn(Percentiles<std::time::Duration>) -> std::time::Duration| {
            service.latency.map_or_else(|| "none".to_owned(), |latency| duration(part(latency)))
        };
        put!(html, "</td><td class=\"number\">" [time(|all| all.p50)] "</td><td class=\"number\">" [time(|all| all.max)] "</td></tr>\n");
    }
    html.raw("</tbody></table></div>\n");
    if let Some(more) = overview.services.len().checked_sub(SERVICES_MAX).filter(|more| *more > 0) {
        put!(html, "<p>" [count(more, "further service")] " without a bar here: filter the table below.</p>\n");
    }
}

fn histogram(html: &mut Html, overview: &Overview) {
    let (Some(latency), false) = (overview.latency, overview.histogram.is_empty()) else { return };
    html.raw("<h2>Latency</h2>\n<table class=\"histogram\"><caption>Time of the last attempt of delivered containers: ");
    put!(html, "half within " [duration(latency.p50)] ", 99 % within " [duration(latency.p99)] ", all within " [duration(latency.max)]);
    if let Some(attempts) = overview.attempts.filter(|attempts| attempts.max > 1) {
        put!(html, "; at most " [attempts.max] " attempts");
    }
    html.raw("</caption><thead><tr><th scope=\"col\">Time</th><th scope=\"col\">Containers</th></tr></thead><tbody>\n");
    let most = overview.histogram.iter().map(|bucket| bucket.number).max().unwrap_or_default();
    for bucket in &overview.histogram {
        put!(html, "<tr><th scope=\"row\" class=\"nowrap\">" [range(bucket)] "</th><td>");
        chart::share_of(html, bucket, most);
        put!(html, "<span class=\"figures\">" [digits(bucket.number)] "</span></td></tr>\n");
    }
    html.raw("</tbody></table>\n");
}

fn range(bucket: &Bucket) -> String {
    match bucket.below_ms {
        Some(below) => format!("{} to {} ms", digits(to_usize(bucket.from_ms)), digits(to_usize(below))),
        None => format!("{} ms and more", digits(to_usize(bucket.from_ms))),
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The filter of one outcome.
fn only(outcome: Option<Outcome>) -> Only {
    match outcome {
        Some(Outcome::Delivered) => Only::Delivered,
        Some(Outcome::Rejected) => Only::Rejected,
        Some(Outcome::Failed) => Only::Failed,
        Some(Outcome::Gone) => Only::Gone,
        Some(Outcome::Skipped) => Only::Skipped,
        None => Only::Pending,
    }
}
