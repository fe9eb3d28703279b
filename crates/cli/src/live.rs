//! What happens, while it happens: a block of lines at the end of stderr that is drawn again and again.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notifier::outcome::Outcome;
use notifier::report::{Counts, Tally};
use notifier::text::printable;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::console::{Room, Talk};
use crate::render::style::{self, BOLD, DIM};
use crate::render::table::cut;
use crate::render::units::{count, digits};

/// Between two drawings.
const TICK: Duration = Duration::from_millis(80);
/// One of these at a time shows that something goes on.
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// The widest that a bar gets.
const BAR_COLUMNS_MAX: usize = 40;
/// The widest that a service's name gets.
const NAME_COLUMNS_MAX: usize = 28;

/// A tally that several follow.
pub(crate) type Shared = Arc<Mutex<Tally>>;

/// Draws a tally until it is finished; nothing where nobody watches.
pub(crate) struct Live {
    talk: Talk,
    stop: CancellationToken,
    drawing: Option<JoinHandle<()>>,
}

impl Live {
    pub(crate) fn start(talk: Talk, tally: Shared) -> Self {
        let stop = CancellationToken::new();
        let drawing = talk.room.map(|room| tokio::spawn(draw(talk.clone(), room, tally, stop.clone())));
        Self { talk, stop, drawing }
    }

    /// Draws for the last time and takes the block away.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        if let Some(drawing) = self.drawing {
            // It only ends by being told to.
            drop(drawing.await);
            self.talk.draw(&[]);
        }
    }
}

async fn draw(talk: Talk, room: Room, tally: Shared, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    let mut number = 0;
    while !stop.is_cancelled() {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => {}
        }
        let lines = {
            let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            frame(&tally, room.columns, room.rows, number)
        };
        talk.draw(&lines);
        number += 1;
    }
}

/// The block: a bar for each service where there is room for all of them, and a line for all together.
fn frame(tally: &Tally, columns: usize, rows: usize, number: usize) -> Vec<String> {
    let spinner = SPINNER.get(number % SPINNER.len()).unwrap_or(&' ');
    let services: Vec<(String, Counts)> =
        tally.services().map(|(name, counts)| (printable(name, usize::MAX), counts)).collect();
    if services.is_empty() {
        let doing = if tally.is_surveyed() { "looking for tasks" } else { "looking for services" };
        return vec![format!("{spinner} {doing}")];
    }
    let mut all = Counts::default();
    for (_, counts) in &services {
        all.merge(*counts);
    }
    let mut lines = Vec::new();
    if services.len() + 3 <= rows {
        let longest = services.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        let name_columns = longest.clamp(1, NAME_COLUMNS_MAX.min(columns / 3));
        for (name, counts) in services {
            let name = cut(&name, name_columns);
            let said = format!("{} of {}", digits(counts.told()), digits(counts.total()));
            let room = columns.saturating_sub(name_columns + 18).min(BAR_COLUMNS_MAX);
            lines.push(format!("{BOLD}{name:<name_columns$}{BOLD:#}  {}  {said}", bar(counts, room)));
        }
    }
    let retrying = match tally.retrying() {
        0 => String::new(),
        number => format!(", {} to be tried again", digits(number)),
    };
    let total = format!("{} of {} told{retrying}", digits(all.told()), count(all.total(), "container"));
    lines.push(format!("{spinner} {}", cut(&total, columns.saturating_sub(2))));
    lines
}

/// So many columns, each part as wide as its share; whoever is there gets a column if there is one.
fn bar(counts: Counts, columns: usize) -> String {
    let total = counts.total().max(1);
    let mut out = String::new();
    let (mut seen, mut drawn) = (0, 0);
    let outcomes = Outcome::ALL.into_iter().map(Some).chain([None]);
    for outcome in outcomes {
        seen += counts.of(outcome);
        let end = (seen * columns).div_ceil(total);
        let style = outcome.map_or(DIM, |outcome| style::of(Some(outcome)));
        let sign = if outcome.is_some() { "█" } else { "░" };
        if end > drawn {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "{style}{}{style:#}", sign.repeat(end - drawn));
            drawn = end;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use notifier::fleet::{Member, Skip, SkipReason};
    use notifier::outcome::Skipped;
    use notifier::progress::Step;

    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_bar_is_as_wide_as_it_may_be_and_shares_that() {
        let check = |delivered, pending, columns, expected: &str| {
            let counts = Counts { delivered, pending, ..Counts::default() };
            assert_eq!(plain(&bar(counts, columns)), expected);
        };
        check(0, 4, 8, "░░░░░░░░");
        check(1, 3, 8, "██░░░░░░");
        check(4, 0, 8, "████████");
        check(999, 1, 4, "████");
        check(0, 0, 4, "");
    }

    fn tally(services: usize) -> Tally {
        let broadcast: wire::BroadcastId = "b".to_owned().try_into().unwrap();
        let mut tally = Tally::new(broadcast.clone());
        for number in 0..services {
            let service = format!("service-{number}-with-quite-a-long-name");
            let member = Member { service, task: "t".into(), ..Member::default() };
            let skip = Skip { member, reason: SkipReason::NoNetwork };
            tally.note(Step::Skipped(Skipped { broadcast: broadcast.clone(), skip }));
        }
        tally
    }

    #[test]
    fn each_service_has_a_bar_where_there_is_room_and_no_line_is_too_long() {
        for (services, rows, expected) in [(3, 24, 4), (21, 24, 22), (22, 24, 1), (3, 4, 1)] {
            for columns in [40, 60, 80, 200] {
                let lines = frame(&tally(services), columns, rows, 0);
                assert_eq!(lines.len(), expected, "{services} services in {rows} rows");
                for line in lines.iter().map(|line| plain(line)) {
                    assert!(line.chars().count() <= columns, "{columns}: {line}");
                    assert!(expected == 1 || !line.starts_with("service") || line.contains('…'), "{line}");
                }
            }
        }
        assert_eq!(plain(&frame(&tally(22), 80, 24, 0).concat()), "⠋ 0 of 22 containers told");
    }

    #[test]
    fn before_anything_is_known_the_frame_says_what_goes_on() {
        let tally = Tally::new("b".to_owned().try_into().unwrap());
        assert_eq!(frame(&tally, 80, 24, 0), ["⠋ looking for services"]);
        assert_eq!(frame(&tally, 80, 24, 11), ["⠙ looking for services"]);
    }
}
