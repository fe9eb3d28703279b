//! How a broadcast goes, in the way that was asked for: drawn by `live`, as JSON lines, or not at all.

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

/// How long the end of a run waits for the reader of the lines.
const FLUSH_MAX: Duration = Duration::from_secs(60);

/// Notes every event in the state, which `live` draws. Where JSON lines are wanted, writes them on a thread of its own: a
/// reader that is too slow misses events, and a line says how many.
pub(crate) fn follow(state: &Shared, console: &Console) -> Result<Progress, Failure> {
    let state = Arc::clone(state);
    let mut progress =
        Progress::default().observed_by(move |event| locked(&state).note_at(event, Instant::now()));
    if console.progress == Shown::Json {
        let (talk, clock) = (console.talk(), Clock::system());
        let write = move |heard| {
            let now = Some(clock.now());
            let lines = match &heard {
                // Together, so that a part's endpoints stand behind it.
                Heard::Event(event) => events(event, now).iter().map(line).collect(),
                Heard::Missed(events) => line(&Event::missed(*events, now)),
            };
            talk.write(&lines);
        };
        progress.listen(WAITING_MAX).on_thread("progress", write).map_err(Failure::runtime)?;
    }
    Ok(progress)
}

/// Waits for the lines of the events so far.
pub(crate) async fn finish(progress: &Progress) {
    progress.flush(FLUSH_MAX).await;
}

/// A broadcast that is looked at in a ledger again and again.
#[derive(Default)]
pub(crate) struct Looks {
    /// How it stood at the last look; `None` before the first.
    last: Option<Stands>,
    /// What `live` draws, where somebody watches.
    view: Arc<Mutex<View>>,
}

/// How a broadcast stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    NotBegun,
    Begun { counts: Counts, is_complete: bool },
}

impl Looks {
    /// How it stood at the last look, for `live`.
    pub(crate) fn view(&self) -> Arc<Mutex<View>> {
        Arc::clone(&self.view)
    }

    /// Says how it stands, unless that is how it stood; `None` when it has not begun. On a terminal, `live` draws it.
    pub(crate) fn tell(&mut self, found: Option<&Recorded>, console: &mut Console) {
        let stands = found.map_or(Stands::NotBegun, |found| Stands::Begun {
            counts: found.report.counts(),
            is_complete: found.is_complete,
        });
        if console.talk().room.is_some() {
            *locked(&self.view) = View::of_ledger(found);
            return;
        }
        if self.last.replace(stands) == Some(stands) {
            return;
        }
        match (console.progress, found) {
            (Shown::None, _) | (Shown::Json, None) => {}
            (Shown::Json, Some(found)) => {
                let now = Clock::system().now();
                console.talk().write(&line(&Event::counts(&found.report, found.is_complete, Some(now))));
            }
            (Shown::Auto, None) => console.say("the broadcast has not begun"),
            (Shown::Auto, Some(found)) => {
                let text = console.prose(&total(found.report.counts()));
                console.say_rendered(&text);
            }
        }
    }
}
