//! One queue and the stage that works through it.

use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::handler::Handler;
use super::health::Health;
use super::{FLUSH_TIME_MAX, StageOptions, handle};
use crate::ambient::Chance;
use crate::queue::limits::BATCH_ENTRIES_MAX;
use crate::queue::{Backoff, Inbox, Queue, QueueError, chain};
use crate::stage::StageName;

/// Waits between calls while SQS does not answer.
const UNREACHABLE: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };

/// A receive under way when shutdown is asked for gets this long. From a queue with messages SQS answers at once, and
/// those messages go straight back; cut off, they would stay invisible for the queue's whole visibility timeout.
const RECEIVE_DRAIN: Duration = Duration::from_secs(1);

/// One receive at a time feeds so many messages in work; a receive takes a few milliseconds.
const CONCURRENCY_PER_POLLER: usize = 64;
/// Receives of one stage at the same time.
const POLLERS_MAX: usize = 4;

/// How often a worker with its hands full shows that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// A stage on its queue.
#[derive(Debug)]
pub struct Worker<H> {
    /// The stage.
    pub stage: StageName,
    /// The queue that it reads.
    pub source: Queue,
    /// The queue that it writes; the last stage has none.
    pub next: Option<Queue>,
    /// What it does.
    pub handler: H,
    /// Its limits.
    pub options: StageOptions,
    /// How long messages in work get to finish after shutdown was asked for.
    pub grace: Duration,
    /// Where it says how it is.
    pub health: Health,
    /// Spreads waits.
    pub chance: Chance,
}

/// What became of the messages of one run. A message that was delivered twice counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Done and deleted.
    pub done: u64,
    /// Failed, and left on the queue for another try.
    pub retried: u64,
    /// Failed for good, and moved to the dead letters.
    pub buried: u64,
    /// Handed back because of the shutdown.
    pub returned: u64,
}

impl AddAssign for Served {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.retried += other.retried;
        self.buried += other.buried;
        self.returned += other.returned;
    }
}

/// Counts while messages are in work.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) done: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) buried: AtomicU64,
    pub(super) returned: AtomicU64,
}

impl Tally {
    fn served(&self) -> Served {
        let [done, retried, buried, returned] = [&self.done, &self.retried, &self.buried, &self.returned]
            .map(|count| count.load(Ordering::Relaxed));
        Served { done, retried, buried, returned }
    }
}

/// What a worker's messages share.
pub(super) struct Shared<H> {
    pub(super) worker: Worker<H>,
    pub(super) inbox: Inbox,
    pub(super) tally: Tally,
    /// Grace is over: whatever is still in work goes back.
    pub(super) cut: CancellationToken,
}

