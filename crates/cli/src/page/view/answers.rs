//! The recorded answers to a question, as groups of equal ones.

use notifier::report::answers::{AnswerValue, Group, KeptAnswers};
use wire::event::{Extension, QUESTION};

use super::cut;
use super::html::{Html, put};
use crate::page::feed::Snapshot;
use crate::render::format::{count, digits};

/// Groups that are shown.
const GROUPS_MAX: usize = 50;
/// Services that are named for each group.
const SERVICES_MAX: usize = 5;

pub(super) fn section(html: &mut Html, snapshot: &Snapshot) {
    let Some(kept) = &snapshot.overview.answers else {
        if is_question(snapshot) {
            html.raw("<h2>Answers</h2>\n<p>No answer is recorded. Long answers never are.</p>\n");
        }
        return;
    };
    html.raw("<h2>Answers</h2>\n<div class=\"scroll\" role=\"region\" aria-label=\"Answers\" tabindex=\"0\"><table>");
    put!(html, "<caption>" [caption(kept)] "</caption><thead><tr>");
    for name in ["Answer", "Containers", "Services"] {
        put!(html, "<th scope=\"col\">" [name] "</th>");
    }
    html.raw("</tr></thead><tbody>\n");
    let groups = kept.groups();
    for (value, group) in groups.iter().take(GROUPS_MAX) {
        row(html, value, group);
    }
    html.raw("</tbody></table></div>\n");
    let rest = groups.get(GROUPS_MAX..).unwrap_or_default();
    let others = rest.iter().map(|(_, group)| group.count).sum::<usize>() + kept.ungrouped();
    if others > 0 {
        put!(html, "<p>Other answers of " [count(others, "container")] " are in the table of containers.</p>\n");
    }
}

fn is_question(snapshot: &Snapshot) -> bool {
    let event = snapshot.recorded.broadcast.as_ref().map(|record| &record.event);
    event.is_some_and(|event| event.extensions().get(QUESTION) == Some(&Extension::Boolean(true)))
}

/// `3 distinct answers of 240 containers, the most frequent first; 2 more answers are not recorded`.
fn caption(kept: &KeptAnswers) -> String {
    let (distinct, of) = (count(kept.distinct(), "distinct answer"), count(kept.kept(), "container"));
    let missing = match kept.answered().saturating_sub(kept.kept()) {
        0 => String::new(),
        1 => "; 1 more answer is not recorded".to_owned(),
        more => format!("; {} more answers are not recorded", digits(more)),
    };
    format!("{distinct} of {of}, the most frequent first{missing}")
}

fn row(html: &mut Html, value: &AnswerValue, group: &Group) {
    let answer = value.as_json().unwrap_or("(nothing)");
    put!(html, "<tr><th scope=\"row\" class=\"id answer\">" [cut(answer)] "</th><td class=\"number\">" [digits(group.count)]);
    let mut services: Vec<_> = group.by.iter().collect();
    services.sort_by(|(a, one), (b, other)| other.cmp(one).then_with(|| a.cmp(b)));
    let named =
        services.iter().take(SERVICES_MAX).map(|(name, size)| format!("{} {}", cut(name), digits(**size)));
    let more = services.len().checked_sub(SERVICES_MAX).filter(|more| *more > 0);
    let more = more.map(|more| format!("{} more", digits(more)));
    put!(html, "</td><td>" [named.chain(more).collect::<Vec<_>>().join(", ")] "</td></tr>\n");
}
