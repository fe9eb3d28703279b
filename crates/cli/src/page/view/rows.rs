//! The table of a broadcast's containers.

use form_urlencoded::Serializer;
use notifier::model::{Cause, Delivery};
use wire::BroadcastId;

use super::html::{Html, put};
use super::{View, anchor, class, cut, word};
use crate::page::feed::Snapshot;
use crate::page::query::{Filter, ROWS_MAX};
use crate::render::format::{count, digits, task};

/// What a table shows besides what every broadcast has.
#[derive(Clone, Copy)]
struct Shape<'a> {
    /// The broadcast, for links to the pages of containers.
    id: Option<&'a BroadcastId>,
    has_waves: bool,
    has_answers: bool,
}

impl<'a> Shape<'a> {
    fn of(snapshot: &Snapshot, id: Option<&'a BroadcastId>) -> Self {
        let overview = &snapshot.overview;
        Self { id, has_waves: !overview.waves.is_empty(), has_answers: overview.answers.is_some() }
    }

    fn columns(self) -> impl Iterator<Item = &'static str> {
        let wave = self.has_waves.then_some("Wave");
        let reason = if self.has_answers { "Reason or answer" } else { "Reason" };
        let first = std::iter::once("Outcome").chain(wave);
        first.chain(["Service", "Task", "Container", "Address", reason, "Attempts", "Latency (ms)"])
    }
}

/// One page of the containers of a filter, and the links to the others. Those that were not notified come first.
pub(super) fn table(html: &mut Html, view: &View<'_>) {
    let View { snapshot, filter, .. } = view;
    let report = &snapshot.recorded.report;
    let wanted = filter.matcher(&snapshot.overview);
    let found: Vec<_> = report.entries().iter().filter(|entry| wanted(entry)).collect();
    let last = pages(found.len());
    let number = view.number.min(last);
    let skip = (number - 1) * ROWS_MAX;
    let (from, to) = (skip + usize::from(!found.is_empty()), (skip + ROWS_MAX).min(found.len()));
    let caption = format!(
        "{} to {} of {}, those that were not notified first",
        digits(from),
        digits(to),
        count(found.len(), "container")
    );
    let id = report.broadcast();
    of(html, &caption, sorted(&found).skip(skip).take(ROWS_MAX), Shape::of(snapshot, Some(id)));
    if last == 1 {
        return;
    }
    html.raw("<nav class=\"pages\" aria-label=\"Pages\">");
    let link = |page| format!("{}#containers", filter.link("broadcast", id, page));
    if number > 1 {
        put!(html, "<a href=\"" [link(1)] "\">First</a> <a rel=\"prev\" href=\"" [link(number - 1)] "\">Previous</a> ");
    }
    put!(html, "<span>Page " [digits(number)] " of " [digits(last)] "</span>");
    if number < last {
        put!(html, " <a rel=\"next\" href=\"" [link(number + 1)] "\">Next</a> <a href=\"" [link(last)] "\">Last</a>");
    }
    html.raw("</nav>");
}

/// The containers of a filter, those that were not notified first, without links.
pub(super) fn all(html: &mut Html, snapshot: &Snapshot, filter: &Filter, most: usize) {
    let wanted = filter.matcher(&snapshot.overview);
    let found: Vec<_> = snapshot.recorded.report.entries().iter().filter(|entry| wanted(entry)).collect();
    let caption = match found.len().checked_sub(most).filter(|more| *more > 0) {
        Some(more) => format!(
            "{}, those that were not notified first; {} more are left out: `report --format csv` has all",
            count(most, "container"),
            digits(more)
        ),
        None => format!("{}, those that were not notified first", count(found.len(), "container")),
    };
    of(html, &caption, sorted(&found).take(most), Shape::of(snapshot, None));
}

fn sorted<'a>(found: &[&'a Delivery]) -> impl Iterator<Item = &'a Delivery> {
    let of = |is_notified| found.iter().copied().filter(move |entry| entry.is_notified() == is_notified);
    of(false).chain(of(true))
}

fn of<'a>(html: &mut Html, caption: &str, rows: impl Iterator<Item = &'a Delivery>, shape: Shape<'_>) {
    html.raw("<div class=\"scroll\" role=\"region\" aria-label=\"Containers\" tabindex=\"0\"><table class=\"rows\">");
    put!(html, "<caption>" [caption] "</caption><thead><tr>");
    for name in shape.columns() {
        put!(html, "<th scope=\"col\">" [name] "</th>");
    }
    html.raw("</tr></thead><tbody>\n");
    for entry in rows {
        row(html, entry, shape);
    }
    html.raw("</tbody></table></div>");
}

fn row(html: &mut Html, entry: &Delivery, Shape { id, has_waves, .. }: Shape<'_>) {
    let member = &entry.member;
    put!(html, "<tr><td class=\"nowrap\"><span class=\"key " [class(entry.outcome)] "\" aria-hidden=\"true\"></span>" [word(entry.outcome)]);
    if entry.late {
        html.raw(" <span class=\"badge\">late</span>");
    }
    if has_waves {
        html.raw("</td><td>");
        entry.wave.iter().for_each(|wave| html.text(wave));
    }
    put!(html, "</td><td>" [cut(&member.service)] "</td><th scope=\"row\" class=\"id nowrap\">");
    let link = id.filter(|_| !member.task.is_empty()).map(|id| link(id, entry));
    // A file is read where nobody can follow a link: the whole id.
    anchor(html, link.as_deref(), &cut(task(&member.task, id.is_none())));
    put!(html, "</th><td>" [cut(&member.container)] "</td><td class=\"id nowrap\">");
    if let Some(address) = entry.address {
        html.text(address);
    }
    put!(html, "</td><td class=\"reason\">"[cut(entry.reason.as_deref().unwrap_or_default())]);
    if let Some(answer) = &entry.answer {
        put!(html, "<span class=\"id\">" [cut(answer)] "</span>");
    }
    if let Some(cause) = entry.cause {
        put!(html, " <span class=\"cause\">" [Cause::as_str(cause)] "</span>");
    }
    html.raw("</td><td class=\"number\">");
    if let Some(attempts) = entry.attempts {
        html.text(attempts);
    }
    html.raw("</td><td class=\"number\">");
    if let Some(latency) = entry.latency {
        html.text(format!("{:.1}", latency.as_secs_f64() * 1_000.0));
    }
    html.raw("</td></tr>\n");
}

/// The address of one container's page.
fn link(id: &BroadcastId, entry: &Delivery) -> String {
    let mut query = Serializer::for_suffix("task?".to_owned(), "task?".len());
    query.append_pair("id", id.as_str());
    query.append_pair("task", &entry.member.task).append_pair("container", &entry.member.container);
    query.finish()
}

/// The number of pages for this number of containers.
fn pages(number: usize) -> usize {
    number.div_ceil(ROWS_MAX).max(1)
}
