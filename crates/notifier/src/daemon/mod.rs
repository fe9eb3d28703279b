//! Runs the three stages on the queues as one process, for `ecs-task-notifier serve`.
//!
//! | file | job |
//! | --- | --- |
//! | [`Worker`] | one queue and its stage: starts both, stops gracefully |
//! | `intake` | receives messages, as many as there are permits |
//! | `handle` | one message: processes it, then settles it on the queue |
//! | `sweeps` | requests the sweeps of the registry |
//! | `served` | the number of messages by their end |
//! | `health` | whether the workers are alive and their queues answer |
//! | [`http`] | serves the health for a load balancer or an orchestrator |
//!
//! A message is deleted only after all resulting messages are on the next queue. So a crash loses nothing: the message is
//! received again, and its repeat has the same ids.

mod handle;
mod health;
pub mod http;
mod intake;
mod served;
mod sweeps;
mod worker;

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::pipeline::{QueueName, StageName};
use crate::queue::QueueError;

pub use health::{ALIVE_WITHIN, Health, HealthReport, StageHealth};
pub use served::Served;
pub(crate) use sweeps::request_sweeps;
pub use worker::Worker;

/// Time limit at shutdown to settle the last messages, and again for the last calls.
pub const FLUSH_TIME_MAX: Duration = Duration::from_secs(4);

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum DaemonError {
    #[error("stage {stage} needs the {queue} queue")]
    MissingQueue { stage: StageName, queue: QueueName },
    /// A queue cannot be processed, and a retry would not help.
    #[error("stage {} cannot process its queue", stage.as_str())]
    Queue { stage: StageName, source: QueueError },
    #[error("a worker crashed")]
    Crashed(#[source] tokio::task::JoinError),
}

/// Runs these workers until `shutdown`; then finishes the messages in flight, returns the rest to the queues, and ends.
///
/// While SQS cannot be reached, it retries and reports that in the health of the workers.
///
/// # Errors
///
/// Wrong queues or permissions at the start. Other workers are stopped gracefully first.
pub async fn serve(workers: Vec<Worker>, shutdown: CancellationToken) -> Result<Served, DaemonError> {
    let stop = shutdown.child_token();
    let mut running = JoinSet::new();
    for worker in workers {
        let (stage, stop) = (worker.work.stage, stop.clone());
        running.spawn(async move {
            worker.run(stop).await.map_err(|source| DaemonError::Queue { stage, source })
        });
    }
    let mut served = Served::default();
    let mut first_error = None;
    while let Some(ended) = running.join_next().await {
        match ended.unwrap_or_else(|crash| Err(DaemonError::Crashed(crash))) {
            Ok(part) => served += part,
            Err(error) => {
                stop.cancel();
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(served), Err)
}
