//! The three stages as one process on the queues: what `ecs-task-notifier serve` runs.
//!
//! | file | job |
//! | --- | --- |
//! | `worker` | one queue and its stage: starts both, stops gracefully |
//! | `intake` | messages off the queue, as many as there is room for |
//! | `handle` | one message: its work, then its end on the queue |
//! | `counters` | what became of the messages |
//! | `health` | whether the workers are alive and their queues answer |
//! | [`http`] | that, for a load balancer or an orchestrator |
//!
//! A message is deleted only after everything that follows from it is on the next queue. So a crash at any moment loses
//! nothing: the message comes back, and its repeat has the same ids.

mod counters;
mod handle;
mod health;
pub mod http;
mod intake;
mod worker;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::base::Rng;
use crate::pipeline::{Ctx, StageName};
use crate::pipeline::{Stage, Work};
use crate::queue::{Queue, QueueError};

pub use counters::Served;
pub use health::{ALIVE_WITHIN, Health, HealthReport, StageHealth};
pub use worker::Worker;

/// The pipeline's queues. A stage needs its own queue and the next stage's.
#[derive(Clone, Debug, Default)]
pub struct Queues {
    /// Read by stage 1.
    pub observer: Option<Queue>,
    /// Written by stage 1, read by stage 2.
    pub services: Option<Queue>,
    /// Written by stage 2, read by stage 3.
    pub tasks: Option<Queue>,
}

/// How the daemon works.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// Stage 1; `None` when another process runs it.
    pub services: Option<StageOptions>,
    /// Stage 2; `None` when another process runs it.
    pub tasks: Option<StageOptions>,
    /// Stage 3; `None` when another process runs it.
    pub notify: Option<StageOptions>,
    /// How long messages in work get to finish after a shutdown was asked for. If SQS is slow, handing the rest back takes
    /// up to twice [`FLUSH_TIME_MAX`] more; ECS kills a task 30 seconds after it asked, unless told otherwise.
    pub grace: Duration,
    /// Where the daemon says how it is; [`http::serve`] tells others.
    pub health: Health,
    /// Spreads waits.
    pub rng: Rng,
}

/// Messages of the observer queue in work at once. Only those take turns at the budget of AWS requests: a broadcast that is
/// still on the queue waits for others to end.
const BROADCASTS_AT_ONCE: usize = 16;

impl DaemonOptions {
    /// All three stages with the usual limits.
    #[must_use]
    pub fn new(rng: Rng) -> Self {
        Self {
            services: Some(StageOptions::new(BROADCASTS_AT_ONCE)),
            tasks: Some(StageOptions::new(8)),
            notify: Some(StageOptions::new(256)),
            grace: Duration::from_secs(20),
            health: Health::default(),
            rng,
        }
    }
}

/// How one stage works.
#[derive(Clone, Copy, Debug)]
pub struct StageOptions {
    /// Messages in work at once. No more are received, so that others can take them; each holds up to 1 MiB.
    pub concurrency: NonZeroUsize,
    /// How long the work on one message may take; then it is handed back.
    pub message_time_max: Duration,
}

impl StageOptions {
    /// So many messages at once, each for up to 15 minutes: what a Lambda function may take. Zero means one.
    #[must_use]
    pub fn new(concurrency: usize) -> Self {
        let concurrency = NonZeroUsize::new(concurrency).unwrap_or(NonZeroUsize::MIN);
        Self { concurrency, message_time_max: Duration::from_mins(15) }
    }
}

/// How long the last messages may take to be settled when the daemon stops, and how long the last calls for that.
pub const FLUSH_TIME_MAX: Duration = Duration::from_secs(4);

/// Why the daemon did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// No stage is to run.
    #[error("no stage is to run")]
    Idle,
    /// A stage is to run without a queue that it needs.
    #[error("stage {} needs the {queue} queue", stage.as_str())]
    MissingQueue {
        /// The stage.
        stage: StageName,
        /// `observer`, `services` or `tasks`.
        queue: &'static str,
    },
    /// A queue cannot be worked through, and will not heal by itself.
    #[error("stage {} cannot work through its queue", stage.as_str())]
    Queue {
        /// The stage.
        stage: StageName,
        /// What SQS says.
        source: QueueError,
    },
    /// A worker ended by a bug of ours.
    #[error("a worker crashed")]
    Crashed(#[source] tokio::task::JoinError),
}

