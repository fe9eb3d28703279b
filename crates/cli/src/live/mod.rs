//! The live display: a block of lines at the end of stderr that is redrawn.
//!
//! `view` is the content at one moment, `frame` the text (both pure); this module has the clock.

mod frame;
mod view;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use notifier::aws::budget::Budget;
use notifier::report::BroadcastState;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::console::Stderr;
use view::Stage;
pub(crate) use view::View;

/// Time between two drawings.
const TICK: Duration = Duration::from_millis(80);

/// A broadcast's state, shared by the listeners of its progress.
pub(crate) type Shared = Arc<Mutex<BroadcastState>>;

/// The live display. Draws nothing if stderr is not a terminal.
pub(crate) struct Live {
    stderr: Stderr,
    stop: CancellationToken,
    drawing: Option<JoinHandle<()>>,
}

impl Live {
    /// Draws the state of a broadcast.
    pub(crate) fn start(stderr: Stderr, state: Shared) -> Self {
        Self::draw(stderr, move |now| View::of_state(&locked(&state), now))
    }

    /// Draws the state of a broadcast of this process, with the waits of its AWS `budget`. `stop` interrupts the
    /// broadcast.
    pub(crate) fn sending(stderr: Stderr, known: Shared, budget: Budget, stop: CancellationToken) -> Self {
        Self::draw(stderr, move |now| {
            let view = View::of_state(&locked(&known), now);
            let stage = match view.stage {
                _ if stop.is_cancelled() => Stage::Stopping,
                // `send` lists the tasks of the whole scope at once, without a list of services.
                Stage::Services => Stage::Tasks,
                stage => stage,
            };
            View { stage, budget_waits: budget.waiting(), ..view }
        })
    }

    /// Draws a view that the caller updates.
    pub(crate) fn watching(stderr: Stderr, view: Arc<Mutex<View>>) -> Self {
        Self::draw(stderr, move |_| locked(&view).clone())
    }

    fn draw(stderr: Stderr, look: impl Fn(Instant) -> View + Send + 'static) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let drawing = stderr.room.map(|room| {
            let stderr = stderr.clone();
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
                    stderr.draw(frame::frame(&look(now), room, number, now - started));
                    number += 1;
                }
            })
        });
        Self { stderr, stop, drawing }
    }

    /// Draws for the last time and erases the block.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        if let Some(drawing) = self.drawing {
            // It ends only because it was stopped: the result has no information.
            drop(drawing.await);
            self.stderr.draw(Vec::new());
        }
    }
}

pub(crate) fn locked<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
