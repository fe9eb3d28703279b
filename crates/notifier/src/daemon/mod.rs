//! Runs the three stages on the queues as one process, for `ecs-task-notifier serve`.
//!
//! | file | job |
//! | --- | --- |
//! | `worker` | one queue and its stage: starts both, stops gracefully |
//! | `intake` | receives messages, as many as there are permits |
//! | `handle` | one message: processes it, then settles it on the queue |
//! | `counters` | counts messages by their end |
//! | `health` | whether the workers are alive and their queues answer |
//! | [`http`] | serves the health for a load balancer or an orchestrator |
//!
//! A message is deleted only after all resulting messages are on the next queue. So a crash loses nothing: the message is
//! received again, and its repeat has the same ids.

mod counters;
mod handle;
mod health;
pub mod http;
mod intake;
mod worker;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::base::Rng;
use crate::pipeline::{Ctx, StageName};
use crate::pipeline::{Handler, QueueName, STAGES, Work};
use crate::queue::{Queue, QueueError};

pub use counters::Served;
pub use health::{ALIVE_WITHIN, Health, HealthReport, StageHealth};
pub use worker::Worker;

/// The pipeline's queues, by name. A stage needs the queue that it reads and the one that it writes.
pub type Queues = BTreeMap<QueueName, Queue>;

/// Options of the daemon.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// The stages that this process runs; another process may run the others.
    pub stages: BTreeMap<StageName, StageOptions>,
    /// Time for messages in flight to end after a shutdown was requested. If SQS is slow, returning the rest takes up to
    /// twice [`FLUSH_TIME_MAX`] more. By default, ECS kills a task after 30 seconds.
    pub grace: Duration,
    /// Receives the daemon's health; [`http::serve`] answers with it.
    pub health: Health,
    /// Spreads waits.
    pub rng: Rng,
}

impl DaemonOptions {
    /// All stages with their default limits.
    pub fn new(rng: Rng) -> Self {
        let stages = STAGES.iter().map(|stage| (stage.name, StageOptions::new(stage.concurrency)));
        Self { stages: stages.collect(), grace: Duration::from_secs(20), health: Health::default(), rng }
    }

    /// The same with only these stages.
    #[must_use]
    pub fn only(mut self, stages: &[StageName]) -> Self {
        self.stages.retain(|name, _| stages.contains(name));
        self
    }
}

/// Options of one stage.
#[derive(Clone, Copy, Debug)]
pub struct StageOptions {
    /// Maximum number of messages in flight. No more are received, so that other processes can take them; each has up to
    /// 1 MiB.
    pub concurrency: NonZeroUsize,
    /// Time limit for one message; then it is returned to the queue.
    pub message_time_max: Duration,
}

impl StageOptions {
    /// This concurrency, with 15 minutes per message, the limit of a Lambda function. Zero means one.
    pub fn new(concurrency: usize) -> Self {
        let concurrency = NonZeroUsize::new(concurrency).unwrap_or(NonZeroUsize::MIN);
        Self { concurrency, message_time_max: Duration::from_mins(15) }
    }
}

