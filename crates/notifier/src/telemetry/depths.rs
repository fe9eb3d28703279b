//! How many messages are on the queues, for the metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::debug;

use crate::base::text::chain;
use crate::pipeline::QueueName;
use crate::queue::{Depth, Queue};

/// How old the numbers become before a scrape asks SQS again. Its own numbers are up to a minute old.
const FRESH: Duration = Duration::from_secs(15);

/// The messages of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue.
    pub queue: QueueName,
    /// Its messages.
    pub depth: Depth,
}

impl QueueDepth {
    pub(super) fn by_state(&self) -> [(&'static str, u64); 3] {
        let Depth { visible, in_flight, delayed } = self.depth;
        [("visible", visible), ("in_flight", in_flight), ("delayed", delayed)]
    }
}

/// The numbers of messages on some queues. Clones share them.
///
/// SQS is asked in the background, and only after somebody wanted to know: a scrape never waits for SQS, and without
/// scrapes there are no requests.
#[derive(Clone, Debug)]
pub struct QueueDepths(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queues: Vec<(QueueName, Queue)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Vec<QueueDepth>,
    asked: Option<Instant>,
}

impl QueueDepths {
    /// The numbers of these queues.
    pub fn new(queues: Vec<(QueueName, Queue)>) -> Self {
        Self(Arc::new(Shared { queues, state: Mutex::default() }))
    }

    /// The last known numbers; none of a queue that has not answered. Asks again if they are old. Must be called within a
    /// tokio runtime.
    pub fn known(&self) -> Vec<QueueDepth> {
        let mut state = self.state();
        if state.asked.is_none_or(|asked| asked.elapsed() >= FRESH) {
            state.asked = Some(Instant::now());
            tokio::spawn(self.clone().ask());
        }
        state.known.clone()
    }

    /// Asks for all of them. Each call has a time limit.
    async fn ask(self) {
        let asked = self.0.queues.iter().map(async |(name, queue)| match queue.depth().await {
            Ok(depth) => Some(QueueDepth { queue: *name, depth }),
            Err(error) => {
                debug!(queue = queue.name(), error = chain(&error), "The number of messages is not known");
                None
            }
        });
        let known = join_all(asked).await.into_iter().flatten().collect();
        self.state().known = known;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
