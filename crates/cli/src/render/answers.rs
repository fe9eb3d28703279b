//! Answers as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use notifier::base::text::printable;
use notifier::model::{Delivery, Member};
use notifier::report::Line;
use notifier::report::answers::{AnswerValue, Answers, Bucket, DiffLine, Group, KeptAnswers, Numbers, diff};

use super::format::{count, digits, task};
use super::report::{detail, folded};
use super::style::{BAD, BOLD, DIM, GOOD, PLAIN, UNSURE};
use super::table::{Cell, Table};
use crate::ask::Show;

/// Groups that are shown.
const GROUPS_MAX: usize = 20;
/// Tasks of an outlier that are shown.
const TASKS_MAX: usize = 10;
/// Services, revisions and so on that are shown of a group.
const NAMES_MAX: usize = 4;
/// Characters of an answer that are shown.
const ANSWER_CHARS_MAX: usize = 80;
/// Lines of a difference that are shown.
const DIFF_LINES_MAX: usize = 40;
/// Characters of the longest bar of a histogram.
const BAR_CHARS_MAX: usize = 40;

/// What is shown, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) show: Show,
    pub(crate) columns: Option<usize>,
    /// Whole answers, and every task and name that is known.
    pub(crate) in_full: bool,
}

/// The answers, and who answered, said no, and was silent.
pub(crate) fn text(answers: &Answers, shown: Shown) -> String {
    let mut out = match shown.show {
        Show::Groups => groups(answers, shown),
        Show::Outliers => outliers(answers, shown),
        Show::Numbers => numbers(answers, shown),
        Show::Diff => differences(answers, shown),
        Show::Each => String::new(),
    };
    if answers.ungrouped() > 0 {
        let more = count(answers.ungrouped(), "more answer");
        out.push_str(&more);
        out.push_str(" that differ from these, of which too many differ to be kept\n");
    }
    out + &closing(answers, shown)
}

/// One answer.
pub(crate) fn each(delivery: &Delivery, value: &AnswerValue, in_full: bool) -> String {
    let Member { service, .. } = &*delivery.member;
    format!(
        "{}  {}  {}",
        printable(service, usize::MAX),
        printable(&who(&delivery.member, in_full), usize::MAX),
        answer(value, in_full)
    )
}

/// A task and its container.
fn who(member: &Member, in_full: bool) -> String {
    format!("{}/{}", task(&member.task, in_full), member.container)
}

/// An answer on one line.
fn answer(value: &AnswerValue, in_full: bool) -> String {
    let Some(json) = value.as_json() else { return "(nothing)".to_owned() };
    let chars_max = if in_full { usize::MAX } else { ANSWER_CHARS_MAX };
    let more = if json.chars().nth(chars_max).is_some() { "…" } else { "" };
    let cut = if value.is_cut() { " (longer than --answer-max)" } else { "" };
    format!("{}{more}{cut}", printable(json, chars_max))
}

/// `checkout 12, search 8, … 3 more`.
fn names(by: &BTreeMap<String, usize>, in_full: bool) -> String {
    let mut by: Vec<_> = by.iter().collect();
    by.sort_by(|(a, one), (b, other)| other.cmp(one).then_with(|| a.cmp(b)));
    let most = if in_full { usize::MAX } else { NAMES_MAX };
    let shown = by.iter().take(most).map(|(name, count)| format!("{name} {}", digits(**count)));
    let more = by.len().checked_sub(most).filter(|more| *more > 0).map(|more| format!("… {more} more"));
    shown.chain(more).collect::<Vec<_>>().join(", ")
}

/// Groups with their sizes, aligned to the right.
struct Sizes(usize);

impl Sizes {
    fn of(groups: &[(&AnswerValue, &Group)]) -> Self {
        Self(groups.first().map_or(0, |(_, group)| digits(group.count).len()))
    }

    fn row(&self, (value, group): (&AnswerValue, &Group), shown: Shown) -> [Cell; 3] {
        let width = self.0;
        [
            Cell::new(format!("{:>width$}", digits(group.count)), BOLD),
            Cell::from(answer(value, shown.in_full)),
            Cell::new(names(&group.by, shown.in_full), DIM),
        ]
    }
}

/// `3 distinct answers`.
fn distinct(groups: &[(&AnswerValue, &Group)]) -> String {
    format!("{}\n", count(groups.len(), "distinct answer"))
}