impl<H: Handler> Worker<H> {
    /// Works until `shutdown`, then stops receiving at once, lets messages in work finish within the grace time, hands
    /// the rest back to the queue and makes the deletes that are due.
    ///
    /// # Errors
    ///
    /// Only at the start: the queue does not exist, or may not be read. Later on such an error is logged and tried again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<Served, QueueError> {
        self.health.started(self.stage, self.source.name());
        let Some(inbox) = self.open(&shutdown).await? else { return Ok(Served::default()) };
        info!(stage = self.stage.as_str(), queue = self.source.name(), "Working through the queue");
        let tasks = TaskTracker::new();
        let permits = Arc::new(Semaphore::new(self.options.concurrency.get().min(Semaphore::MAX_PERMITS)));
        let pollers = self.options.concurrency.get().div_ceil(CONCURRENCY_PER_POLLER).min(POLLERS_MAX);
        let grace = self.grace;
        let shared =
            Arc::new(Shared { worker: self, inbox, tally: Tally::default(), cut: CancellationToken::new() });
        let polls = (0..pollers).map(|_| poll(&shared, &permits, &tasks, &shutdown));
        let over = async {
            shutdown.cancelled().await;
            shared.worker.health.stopping();
            sleep(grace).await;
            shared.cut.cancel();
            sleep(FLUSH_TIME_MAX).await;
        };
        let finish = async {
            join_all(polls).await;
            tasks.close();
            tasks.wait().await;
        };
        tokio::select! {
            () = finish => {}
            () = over => warn!(
                stage = shared.worker.stage.as_str(),
                messages = tasks.len(),
                "Some messages could not be handed back; they come back when their visibility ends"
            ),
        }
        shared.inbox.close(FLUSH_TIME_MAX).await;
        let served = shared.tally.served();
        let Served { done, retried, buried, returned } = served;
        info!(
            stage = shared.worker.stage.as_str(),
            done, retried, buried, returned, "Stopped working through the queue"
        );
        Ok(served)
    }

    /// Opens the queue; `None` when shutdown comes first.
    async fn open(&self, shutdown: &CancellationToken) -> Result<Option<Inbox>, QueueError> {
        let mut failures = 0;
        loop {
            let opened = tokio::select! {
                opened = Inbox::open(self.source.clone()) => opened,
                () = shutdown.cancelled() => return Ok(None),
            };
            match opened {
                Ok(inbox) => {
                    self.health.answered(self.stage);
                    return Ok(Some(inbox));
                }
                Err(error) if error.is_passing() => {
                    failures += 1;
                    self.wait_out(&error, failures, shutdown).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reports that SQS does not answer, and waits a little before the next call.
    async fn wait_out(&self, error: &QueueError, failures: u32, shutdown: &CancellationToken) {
        let wait = UNREACHABLE.wait_after(failures, self.chance.fraction());
        let (stage, queue, text) = (self.stage.as_str(), self.source.name(), chain(error));
        if error.is_passing() {
            warn!(stage, queue, failures, ?wait, error = text, "The queue does not answer; trying again");
        } else {
            error!(stage, queue, failures, ?wait, error = text, "The queue refuses; trying again");
        }
        self.health.failed(self.stage, text);
        tokio::select! {
            () = sleep(wait) => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// Room for at least one message and at most a batch; `None` on shutdown.
    async fn room(
        &self,
        permits: &Arc<Semaphore>,
        shutdown: &CancellationToken,
    ) -> Option<Vec<OwnedSemaphorePermit>> {
        let mut busy = false;
        let first = loop {
            self.health.alive(self.stage, busy);
            let free = timeout_at(Instant::now() + SIGN_OF_LIFE, Arc::clone(permits).acquire_owned());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return None,
                free = free => match free {
                    Ok(Ok(permit)) => break permit,
                    Ok(Err(_closed)) => return None,
                    Err(_elapsed) => busy = true,
                },
            }
        };
        self.health.alive(self.stage, false);
        let more = std::iter::from_fn(|| Arc::clone(permits).try_acquire_owned().ok());
        Some(std::iter::once(first).chain(more.take(BATCH_ENTRIES_MAX - 1)).collect())
    }
}

/// Receives as many messages as can be worked on, and puts each to work by itself, until shutdown.
async fn poll<H: Handler>(
    shared: &Arc<Shared<H>>,
    permits: &Arc<Semaphore>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let worker = &shared.worker;
    let mut failures = 0;
    while let Some(room) = worker.room(permits, shutdown).await {
        let received = tokio::select! {
            received = shared.inbox.receive(room.len()) => received,
            () = async { shutdown.cancelled().await; sleep(RECEIVE_DRAIN).await } => break,
        };
        let messages = match received {
            Ok(messages) => messages,
            Err(error) => {
                drop(room);
                failures += 1;
                worker.wait_out(&error, failures, shutdown).await;
                continue;
            }
        };
        failures = 0;
        worker.health.answered(worker.stage);
        let mut room = room.into_iter();
        for message in messages {
            match room.next().filter(|_| !shutdown.is_cancelled()) {
                Some(permit) => {
                    tasks.spawn(handle::message(Arc::clone(shared), message, permit));
                }
                None => handle::hand_back(shared, message).await,
            }
        }
    }
}
