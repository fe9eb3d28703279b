//! One stage and its queue.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::counters::{Counters, Served};
use super::handle::Shared;
use super::health::Health;
use super::intake::Intake;
use super::{FLUSH_TIME_MAX, StageOptions};
use crate::pipeline::Work;
use crate::queue::{Queue, QueueError};

/// Concurrency that one poller can feed; a receive takes a few milliseconds.
const CONCURRENCY_PER_POLLER: usize = 64;
/// Maximum number of concurrent receives of one stage.
const POLLERS_MAX: usize = 4;

/// A stage on its queue.
#[derive(Debug)]
pub struct Worker {
    /// Processes each message.
    pub work: Work,
    /// The queue that it reads.
    pub source: Queue,
    /// Its limits.
    pub options: StageOptions,
    /// Time for messages in flight to end after shutdown was requested.
    pub grace: Duration,
    /// Receives its health.
    pub health: Health,
}

impl Worker {
    /// Runs until `shutdown`, then stops receiving at once, lets messages in flight end within the grace time, returns the
    /// rest to the queue and makes the remaining deletes.
    ///
    /// # Errors
    ///
    /// Only at the start: the queue does not exist, or must not be read. Later, such an error is logged and retried.
    pub async fn run(self, shutdown: CancellationToken) -> Result<Served, QueueError> {
        let Self { work, source, options, grace, health } = self;
        let (stage, queue) = (work.stage, source.name().to_owned());
        health.started(stage, &queue);
        let concurrency = options.concurrency.get().min(Semaphore::MAX_PERMITS);
        let intake = Intake {
            stage,
            source,
            health: health.clone(),
            rng: work.rng.clone(),
            permits: Arc::new(Semaphore::new(concurrency)),
            shutdown: shutdown.clone(),
        };
        let Some(consumer) = intake.open().await? else { return Ok(Served::default()) };
        info!(stage = stage.as_str(), queue, "Started processing the queue");
        let shared = Arc::new(Shared {
            work,
            consumer,
            counters: Counters::default(),
            message_time_max: options.message_time_max,
            cut: CancellationToken::new(),
        });
        let tasks = TaskTracker::new();
        let pollers = concurrency.div_ceil(CONCURRENCY_PER_POLLER).min(POLLERS_MAX);
        let polls = (0..pollers).map(|_| poll(&intake, &shared, &tasks));
        let over = async {
            shutdown.cancelled().await;
            health.stopping();
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
                stage = stage.as_str(),
                messages = tasks.len(),
                "Some messages could not be returned to the queue; they come back when their visibility timeout ends"
            ),
        }
        shared.consumer.close(FLUSH_TIME_MAX).await;
        let served = shared.counters.served();
        let Served { done, retried, dead_lettered, returned } = served;
        // The field's name is part of the log's interface.
        info!(
            stage = stage.as_str(),
            done,
            retried,
            buried = dead_lettered,
            returned,
            "Stopped processing the queue"
        );
        Ok(served)
    }
}

/// Processes each message in a separate task, as many as there are permits, until shutdown.
async fn poll(intake: &Intake, shared: &Arc<Shared>, tasks: &TaskTracker) {
    while let Some(messages) = intake.next(&shared.consumer).await {
        for (message, permit) in messages {
            match permit {
                Some(permit) => drop(tasks.spawn(Arc::clone(shared).message(message, permit))),
                None => shared.return_now(message).await,
            }
        }
    }
}
