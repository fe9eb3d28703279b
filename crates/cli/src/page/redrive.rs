//! Sends the dead letters of a broadcast back to their queues, in the background: it takes as long as the queues are full.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notifier::base::text::chain;
use notifier::ledger::Ledger;
use notifier::pipeline::StageName;
use notifier::pipeline::redrive::{self, Action, Filter, LetterStatus, Redrive};
use notifier::queue::{DeadLetterError, Queue};
use tokio::task::JoinSet;
use wire::BroadcastId;

use super::feed::Feed;

/// The most causes that are shown.
const PROBLEMS_MAX: usize = 5;

/// Redrives one broadcast at a time, and remembers the latest one.
pub(crate) struct Redriver {
    /// The queues whose dead letters are sent back, by the stage that reads them.
    queues: Vec<(StageName, Queue)>,
    ledger: Ledger,
    latest: Mutex<Option<Run>>,
}

/// One redrive.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    broadcast: BroadcastId,
    /// `None` while it runs.
    pub(crate) result: Option<Moved>,
}

/// A redrive runs already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running;

/// What a redrive did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Dead letters that are back on their queues.
    pub(crate) redriven: usize,
    /// Those that were deleted, because their container had been notified in the meantime.
    pub(crate) notified: usize,
    /// Those that could not be moved.
    pub(crate) stayed: usize,
    /// Why some stayed, or were not read; at most [`PROBLEMS_MAX`].
    pub(crate) problems: Vec<String>,
}

impl Redriver {
    /// A redriver of these queues; `None` if there are none.
    pub(crate) fn new(queues: Vec<(StageName, Queue)>, ledger: Ledger) -> Option<Arc<Self>> {
        let is_possible = !queues.is_empty();
        is_possible.then(|| Arc::new(Self { queues, ledger, latest: Mutex::default() }))
    }

    /// The latest redrive, if it was of this broadcast.
    pub(super) fn of(&self, id: &BroadcastId) -> Option<Run> {
        self.latest().clone().filter(|run| run.broadcast == *id)
    }

    /// Begins to send back the dead letters of a broadcast, unless a redrive runs.
    pub(super) fn start(self: &Arc<Self>, id: &BroadcastId, feed: Arc<Feed>) -> Result<(), Running> {
        let mut latest = self.latest();
        if latest.as_ref().is_some_and(|run| run.result.is_none()) {
            return Err(Running);
        }
        *latest = Some(Run { broadcast: id.clone(), result: None });
        drop(latest);
        let (redriver, id) = (Arc::clone(self), id.clone());
        tokio::spawn(async move {
            let moved = redriver.run(&id).await;
            let Moved { redriven, notified, stayed, .. } = moved;
            tracing::info!(broadcast = id.as_str(), redriven, notified, stayed, "Redriven by the page");
            feed.forget(&id);
            *redriver.latest() = Some(Run { broadcast: id, result: Some(moved) });
        });
        Ok(())
    }

    async fn run(&self, id: &BroadcastId) -> Moved {
        let filter = Filter { broadcast: Some(id.to_string()), ..Filter::default() };
        let mut runs = JoinSet::new();
        // At the same time: each mostly waits, to be sure that its queue has no more messages.
        for (stage, queue) in self.queues.clone() {
            let (filter, ledger) = (filter.clone(), self.ledger.clone());
            runs.spawn(async move {
                (stage, redrive::run(stage, queue, &filter, &Action::Redrive, &ledger).await)
            });
        }
        let mut moved = Moved::default();
        while let Some(run) = runs.join_next().await {
            match run {
                Ok((stage, result)) => moved.add(stage, result),
                Err(error) => moved.problem(chain(&error)),
            }
        }
        moved
    }

    /// A panic leaves no half-made change.
    fn latest(&self) -> MutexGuard<'_, Option<Run>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Moved {
    fn add(&mut self, stage: StageName, result: Result<Redrive, DeadLetterError>) {
        let redrive = match result {
            Ok(redrive) => redrive,
            Err(error) => return self.problem(format!("stage {stage}: {}", chain(&error))),
        };
        for found in redrive.found {
            match found.status {
                LetterStatus::Redriven => self.redriven += 1,
                LetterStatus::AlreadyNotified => self.notified += 1,
                LetterStatus::Failed(why) => {
                    self.stayed += 1;
                    self.problem(format!("stage {stage}: {why}"));
                }
                LetterStatus::Listed | LetterStatus::Dropped => {}
            }
        }
        if redrive.is_cut {
            self.problem(format!("stage {stage}: not all dead letters were read; redrive again"));
        }
        if let Some(error) = redrive.error {
            self.problem(format!("stage {stage}: {}", chain(&error)));
        }
    }

    fn problem(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
