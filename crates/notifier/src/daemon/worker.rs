//! One stage and its queue.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::FLUSH_TIME_MAX;
use super::health::Health;
use super::served::Served;
use crate::base::Backoff;
use crate::base::text::chain;
use crate::pipeline::Work;
use crate::queue::{Consumer, QueueError};

/// Concurrency that one poller can feed; a receive takes a few milliseconds.
const CONCURRENCY_PER_POLLER: usize = 64;
/// Maximum number of concurrent receives of one stage.
const POLLERS_MAX: usize = 4;
/// Waits between calls while SQS does not answer.
const UNREACHABLE: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };

/// A stage on its queue.
#[derive(Debug)]
pub struct Worker {
    /// Processes each message.
    pub work: Work,
    /// Maximum number of messages in flight, at least one. No more are received, so that other processes can take them;
    /// each has up to 1 MiB.
    pub concurrency: usize,
    /// Time for messages in flight to end after shutdown was requested. If SQS is slow, returning the rest takes up to
    /// twice [`FLUSH_TIME_MAX`] more. By default, ECS kills a task after 30 seconds.
    pub grace: Duration,
    /// Receives its health; [`http::serve`](super::http::serve) answers with it.
    pub health: Health,
}

/// A worker whose queue is open.
pub(super) struct Running {
    pub(super) worker: Worker,
    pub(super) consumer: Consumer,
    /// The messages so far, by their end.
    pub(super) served: Mutex<Served>,
    /// One for each message that may be in flight.
    pub(super) permits: Arc<Semaphore>,
    pub(super) shutdown: CancellationToken,
    /// Cancelled at the end of the grace time: messages in flight are returned to the queue.
    pub(super) cut: CancellationToken,
}

impl Worker {
    /// Runs until `shutdown`, then stops receiving at once, lets messages in flight end within the grace time, returns the
    /// rest to the queue and makes the remaining deletes.
    ///
    /// # Errors
    ///
    /// Only at the start: the queue does not exist, or must not be read. Later, such an error is logged and retried.
    pub async fn run(self, shutdown: CancellationToken) -> Result<Served, QueueError> {
        let (stage, queue) = (self.stage(), self.work.source.name().to_owned());
        self.health.started(self.work.stage, &queue);
        let Some(consumer) = self.open(&shutdown).await? else { return Ok(Served::default()) };
        info!(stage, queue, "Started processing the queue");
        let concurrency = self.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let running = Arc::new(Running {
            worker: self,
            consumer,
            served: Mutex::default(),
            permits: Arc::new(Semaphore::new(concurrency)),
            shutdown,
            cut: CancellationToken::new(),
        });
        let tasks = TaskTracker::new();
        let pollers = concurrency.div_ceil(CONCURRENCY_PER_POLLER).min(POLLERS_MAX);
        let polls = (0..pollers).map(|_| poll(&running, &tasks));
        let over = async {
            running.shutdown.cancelled().await;
            running.worker.health.stopping();
            sleep(running.worker.grace).await;
            running.cut.cancel();
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
                stage,
                messages = tasks.len(),
                "Some messages could not be returned to the queue; they come back when their visibility timeout ends"
            ),
        }
        running.consumer.close(FLUSH_TIME_MAX).await;
        let served = *running.served.lock().unwrap_or_else(PoisonError::into_inner);
        let Served { done, retried, dead_lettered, returned } = served;
        // The field's name is part of the log's interface.
        info!(stage, done, retried, buried = dead_lettered, returned, "Stopped processing the queue");
        Ok(served)
    }

    /// Opens the queue; `None` if shutdown comes first.
    async fn open(&self, shutdown: &CancellationToken) -> Result<Option<Consumer>, QueueError> {
        let mut failures = 0;
        loop {
            let opened = tokio::select! {
                opened = Consumer::open(self.work.source.clone()) => opened,
                () = shutdown.cancelled() => return Ok(None),
            };
            match opened {
                Ok(consumer) => {
                    self.health.answered(self.work.stage);
                    return Ok(Some(consumer));
                }
                Err(error) if error.is_passing() => {
                    failures += 1;
                    self.wait_out(&error, failures, shutdown).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reports a failed call, and waits before the next one.
    pub(super) async fn wait_out(&self, error: &QueueError, failures: u32, shutdown: &CancellationToken) {
        let wait = UNREACHABLE.full_jitter(failures, self.work.rng.fraction());
        let (stage, queue, text) = (self.stage(), self.work.source.name(), chain(error));
        if error.is_passing() {
            warn!(stage, queue, failures, ?wait, error = text, "The queue does not answer; will retry");
        } else {
            error!(stage, queue, failures, ?wait, error = text, "The queue refuses the request; will retry");
        }
        self.health.failed(self.work.stage, text);
        tokio::select! {
            () = sleep(wait) => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// The stage's name, for the log.
    pub(super) fn stage(&self) -> &'static str {
        self.work.stage.as_str()
    }
}

/// Processes each message in a separate task, as many as there are permits, until shutdown.
async fn poll(running: &Arc<Running>, tasks: &TaskTracker) {
    while let Some(messages) = running.next().await {
        for (message, permit) in messages {
            match permit {
                Some(permit) => drop(tasks.spawn(Arc::clone(running).message(message, permit))),
                None => running.return_now(message).await,
            }
        }
    }
}