/// Time limit at shutdown to settle the last messages, and again for the last calls.
pub const FLUSH_TIME_MAX: Duration = Duration::from_secs(4);

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum DaemonError {
    #[error("no stage is selected")]
    Idle,
    #[error("stage {} needs the {queue} queue", stage.as_str())]
    MissingQueue { stage: StageName, queue: &'static str },
    /// A queue cannot be processed, and a retry would not help.
    #[error("stage {} cannot process its queue", stage.as_str())]
    Queue { stage: StageName, source: QueueError },
    #[error("a worker crashed")]
    Crashed(#[source] tokio::task::JoinError),
}

/// Processes the queues until `shutdown`; then finishes the messages in flight, returns the rest to the queues, and ends.
///
/// While SQS cannot be reached, it retries and reports that in [`DaemonOptions::health`].
///
/// # Errors
///
/// Wrong queues or permissions at the start. Other stages are stopped gracefully first.
pub async fn serve(
    ctx: Arc<Ctx>,
    queues: Queues,
    options: DaemonOptions,
    shutdown: CancellationToken,
) -> Result<Served, DaemonError> {
    let plans = plans(&queues, &options)?;
    let stop = shutdown.child_token();
    let mut workers = JoinSet::new();
    for (stage, source, next, stage_options) in plans {
        let ctx = Arc::clone(&ctx);
        let worker = Worker {
            work: Work { stage, next, handler: Handler::Stage(ctx), rng: options.rng.clone() },
            source,
            options: stage_options,
            grace: options.grace,
            health: options.health.clone(),
        };
        let stop = stop.clone();
        workers.spawn(async move {
            worker.run(stop).await.map_err(|source| DaemonError::Queue { stage, source })
        });
    }
    let mut served = Served::default();
    let mut first_error = None;
    while let Some(ended) = workers.join_next().await {
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

/// One stage to run, its source queue and its next queue.
type Plan = (StageName, Queue, Option<Queue>, StageOptions);

fn plans(queues: &Queues, options: &DaemonOptions) -> Result<Vec<Plan>, DaemonError> {
    let mut plans = Vec::new();
    for stage in &STAGES {
        let Some(options) = options.stages.get(&stage.name) else { continue };
        let need = |name: QueueName| {
            let missing = || DaemonError::MissingQueue { stage: stage.name, queue: name.as_str() };
            queues.get(&name).cloned().ok_or_else(missing)
        };
        plans.push((stage.name, need(stage.source)?, stage.next.map(need).transpose()?, *options));
    }
    if plans.is_empty() { Err(DaemonError::Idle) } else { Ok(plans) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(names: &[QueueName]) -> Queues {
        let queue = |name: &QueueName| {
            let config = aws_sdk_sqs::Config::builder().behavior_version_latest().build();
            let url = format!("http://127.0.0.1/1/{}", name.as_str());
            (*name, Queue::at(aws_sdk_sqs::Client::from_conf(config), url, Rng::seeded(1)))
        };
        names.iter().map(queue).collect()
    }

    fn planned(queues: &Queues, options: &DaemonOptions) -> Result<Vec<String>, String> {
        let line = |(stage, source, next, _): &Plan| {
            format!("{stage} {} {}", source.name(), next.as_ref().map_or("-", Queue::name))
        };
        plans(queues, options)
            .map(|plans| plans.iter().map(line).collect())
            .map_err(|error| error.to_string())
    }

    fn options(stages: &[StageName]) -> DaemonOptions {
        DaemonOptions::new(Rng::seeded(1)).only(stages)
    }

    #[test]
    fn each_stage_reads_its_queue_and_writes_the_next() {
        let all = queues(&QueueName::ALL);
        let planned_all = planned(&all, &DaemonOptions::new(Rng::seeded(1))).unwrap();
        assert_eq!(planned_all, ["services observer services", "tasks services tasks", "notify tasks -"]);
        assert_eq!(planned(&all, &options(&[StageName::Tasks])).unwrap(), ["tasks services tasks"]);
    }

    #[test]
    fn a_missing_queue_is_named_with_the_stage_that_needs_it() {
        let (inner, services) =
            (queues(&[QueueName::Services, QueueName::Tasks]), queues(&[QueueName::Services]));
        let all = DaemonOptions::new(Rng::seeded(1));
        assert_eq!(planned(&inner, &all), Err("stage services needs the observer queue".to_owned()));
        let last_two = options(&[StageName::Tasks, StageName::Notify]);
        assert_eq!(planned(&inner, &last_two).unwrap().len(), 2);
        assert_eq!(planned(&services, &last_two), Err("stage tasks needs the tasks queue".to_owned()));
        assert_eq!(planned(&services, &options(&[])), Err("no stage is selected".to_owned()));
    }
}