/// A line for the groups that are not shown.
fn more(groups: &[(&AnswerValue, &Group)], table: &mut Table) {
    let rest = groups.get(GROUPS_MAX..).unwrap_or_default();
    if !rest.is_empty() {
        let containers: usize = rest.iter().map(|(_, group)| group.count).sum();
        let of = count(containers, "container");
        table.row(1, [Cell::new(format!("… {} more of {of}", count(rest.len(), "answer")), DIM)]);
    }
}

fn groups(answers: &Answers, shown: Shown) -> String {
    let groups = answers.groups();
    distinct(&groups) + &table(&groups, shown)
}

/// A row for each group, the largest first.
fn table(groups: &[(&AnswerValue, &Group)], shown: Shown) -> String {
    let (sizes, mut table) = (Sizes::of(groups), Table::default());
    for group in groups.iter().take(if shown.in_full { usize::MAX } else { GROUPS_MAX }) {
        table.row(1, sizes.row(*group, shown));
    }
    if !shown.in_full {
        more(groups, &mut table);
    }
    table.render(shown.columns)
}

/// The answers that are recorded of a question; empty if there are none.
pub(crate) fn kept(kept: Option<&KeptAnswers>, columns: Option<usize>, in_full: bool) -> String {
    let Some(kept) = kept else { return String::new() };
    let (recorded, answered) = (digits(kept.kept()), count(kept.answered(), "answer"));
    let distinct = format!("{recorded} of {answered} recorded, {} distinct\n", digits(kept.distinct()));
    distinct + &table(&kept.groups(), Shown { show: Show::Groups, columns, in_full })
}

/// All groups but the one that the others are compared with, with their tasks.
fn outliers(answers: &Answers, shown: Shown) -> String {
    let groups = answers.groups();
    let (sizes, mut out) = (Sizes::of(&groups), String::new());
    let most = if shown.in_full { usize::MAX } else { GROUPS_MAX };
    let (usual, others): (Vec<_>, Vec<_>) =
        groups.iter().enumerate().partition(|(place, (value, _))| answers.is_usual(*place, value));
    for (_, group) in usual {
        let mut table = Table::default();
        table.row(1, sizes.row(*group, shown));
        out += &table.render(shown.columns);
    }
    if others.is_empty() {
        return out + "no outliers\n";
    }
    out += "outliers\n";
    for (_, group) in others.iter().take(most) {
        let mut table = Table::default();
        table.row(1, sizes.row(**group, shown));
        let members = &group.1.members;
        let tasks = members.iter().take(if shown.in_full { usize::MAX } else { TASKS_MAX });
        let mut named = 0;
        for member in tasks {
            named += 1;
            table.row(2, [Cell::from(who(member, shown.in_full)), Cell::new(&member.service, DIM)]);
        }
        if group.1.count > named {
            table.row(2, [Cell::new(format!("… {} more", digits(group.1.count - named)), DIM)]);
        }
        out += &table.render(shown.columns);
    }
    if others.len() > most {
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "  … {} more", count(others.len() - most, "answer"));
    }
    out
}

fn numbers(answers: &Answers, shown: Shown) -> String {
    let Some(Numbers { count: numbers, min, p50, p99, max, buckets }) = answers.numbers() else {
        return "no answer is a number\n".to_owned();
    };
    let mut out = format!("{}: min {min}  p50 {p50}  p99 {p99}  max {max}\n", count(numbers, "number"));
    let largest = buckets.iter().map(|bucket| bucket.count).max().unwrap_or_default().max(1);
    let ends: Vec<_> =
        buckets.iter().map(|Bucket { from, to, .. }| [from, to].map(|end| rounded(*end))).collect();
    let width = ends.iter().flatten().map(String::len).max().unwrap_or_default();
    let mut table = Table::default();
    for (Bucket { count: size, .. }, [from, to]) in buckets.iter().zip(&ends) {
        let bar = (size * BAR_CHARS_MAX).div_ceil(largest);
        table.row(
            1,
            [
                Cell::new(format!("{from:>width$} … {to:>width$}"), DIM),
                Cell::new("█".repeat(bar), GOOD),
                Cell::from(digits(*size)),
            ],
        );
    }
    out += &table.render(shown.columns);
    let others = answers.counts().delivered - numbers;
    if others > 0 {
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "{} no number", count_are(others));
    }
    out
}

