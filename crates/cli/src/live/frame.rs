//! The text of the live display, for a view, the size of the terminal and the time. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use notifier::report::Counts;
use textwrap::core::display_width;

use super::view::{Service, Stage, View};
use crate::console::Room;
use crate::render::format::{count, digits};
use crate::render::style::{BAD, BOLD, DIM, GOOD, UNSURE};
use crate::render::table::cut;

/// The frames of the spinner.
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// The widest bar.
const BAR_COLUMNS_MAX: usize = 40;
/// The narrowest bar.
const BAR_COLUMNS_MIN: usize = 4;
/// The widest service name.
const NAME_COLUMNS_MAX: usize = 28;
/// Columns for the text behind a bar, so that bars keep their width while numbers grow.
const SAID_COLUMNS_MIN: usize = 14;
/// Rows of the terminal that the block leaves free: the row of the cursor, and one row of earlier output.
const ROWS_FREE: usize = 2;
/// Lines of the block that are not bars: the total, and what the broadcast waits for.
const LINES_OF_ALL: usize = 2;
/// Pending services that are named.
const SERVICES_NAMED_MAX: usize = 3;
/// Shorter waits are not shown: they would be over before anyone could read them.
const WAIT_MIN: Duration = Duration::from_secs(1);

/// The block: a bar for each service, the total, and what the broadcast waits for. Without room for every bar,
/// services with problems keep their bar and one line sums up the others.
pub(super) fn frame(view: &View, room: Room, tick: usize, elapsed: Duration) -> Vec<String> {
    let spinner = SPINNER.get(tick % SPINNER.len()).unwrap_or(&' ');
    let first = |text: &str| {
        let text = format!("{}  {text}", clock(elapsed));
        format!("{spinner} {}", cut(&text, room.columns.saturating_sub(2)))
    };
    let mut all = Counts::default();
    for service in &view.services {
        all.merge(service.counts);
    }
    let doing = match view.stage {
        Stage::NotBegun => Some("the broadcast has not begun"),
        Stage::Services => Some("looking for services"),
        Stage::Tasks => Some("looking for tasks"),
        Stage::Calling | Stage::Stopping => None,
    };
    if let Some(doing) = doing.filter(|_| view.services.is_empty()) {
        let parts = [doing.to_owned()].into_iter().chain(budget(view));
        return vec![first(&parts.collect::<Vec<_>>().join("; "))];
    }
    let lines_max = room.rows.saturating_sub(ROWS_FREE).max(1);
    let mut lines = bars(&view.services, room.columns, lines_max.saturating_sub(LINES_OF_ALL));
    lines.push(first(&total(view, all)));
    let columns = room.columns.saturating_sub(2);
    lines.extend(waits(view, all, columns).map(|text| format!("  {}", cut(&text, columns))));
    lines.truncate(lines_max);
    lines
}

/// `0:07`, `1:02:03`.
fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `12 of 14 containers notified, 2 failed`.
fn total(view: &View, all: Counts) -> String {
    let retrying: usize = view.services.iter().map(|service| service.retrying).sum();
    let retrying = (retrying > 0).then(|| format!(", {} retrying", digits(retrying)));
    let wave = view.wave.map(|(wave, waves)| format!("wave {wave} of {waves}: "));
    format!(
        "{}{} of {} notified{}{}",
        wave.unwrap_or_default(),
        digits(all.notified()),
        count(all.total(), "container"),
        troubles(all),
        retrying.unwrap_or_default()
    )
}

/// `, 2 failed, 1 rejected`: the numbers that are not zero.
fn troubles(counts: Counts) -> String {
    let Counts { failed, rejected, skipped, .. } = counts;
    let mut out = String::new();
    for (number, word) in [(failed, "failed"), (rejected, "rejected"), (skipped, "skipped")] {
        if number > 0 {
            // Writing to a `String` cannot fail.
            let _ = write!(out, ", {} {word}", digits(number));
        }
    }
    out
}

/// What the broadcast waits for; `None` if no container is pending. Containers are named if there is room.
fn waits(view: &View, all: Counts, columns: usize) -> Option<String> {
    if view.stage == Stage::Stopping {
        let grace = notifier::deliver::GRACE_DEFAULT.as_secs();
        return Some(format!(
            "interrupted: up to {grace} s for the calls in flight; Ctrl-C again ends at once"
        ));
    }
    if all.pending == 0 {
        return None;
    }
    let named = format!("waiting for {}", view.last.join(", "));
    let is_named = !view.last.is_empty() && display_width(&named) <= columns;
    let whom = if is_named { named } else { format!("waiting for {}", services(&view.services)) };
    let retry = view.retry_in.filter(|wait| *wait >= WAIT_MIN);
    let retry = retry.map(|wait| format!("next retry in {} s", wait.as_millis().div_ceil(1_000)));
    let parts = [whom].into_iter().chain(retry).chain(budget(view));
    Some(parts.collect::<Vec<_>>().join("; "))
}

