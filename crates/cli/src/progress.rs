//! How a broadcast goes, in the way that was asked for: drawn by `live`, as JSON lines, or not at all.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use notifier::base::Clock;
use notifier::ledger::Recorded;
use notifier::model::Progress;
use notifier::report::{Counts, Event, events};

use crate::args::Progress as Shown;
use crate::console::{Console, line};
use crate::live::{Shared, View, locked};
use crate::render::report::total;

/// Notes every step in the state, which `live` draws; where JSON lines are wanted, writes it before.
///
/// Whoever reads the lines slowly slows the broadcast: no event is dropped, and none is kept in memory.
pub(crate) fn follow(state: &Shared, console: &Console) -> Progress {
    let state = Arc::clone(state);
    let lines = (console.progress == Shown::Json).then(|| (console.talk(), Clock::system()));
    Progress::new(move |step| {
        if let Some((talk, clock)) = &lines {
            let events = events(&step, Some(clock.now()));
            // Together, so that a part's endpoints stand behind it.
            talk.write(&events.iter().map(line).collect::<String>());
        }
        locked(&state).note_at(step, Instant::now());
    })
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
