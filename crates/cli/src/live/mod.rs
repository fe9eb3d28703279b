//! What happens, while it happens: a block of lines at the end of stderr that is drawn again and again.
//!
//! `view` is what is known at one moment, `frame` how that looks (both pure); here is the clock.

mod frame;
mod view;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use notifier::aws::budget::Budget;
use notifier::report::BroadcastState;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::console::Talk;
use view::Stage;
pub(crate) use view::View;

/// Between two drawings.
const TICK: Duration = Duration::from_millis(80);

/// A state that several follow.
pub(crate) type Shared = Arc<Mutex<BroadcastState>>;

/// Draws what is known until it is finished; nothing where nobody watches.
pub(crate) struct Live {
    talk: Talk,
    stop: CancellationToken,
    drawing: Option<JoinHandle<()>>,
}

impl Live {
    /// Draws a state.
    pub(crate) fn start(talk: Talk, state: Shared) -> Self {
        Self::draw(talk, move |now| View::of_state(&locked(&state), now))
    }

    /// Draws the state of a broadcast that this process makes within `budget`, until `stop` is cancelled and it ends.
    pub(crate) fn sending(talk: Talk, known: Shared, budget: Budget, stop: CancellationToken) -> Self {
        Self::draw(talk, move |now| {
            let view = View::of_state(&locked(&known), now);
            let stage = match view.stage {
                _ if stop.is_cancelled() => Stage::Stopping,
                // It lists the tasks of the whole scope, and no services before.
                Stage::Services => Stage::Tasks,
                stage => stage,
            };
            View { stage, budget_waits: budget.waiting(), ..view }
        })
    }

    /// Draws what others put there.
    pub(crate) fn watching(talk: Talk, view: Arc<Mutex<View>>) -> Self {
        Self::draw(talk, move |_| locked(&view).clone())
    }

    fn draw(talk: Talk, look: impl Fn(Instant) -> View + Send + 'static) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let drawing = talk.room.map(|room| {
            let talk = talk.clone();
            tokio::spawn(async move {
                let started = Instant::now();
                let mut tick = tokio::time::interval(TICK);
                let mut number = 0;
                while !stopped.is_cancelled() {
                    tokio::select! {
                        _ = tick.tick() => {}
                        () = stopped.cancelled() => {}
                    }
                    let now = Instant::now();
                    talk.draw(frame::frame(&look(now), room, number, now - started));
                    number += 1;
                }
            })
        });
        Self { talk, stop, drawing }
    }

    /// Draws for the last time and takes the block away.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        if let Some(drawing) = self.drawing {
            // It only ends by being told to.
            drop(drawing.await);
            self.talk.draw(Vec::new());
        }
    }
}

pub(crate) fn locked<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