fn budget(view: &View) -> Option<String> {
    let verb = if view.budget_waits == 1 { "waits" } else { "wait" };
    (view.budget_waits > 0)
        .then(|| format!("{} to AWS {verb} for the request budget", count(view.budget_waits, "request")))
}

/// `search (312), web (2) and 4 more services`: those with the most pending containers first.
fn services(services: &[Service]) -> String {
    let mut pending: Vec<_> = services.iter().filter(|service| service.counts.pending > 0).collect();
    pending.sort_by_key(|service| std::cmp::Reverse(service.counts.pending));
    let named = pending.iter().take(SERVICES_NAMED_MAX);
    let named: Vec<_> =
        named.map(|service| format!("{} ({})", service.name, digits(service.counts.pending))).collect();
    let more = match pending.len().saturating_sub(SERVICES_NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {}", count(more, "more service")),
    };
    format!("{}{more}", named.join(", "))
}

/// The rank of a service whose containers are all notified.
const DONE: u8 = 4;

/// Which services keep their bars: first those with a failed or rejected container, then those with a call in flight,
/// then those that only wait for a retry.
fn trouble(service: &Service) -> u8 {
    match service.counts {
        Counts { failed: 0, rejected: 0, pending: 0, skipped: 0, .. } => DONE,
        Counts { failed: 0, rejected: 0, pending: 0, .. } => 3,
        Counts { failed: 0, rejected: 0, pending, .. } if pending == service.retrying => 2,
        Counts { failed: 0, rejected: 0, .. } => 1,
        _ => 0,
    }
}

/// A line for each service, in the order of names, with at most `lines_max` lines.
fn bars(services: &[Service], columns: usize, lines_max: usize) -> Vec<String> {
    let mut shown: Vec<&Service> = services.iter().collect();
    let mut folded = Vec::new();
    if services.len() > lines_max {
        // One line sums up the others; as the only line it would repeat the total.
        let Some(most) = lines_max.checked_sub(1).filter(|most| *most > 0) else { return Vec::new() };
        shown.sort_by_key(|service| trouble(service));
        // Finished services do not take the room of unfinished ones.
        let troubled = shown.iter().filter(|service| trouble(service) < DONE).count();
        folded = shown.split_off(most.min(troubled));
        shown.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let said: Vec<_> = shown.iter().map(|service| progress(service.counts)).collect();
    let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or_default();
    let name_columns = widest(&mut shown.iter().map(|service| display_width(&service.name)));
    let name_columns = name_columns.clamp(1, NAME_COLUMNS_MAX.min(columns / 3));
    let said_columns = widest(&mut said.iter().map(|said| display_width(said))).max(SAID_COLUMNS_MIN);
    let bar_columns = columns.saturating_sub(name_columns + said_columns + 4).min(BAR_COLUMNS_MAX);
    let line = |(service, said): (&Service, &String)| {
        let name = cut(&service.name, name_columns);
        let padding = " ".repeat(name_columns - display_width(&name).min(name_columns));
        let bar = match bar_columns {
            BAR_COLUMNS_MIN.. => format!("{}  ", bar(service.counts, bar_columns)),
            _ => String::new(),
        };
        let said = cut(said, columns.saturating_sub(name_columns + 2));
        format!("{BOLD}{name}{BOLD:#}{padding}  {bar}{said}")
    };
    let mut lines: Vec<_> = shown.into_iter().zip(&said).map(line).collect();
    let and = if lines.is_empty() { "" } else { "… and " };
    lines.extend(fold(&folded).map(|text| cut(&format!("{and}{text}"), columns)));
    lines
}

/// `12 of 14, 2 failed`.
fn progress(counts: Counts) -> String {
    format!("{} of {}{}", digits(counts.notified()), digits(counts.total()), troubles(counts))
}

/// `31 services, all notified`.
fn fold(folded: &[&Service]) -> Option<String> {
    let mut counts = Counts::default();
    for service in folded {
        counts.merge(service.counts);
    }
    let how = if counts.notified() == counts.total() { "all notified".to_owned() } else { progress(counts) };
    (!folded.is_empty()).then(|| format!("{}, {how}", count(folded.len(), "service")))
}

/// A bar of this width, shared by the outcomes in proportion; each outcome gets at least one column if there is room.
/// Each has its own sign, so that the bar is clear without colour.
fn bar(counts: Counts, columns: usize) -> String {
    let parts = [
        (counts.notified(), '█', GOOD),
        (counts.failed + counts.rejected, 'x', BAD),
        (counts.skipped, '-', UNSURE),
        (counts.pending, '░', DIM),
    ];
    let widths = shares(parts.map(|(number, ..)| number), columns);
    let mut out = String::new();
    for ((_, sign, style), width) in parts.into_iter().zip(widths) {
        if width > 0 {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "{style}{}{style:#}", sign.to_string().repeat(width));
        }
    }
    out
}

