//! The timeline of one container's delivery, as far as the ledger has it.

use notifier::ledger::Step;
use notifier::model::{Cause, Delivery};
use notifier::report::advice_in_wave;

use super::html::{Html, put};
use super::{Updates, class, cut, instant, moment, page, word};
use crate::page::feed::Snapshot;
use crate::page::query::Filter;
use crate::render::format::{count, task as short};

/// A page of one container. `steps` are its records, oldest first.
pub(crate) fn task(snapshot: &Snapshot, entry: &Delivery, steps: &[Step]) -> String {
    let member = &entry.member;
    let id = snapshot.recorded.report.broadcast();
    let mut html = Html::default();
    let title = format!("Task {} / {}", cut(short(&member.task, false)), cut(&member.container));
    put!(html, "<p><a href=\"" [Filter::default().link("broadcast", id, 1)] "\">Broadcast " [id] "</a></p>\n");
    put!(html, "<h1>" [title] "</h1>\n<p class=\"sentence\"><span class=\"key " [class(entry.outcome)] "\" aria-hidden=\"true\"></span>");
    put!(html, [word(entry.outcome)]);
    if let Some(reason) = &entry.reason {
        put!(html, ": "[cut(reason)]);
    }
    html.raw("</p>\n");
    let wave = snapshot.overview.wave.map(|(wave, _)| wave);
    if let Some(advice) = advice_in_wave(entry, wave) {
        put!(html, "<p>What to do: " [advice] "</p>\n");
    }
    html.raw("<h2>Timeline</h2>\n<ol class=\"timeline\">");
    if let Some(record) = &snapshot.recorded.broadcast {
        html.raw("<li>");
        instant(&mut html, &record.asked());
        put!(html, " The broadcast was requested by " [cut(record.asked_by.as_deref().unwrap_or("somebody that SQS did not name"))] ".</li>\n");
    }
    if steps.is_empty() {
        put!(html, "<li>Discovery " [untimed(entry)] " The time is not recorded.</li>\n");
    } else {
        html.raw("<li>Discovery found the container as a target. The time is not recorded.</li>\n");
    }
    for step in steps {
        item(&mut html, step);
    }
    html.raw("</ol>\n<p>The ledger keeps two records of a delivery: its latest state, and its final outcome when the container was \
        notified. Times and answers of earlier attempts are only in the notifier's log.</p>\n");
    facts(&mut html, entry);
    page(&title, &Updates::None, &html)
}

/// What is known of a container that has no record of its own.
fn untimed(entry: &Delivery) -> &'static str {
    match entry.outcome {
        None => "found the container as a target. No attempt is recorded yet.",
        Some(_) => "recorded this outcome: the container was not called.",
    }
}

fn item(html: &mut Html, Step { at, delivery }: &Step) {
    html.raw("<li>");
    moment(html, *at);
    put!(html, " Recorded as <strong>" [word(delivery.outcome)] "</strong>");
    if let Some(attempts) = delivery.attempts {
        let attempts = usize::try_from(attempts).unwrap_or_default();
        put!(html, " after "[count(attempts, "attempt")]);
    }
    if let Some(status) = delivery.status {
        put!(html, ", last answer "[status]);
    }
    if let Some(latency) = delivery.latency {
        put!(html, ", last attempt took "[crate::render::format::duration(latency)]);
    }
    match &delivery.reason {
        Some(reason) => put!(html, ": "[cut(reason)]),
        None => html.raw("."),
    }
    html.raw("</li>\n");
}

fn facts(html: &mut Html, entry: &Delivery) {
    let member = &entry.member;
    html.raw("<h2>Container</h2>\n<dl class=\"facts\">");
    let address = entry.address.map(|address| address.to_string()).unwrap_or_default();
    let cause = entry.cause.map_or("", Cause::as_str);
    let wave = entry.wave.map(|wave| wave.to_string());
    let facts = [
        ("Account", member.account.as_str()),
        ("Region", &member.region),
        ("Cluster", &member.cluster),
        ("Service", &member.service),
        ("Task", &member.task),
        ("Container", &member.container),
        ("Task definition", &member.task_definition),
        ("Address", &address),
        ("Cause", cause),
    ];
    // What only some deliveries have.
    let others = [
        ("Wave", wave.as_deref()),
        ("Late", entry.late.then_some("the task started after discovery")),
        ("Answer", entry.answer.as_deref()),
    ];
    let others = others.into_iter().filter_map(|(name, value)| Some((name, value?)));
    for (name, value) in facts.into_iter().chain(others) {
        let value = if value.is_empty() { "not recorded".to_owned() } else { cut(value) };
        put!(html, "<div><dt>" [name] "</dt><dd class=\"id\">" [value] "</dd></div>");
    }
    html.raw("</dl>\n");
}