/// `1 answer is`, `2 answers are`.
fn count_are(number: usize) -> String {
    format!("{} {}", count(number, "answer"), if number == 1 { "is" } else { "are" })
}

/// The end of a bucket with six significant digits.
fn rounded(number: f64) -> String {
    format!("{number:.5e}").parse::<f64>().map_or_else(|_| number.to_string(), |number| number.to_string())
}

/// Each group against the one that the others are compared with.
fn differences(answers: &Answers, shown: Shown) -> String {
    let groups = answers.groups();
    let usual = groups.iter().enumerate().find(|(place, (value, _))| answers.is_usual(*place, value));
    let usual = usual.or_else(|| groups.iter().enumerate().next());
    let Some((usual_place, usual)) = usual else { return distinct(&groups) };
    let (sizes, mut out) = (Sizes::of(&groups), distinct(&groups));
    let mut table = Table::default();
    table.row(1, sizes.row(*usual, shown));
    out += &table.render(shown.columns);
    let others = groups.iter().enumerate().filter(|(place, _)| *place != usual_place).map(|(_, group)| group);
    let most = if shown.in_full { usize::MAX } else { GROUPS_MAX };
    for (value, group) in others.clone().take(most) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "{}: {}",
            count(group.count, "container"),
            printable(&names(&group.by, shown.in_full), usize::MAX)
        );
        let lines = diff(usual.0.as_json().unwrap_or_default(), value.as_json().unwrap_or_default());
        let lines_max = if shown.in_full { usize::MAX } else { DIFF_LINES_MAX };
        for line in lines.iter().take(lines_max) {
            let (mark, style, text) = match line {
                DiffLine::Same(text) => (' ', PLAIN, text.clone()),
                DiffLine::Removed(text) => ('-', BAD, text.clone()),
                DiffLine::Added(text) => ('+', GOOD, text.clone()),
                DiffLine::Skipped(lines) => ('…', DIM, count(*lines, "line")),
            };
            let _ = writeln!(out, "  {style}{mark} {}{style:#}", printable(&text, usize::MAX));
        }
        if lines.len() > lines_max {
            let _ = writeln!(out, "  … {} (--verbose shows all)", count(lines.len() - lines_max, "line"));
        }
    }
    let hidden = others.count().saturating_sub(most);
    if hidden > 0 {
        let _ = writeln!(out, "… {} more", count(hidden, "answer"));
    }
    out
}

/// Who answered, who said no, and who was silent.
fn closing(answers: &Answers, shown: Shown) -> String {
    let (said_no, silent) = (answers.said_no(), answers.silent());
    let answered = answers.counts().delivered;
    let asked = count(answers.counts().total(), "container");
    let mut table = Table::default();
    let mut list = |name: &str, size: usize, style, what: String| {
        table.row(0, [Cell::new(name, BOLD), Cell::new(digits(size), style), Cell::new(what, DIM)]);
    };
    let bad = |size: usize| if size > 0 { BAD } else { PLAIN };
    list(
        "answered",
        answered,
        if answered > 0 { GOOD } else { UNSURE },
        names(answers.answered_by(), shown.in_full),
    );
    list("said no", said_no.len(), bad(said_no.len()), String::new());
    for row in others(&said_no, shown.in_full) {
        table.row(1, row);
    }
    let mut list = |name: &str, size: usize, style| {
        table.row(0, [Cell::new(name, BOLD), Cell::new(digits(size), style), Cell::from("")]);
    };
    list("silent", silent.len(), bad(silent.len()));
    for row in others(&silent, shown.in_full) {
        table.row(1, row);
    }
    format!("{asked} asked\n{}", table.render(shown.columns))
}

/// A row for each container, or for many with one reason, with its service.
fn others(others: &[&Delivery], in_full: bool) -> Vec<Vec<Cell>> {
    let lines = others.iter().map(|other| Line::of_delivery(other, None)).collect();
    let rows = folded(lines, in_full).into_iter();
    rows.map(|lines| {
        let services: std::collections::BTreeSet<_> = lines.iter().filter_map(|line| line.service).collect();
        let mut row = detail(&lines, in_full);
        let reason = row.pop();
        row.push(Cell::new(services.into_iter().collect::<Vec<_>>().join(", "), DIM));
        row.extend(reason);
        row
    })
    .collect()
}
