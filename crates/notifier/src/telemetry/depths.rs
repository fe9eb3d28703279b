//! How many messages are on the queues, for the metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::debug;

use crate::base::text::chain;
use crate::pipeline::QueueName;
use crate::queue::{Depth, Queue, QueueError};

/// How old the numbers become before a scrape asks SQS again. Its own numbers are up to a minute old.
const FRESH: Duration = Duration::from_secs(15);

/// The messages of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue.
    pub queue: QueueName,
    /// Its messages.
    pub depth: Depth,
    /// The visible messages of its dead-letter queue; `None` if it has none, or it does not answer.
    pub dead_letters: Option<u64>,
}

impl QueueDepth {
    pub(super) fn by_state(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Depth { visible, in_flight, delayed } = self.depth;
        let own = [("visible", visible), ("in_flight", in_flight), ("delayed", delayed)];
        own.into_iter().chain(self.dead_letters.map(|dead| ("dead_letter", dead)))
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
    queues: Vec<Known>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Known {
    name: QueueName,
    queue: Queue,
    /// Its dead-letter queue, once its redrive policy was read.
    dead_letters: OnceCell<Option<Queue>>,
}

#[derive(Debug, Default)]
struct State {
    known: Vec<QueueDepth>,
    asked: Option<Instant>,
}

impl QueueDepths {
    /// The numbers of these queues.
    pub fn new(queues: Vec<(QueueName, Queue)>) -> Self {
        let known = |(name, queue)| Known { name, queue, dead_letters: OnceCell::new() };
        let queues = queues.into_iter().map(known).collect();
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
        let asked = join_all(self.0.queues.iter().map(Known::ask)).await;
        self.state().known = asked.into_iter().flatten().collect();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    async fn ask(&self) -> Option<QueueDepth> {
        let (depth, dead_letters) = tokio::join!(depth(&self.queue), async {
            let found = self.dead_letters.get_or_try_init(|| self.queue.dead_letters()).await;
            match found {
                Ok(Some(dead)) => depth(dead).await.map(|depth| depth.visible),
                Ok(None) => None,
                Err(error) => {
                    debug!(
                        queue = self.queue.name(),
                        error = chain(&error),
                        "The dead-letter queue is not known"
                    );
                    None
                }
            }
        });
        Some(QueueDepth { queue: self.name, depth: depth?, dead_letters })
    }
}

/// `None` if the queue does not answer.
async fn depth(queue: &Queue) -> Option<Depth> {
    let asked = queue.depth().await;
    let log = |error: &QueueError| {
        debug!(queue = queue.name(), error = chain(error), "The number of messages is not known");
    };
    asked.inspect_err(log).ok()
}
