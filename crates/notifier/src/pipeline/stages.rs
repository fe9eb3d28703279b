//! The stages as a table: which queue each reads and writes, and what it does with a message. A new stage is an entry here.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{Ctx, StageError, discovery, notify};
use crate::base::words;
use crate::model::StageName;
use crate::queue::Message;

words! {
    /// One of the queues between the stages, by its name in errors and settings. In the order of the stages that read them.
    pub enum QueueName {
        /// Read by stage 1; everybody who may ask for a broadcast writes it.
        Observer = "observer",
        /// Written by stage 1, read by stage 2.
        Services = "services",
        /// Written by stage 2, read by stage 3.
        Tasks = "tasks",
    }
}

/// What a stage does with a message: the bodies for the next queue.
type Run =
    for<'a> fn(&'a Ctx, &'a Message, Option<Instant>) -> BoxFuture<'a, Result<Vec<String>, StageError>>;
/// What a stage records when some of these bodies are on the next queue.
type Published = for<'a> fn(&'a Ctx, &'a Message, &'a [&'a str]) -> BoxFuture<'a, Result<(), StageError>>;
/// What a stage records when a message is given up for this reason.
type GivenUp = for<'a> fn(&'a Ctx, &'a Message, &'a str) -> BoxFuture<'a, Result<(), StageError>>;

/// One stage of the pipeline.
#[derive(Debug)]
pub struct Stage {
    /// Which one.
    pub name: StageName,
    /// The queue that it reads.
    pub source: QueueName,
    /// The queue that it writes; the last stage writes none.
    pub next: Option<QueueName>,
    /// Messages in work at once in the daemon, unless the settings say otherwise.
    pub concurrency: usize,
    /// Whether it calls tasks, and so needs the secrets that sign.
    pub calls_tasks: bool,
    pub(super) run: Run,
    pub(super) published: Option<Published>,
    pub(super) given_up: GivenUp,
}

/// The stages, in the order in which an event passes through them.
pub static STAGES: [Stage; 3] = [
    Stage {
        name: StageName::Services,
        source: QueueName::Observer,
        next: Some(QueueName::Services),
        // Only broadcasts in work take turns at the budget of AWS requests: one that is still queued waits for others.
        concurrency: 16,
        calls_tasks: false,
        run: |ctx, message, _| discovery::services(ctx, message).boxed(),
        published: None,
        given_up: |ctx, message, reason| discovery::no_services(ctx, message, reason).boxed(),
    },
    Stage {
        name: StageName::Tasks,
        source: QueueName::Services,
        next: Some(QueueName::Tasks),
        concurrency: 8,
        calls_tasks: false,
        run: |ctx, message, _| discovery::tasks(ctx, message).boxed(),
        published: Some(|ctx, message, bodies| discovery::queued(ctx, message, bodies).boxed()),
        given_up: |ctx, message, reason| discovery::no_tasks(ctx, message, reason).boxed(),
    },
    Stage {
        name: StageName::Notify,
        source: QueueName::Tasks,
        next: None,
        concurrency: 256,
        calls_tasks: true,
        run: |ctx, message, deadline| {
            async move { notify::notify(ctx, message, deadline).await.map(|()| Vec::new()) }.boxed()
        },
        published: None,
        given_up: |ctx, message, reason| notify::given_up(ctx, message, reason).boxed(),
    },
];

impl StageName {
    /// The stage's entry.
    #[must_use]
    pub fn stage(self) -> &'static Stage {
        let [services, tasks, notify] = &STAGES;
        match self {
            Self::Services => services,
            Self::Tasks => tasks,
            Self::Notify => notify,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_reads_what_the_one_before_writes_and_is_found_by_its_name() {
        assert_eq!(STAGES[0].source, QueueName::Observer);
        for (one, next) in STAGES.iter().zip(&STAGES[1..]) {
            assert_eq!(one.next, Some(next.source));
        }
        assert_eq!(STAGES[2].next, None);
        assert!(STAGES.iter().all(|stage| std::ptr::eq(stage.name.stage(), stage)));
    }
}