/// The columns of each number. They sum up to `columns` unless all numbers are zero.
fn shares(numbers: [usize; 4], columns: usize) -> [usize; 4] {
    let total = numbers.iter().sum::<usize>();
    if total == 0 {
        return [0; 4];
    }
    let mut widths = numbers.map(|number| (number * columns / total).max(usize::from(number > 0)));
    // At most four columns too many or too few, by rounding.
    while let taken = widths.iter().sum::<usize>()
        && taken != columns
        && let Some((width, _)) =
            widths.iter_mut().zip(numbers).max_by_key(|(width, number)| (**width, *number))
    {
        *width = if taken > columns { *width - 1 } else { *width + 1 };
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn service(name: &str, counts: Counts) -> Service {
        Service { name: name.to_owned(), counts, retrying: 0 }
    }

    fn calling(services: Vec<Service>) -> View {
        View { stage: Stage::Calling, services, ..View::default() }
    }

    fn notified(delivered: usize) -> Counts {
        Counts { delivered, ..Counts::default() }
    }

    /// The lines of the frame after seven seconds.
    fn lines(view: &View, columns: usize, rows: usize) -> Vec<String> {
        let lines = frame(view, Room { columns, rows }, 0, Duration::from_secs(7));
        lines.iter().map(|line| plain(line)).collect()
    }

    #[test]
    fn a_bar_shows_each_outcome_by_a_sign_of_its_own_however_rare_it_is() {
        let check = |[delivered, failed, skipped, pending]: [usize; 4], columns, expected: &str| {
            let counts = Counts { delivered, failed, skipped, pending, ..Counts::default() };
            assert_eq!(plain(&bar(counts, columns)), expected, "{counts:?}");
        };
        check([0, 0, 0, 4], 8, "░░░░░░░░");
        check([1, 0, 0, 3], 8, "██░░░░░░");
        check([4, 0, 0, 0], 8, "████████");
        check([0, 1, 0, 0], 8, "xxxxxxxx");
        check([4, 2, 1, 1], 8, "████xx-░");
        check([999, 1, 0, 0], 8, "███████x");
        check([999, 0, 0, 1], 4, "███░");
        check([99_997, 1, 1, 1], 4, "█x-░");
        check([0, 0, 0, 0], 4, "");
        let rejected = Counts { rejected: 1, gone: 1, ..Counts::default() };
        assert_eq!(plain(&bar(rejected, 4)), "██xx");
    }

    #[test]
    fn a_bar_is_always_as_wide_as_it_may_be() {
        for columns in 4..=40 {
            for numbers in [[1, 1, 1, 1], [7, 5, 3, 2], [1_000_000, 1, 1, 1], [1, 0, 1, 0], [3, 3, 3, 0]] {
                let widths = shares(numbers, columns);
                assert_eq!(widths.iter().sum::<usize>(), columns, "{numbers:?}");
                assert!(widths.iter().zip(numbers).all(|(width, number)| (*width > 0) == (number > 0)));
            }
        }
    }

    #[test]
    fn each_line_shows_failures_and_the_last_ones_the_total_and_the_waits() {
        let mut view = calling(vec![
            service("checkout", Counts { delivered: 12, failed: 2, ..Counts::default() }),
            service("search", Counts { rejected: 1, skipped: 1, pending: 1_200, ..Counts::default() }),
            service("web", Counts { delivered: 3, pending: 2, ..Counts::default() }),
        ]);
        insta::assert_snapshot!(lines(&view, 80, 24).join("\n"), @r"
        checkout  ██████████████████████████████xxxxx  12 of 14, 2 failed
        search    x-░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  0 of 1,202, 1 rejected, 1 skipped
        web       █████████████████████░░░░░░░░░░░░░░  3 of 5
        ⠋ 0:07  15 of 1,221 containers notified, 2 failed, 1 rejected, 1 skipped
          waiting for search (1,200), web (2)
        ");
        view.services[2].retrying = 2;
        (view.retry_in, view.budget_waits) = (Some(Duration::from_millis(11_200)), 3);
        insta::assert_snapshot!(lines(&view, 120, 24)[3..].join("\n"), @r"
        ⠋ 0:07  15 of 1,221 containers notified, 2 failed, 1 rejected, 1 skipped, 2 retrying
          waiting for search (1,200), web (2); next retry in 12 s; 3 requests to AWS wait for the request budget
        ");
        view.last = vec!["web 54e4a733/app".to_owned()];
        (view.retry_in, view.budget_waits) = (Some(Duration::from_millis(200)), 1);
        let waits = "  waiting for web 54e4a733/app; 1 request to AWS waits for the request budget";
        assert_eq!(lines(&view, 100, 24)[4], waits);
        assert!(lines(&view, 29, 24)[4].starts_with("  waiting for search (1,200)"), "no name is cut");
        view.stage = Stage::Stopping;
        let ends = "  interrupted: up to 2 s for the calls in flight; Ctrl-C again ends at once";
        assert_eq!(lines(&view, 100, 24)[4], ends);
    }

    #[test]
    fn without_a_pending_container_there_is_no_line_of_waits() {
        let view = calling(vec![service("web", notified(3))]);
        assert_eq!(lines(&view, 80, 24).len(), 2);
    }

    #[test]
    fn more_services_than_rows_keep_those_in_trouble_and_fold_the_others() {
        let mut services: Vec<_> =
            (10..43).map(|number| service(&format!("fine-{number}"), notified(2))).collect();
        services.push(service("late", Counts { pending: 1, ..Counts::default() }));
        services.push(service("odd", Counts { skipped: 1, ..Counts::default() }));
        services.push(service("wrong", Counts { failed: 1, ..Counts::default() }));
        let mut view = calling(services);
        insta::assert_snapshot!(lines(&view, 60, 8).join("\n"), @r"
        late   ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  0 of 1
        odd    ----------------------------------  0 of 1, 1 skipped
        wrong  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx  0 of 1, 1 failed
        … and 33 services, all notified
        ⠋ 0:07  66 of 69 containers notified, 1 failed, 1 skipped
          waiting for late (1)
        ");
        // A service that only waits for a retry gives way to one with a call in flight.
        view.services.push(service("retried", Counts { pending: 1, ..Counts::default() }));
        view.services[36].retrying = 1;
        insta::assert_snapshot!(lines(&view, 70, 7).join("\n"), @r"
        late   ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  0 of 1
        wrong  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx  0 of 1, 1 failed
        … and 35 services, 66 of 68, 1 skipped
        ⠋ 0:07  66 of 70 containers notified, 1 failed, 1 skipped, 1 retrying
          waiting for late (1), retried (1)
        ");
    }

    #[test]
    fn services_that_are_done_take_no_rows_from_the_others() {
        let mut services: Vec<_> =
            (10..43).map(|number| service(&format!("fine-{number}"), notified(2))).collect();
        let bars = |services: &[Service]| lines(&calling(services.to_vec()), 60, 20).len() - 1;
        assert_eq!(lines(&calling(services.clone()), 60, 20)[0], "33 services, all notified");
        services.push(service("wrong", Counts { failed: 1, ..Counts::default() }));
        assert_eq!(bars(&services), 2, "one bar, and a line for the others");
    }

    #[test]
    fn no_frame_is_higher_than_the_screen_and_no_line_wider() {
        let counts =
            Counts { delivered: 123_456, failed: 7_890, rejected: 12, pending: 3, ..Counts::default() };
        for number in [1, 3, 20, 21, 1_000] {
            let name = |number| format!("service-{number}-with-quite-a-long-name-テスト");
            let services = (0..number).map(|number| service(&name(number), counts)).collect();
            let view = View { retry_in: Some(Duration::from_secs(9)), ..calling(services) };
            for (columns, rows) in [(40, 24), (60, 24), (80, 4), (200, 50), (40, 1), (40, 3), (40, 5)] {
                let lines = lines(&view, columns, rows);
                assert!(lines.len() <= rows.saturating_sub(2).max(1), "{number} in {rows}: {lines:#?}");
                for line in &lines {
                    assert!(display_width(line) <= columns, "{columns}: {line}");
                }
                assert!(lines.iter().any(|line| line.contains("0:07")), "{lines:#?}");
            }
        }
    }

    #[test]
    fn before_any_container_is_known_the_frame_shows_the_stage() {
        let frame = |stage, budget_waits, tick| {
            let view = View { stage, budget_waits, ..View::default() };
            super::frame(&view, Room { columns: 80, rows: 24 }, tick, Duration::from_secs(3_723))
        };
        assert_eq!(frame(Stage::Services, 0, 0), ["⠋ 1:02:03  looking for services"]);
        assert_eq!(frame(Stage::NotBegun, 0, 11), ["⠙ 1:02:03  the broadcast has not begun"]);
        let waits = ["⠋ 1:02:03  looking for tasks; 12 requests to AWS wait for the request budget"];
        assert_eq!(frame(Stage::Tasks, 12, 10), waits);
        let one = frame(Stage::Tasks, 1, 0);
        assert!(one[0].ends_with("; 1 request to AWS waits for the request budget"), "{one:?}");
    }
}