/// Works through the queues until `shutdown`; then finishes what is in work, hands the rest back and returns.
///
/// While SQS cannot be reached it keeps trying and says so in [`DaemonOptions::health`].
///
/// # Errors
///
/// Wrong queues or permissions at the start. The stages that did work are stopped gracefully first.
pub async fn serve(
    ctx: Arc<Ctx>,
    queues: Queues,
    options: DaemonOptions,
    shutdown: CancellationToken,
) -> Result<Served, DaemonError> {
    let plans = plans(&queues, &options)?;
    let stop = shutdown.child_token();
    let mut workers = JoinSet::new();
    for Plan { stage, source, next, options: stage_options } in plans {
        let ctx = Arc::clone(&ctx);
        let worker = Worker {
            work: Work { stage, next, handler: Stage { ctx, name: stage }, rng: options.rng.clone() },
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

/// One stage that is to run, with its queues.
#[derive(Debug)]
struct Plan {
    stage: StageName,
    source: Queue,
    next: Option<Queue>,
    options: StageOptions,
}

fn plans(queues: &Queues, options: &DaemonOptions) -> Result<Vec<Plan>, DaemonError> {
    let Queues { observer, services, tasks } = queues;
    let (observer, services, tasks) = (("observer", observer), ("services", services), ("tasks", tasks));
    let stages = [
        (StageName::Services, options.services, observer, Some(services)),
        (StageName::Tasks, options.tasks, services, Some(tasks)),
        (StageName::Notify, options.notify, tasks, None),
    ];
    let mut plans = Vec::new();
    for (stage, options, source, next) in stages {
        let Some(options) = options else { continue };
        let need = |(name, queue): (&'static str, &Option<Queue>)| {
            queue.clone().ok_or(DaemonError::MissingQueue { stage, queue: name })
        };
        plans.push(Plan { stage, source: need(source)?, next: next.map(need).transpose()?, options });
    }
    if plans.is_empty() { Err(DaemonError::Idle) } else { Ok(plans) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "`Queues` holds options")]
    fn queue(name: &str) -> Option<Queue> {
        let config = aws_sdk_sqs::Config::builder().behavior_version_latest().build();
        let url = format!("http://127.0.0.1/1/{name}");
        Some(Queue::at(aws_sdk_sqs::Client::from_conf(config), url, Rng::seeded(1)))
    }

    fn planned(queues: &Queues, options: &DaemonOptions) -> Result<Vec<String>, String> {
        let line = |plan: &Plan| {
            let next = plan.next.as_ref().map_or("-", Queue::name);
            format!("{} {} {next}", plan.stage.as_str(), plan.source.name())
        };
        plans(queues, options)
            .map(|plans| plans.iter().map(line).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_stage_reads_its_queue_and_writes_the_next() {
        let all = Queues { observer: queue("o"), services: queue("s"), tasks: queue("t") };
        let mut options = DaemonOptions::new(Rng::seeded(1));
        let planned_all = planned(&all, &options).unwrap();
        assert_eq!(planned_all, ["services o s", "tasks s t", "notify t -"]);
        (options.services, options.notify) = (None, None);
        assert_eq!(planned(&all, &options).unwrap(), ["tasks s t"]);
    }

    #[test]
    fn a_missing_queue_is_named_with_the_stage_that_needs_it() {
        let mut options = DaemonOptions::new(Rng::seeded(1));
        let queues = Queues { services: queue("s"), tasks: queue("t"), ..Queues::default() };
        assert_eq!(planned(&queues, &options), Err("stage services needs the observer queue".to_owned()));
        options.services = None;
        assert_eq!(planned(&queues, &options).unwrap().len(), 2);
        let queues = Queues { services: queue("s"), ..Queues::default() };
        assert_eq!(planned(&queues, &options), Err("stage tasks needs the tasks queue".to_owned()));
        (options.tasks, options.notify) = (None, None);
        assert_eq!(planned(&queues, &options), Err("no stage is to run".to_owned()));
    }
}
