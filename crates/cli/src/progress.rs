//! Progress of a broadcast in the chosen form: a live display, JSON lines, or none.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use notifier::base::Clock;
use notifier::base::events::{Heard, WAITING_MAX};
use notifier::ledger::Recorded;
use notifier::model::Progress;
use notifier::report::{Counts, Event, events};

use crate::args::Progress as Shown;
use crate::console::{Console, line};
use crate::failure::Failure;
use crate::live::{Shared, View, locked};
use crate::render::report::total;

/// Time limit at the end of a run for a slow reader of the lines.
const FLUSH_MAX: Duration = Duration::from_secs(60);

/// Records every event in the state, which `live` draws. JSON lines are written on a separate thread: if the reader is
/// too slow, events are dropped, and a line says how many.
pub(crate) fn follow(state: &Shared, console: &Console) -> Result<Progress, Failure> {
    let state = Arc::clone(state);
    let mut progress =
        Progress::default().observed_by(move |event| locked(&state).note_at(event, Instant::now()));
    if console.progress == Shown::Json {
        let (stderr, clock) = (console.stderr(), Clock::system());
        let write = move |heard| {
            let now = Some(clock.now());
            let lines = match &heard {
                // In one write, so that the endpoints of a part follow it.
                Heard::Event(event) => events(event, now).iter().map(line).collect(),
                Heard::Missed(events) => line(&Event::missed(*events, now)),
            };
            stderr.write(&lines);
        };
        progress.listen(WAITING_MAX).on_thread("progress", write).map_err(Failure::runtime)?;
    }
    Ok(progress)
}

/// Waits until the lines of all events so far are written.
pub(crate) async fn finish(progress: &Progress) {
    progress.flush(FLUSH_MAX).await;
}

/// Progress of a broadcast that is polled from the ledger.
#[derive(Default)]
pub(crate) struct Polled {
    /// The state at the last poll; `None` before the first.
    last: Option<State>,
    /// The view for the live display.
    view: Arc<Mutex<View>>,
}

/// The state of a polled broadcast.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    NotBegun,
    Begun { counts: Counts, is_complete: bool },
}

impl Polled {
    /// The view at the last poll, for `live`.
    pub(crate) fn view(&self) -> Arc<Mutex<View>> {
        Arc::clone(&self.view)
    }

    /// Shows the state if it has changed; `None` if the broadcast has not begun. On a terminal, `live` draws it.
    pub(crate) fn show(&mut self, found: Option<&Recorded>, console: &mut Console) {
        let state = found.map_or(State::NotBegun, |found| State::Begun {
            counts: found.report.counts(),
            is_complete: found.is_complete,
        });
        if console.stderr().room.is_some() {
            *locked(&self.view) = View::of_ledger(found);
            return;
        }
        if self.last.replace(state) == Some(state) {
            return;
        }
        match (console.progress, found) {
            (Shown::None, _) | (Shown::Json, None) => {}
            (Shown::Json, Some(found)) => {
                let now = Clock::system().now();
                console.stderr().write(&line(&Event::counts(&found.report, found.is_complete, Some(now))));
            }
            (Shown::Auto, None) => console.note("the broadcast has not begun"),
            (Shown::Auto, Some(found)) => {
                let text = console.prose(&total(found.report.counts()));
                console.note_rendered(&text);
            }
        }
    }
}
