//! The table of stages: the queues that each reads and writes, and its functions. A new stage is a new entry.

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use tokio::time::Instant;

use super::{Ctx, Output, StageError, discovery, notify, observe, register};
use crate::base::words;
use crate::model::StageName;
use crate::queue::Message;

words! {
    /// One of the queues between the stages, by its name in errors and settings. In the order of the stages that read them.
    pub enum QueueName {
        /// Read by stage 1; written by everyone who may request a broadcast.
        Observer = "observer",
        /// Written by stage 1, read by stage 2.
        Services = "services",
        /// Written by stage 2, read by stage 3.
        Tasks = "tasks",
        /// Read by the stage that keeps the registry; written by a rule of EventBridge.
        Registry = "registry",
    }
}

impl QueueName {
    /// The queues of a broadcast, in the order of the stages that read them.
    pub const BROADCAST: [Self; 3] = [Self::Observer, Self::Services, Self::Tasks];
}

/// Processes a message.
type Run = for<'a> fn(&'a Ctx, &'a Message, Option<Instant>) -> BoxFuture<'a, Result<Output, StageError>>;
/// Records that some of these bodies are on the next queue.
type Published = for<'a> fn(&'a Ctx, &'a Message, &'a [&'a str]) -> BoxFuture<'a, Result<(), StageError>>;
/// Records that a message was given up for this reason.
type GivenUp = for<'a> fn(&'a Ctx, &'a Message, &'a str) -> BoxFuture<'a, Result<(), StageError>>;

/// One stage of the pipeline.
#[derive(Debug)]
pub struct Stage {
    /// Name of the stage.
    pub name: StageName,
    /// The queue that it reads.
    pub source: QueueName,
    /// The queue that it writes; the last stage writes none.
    pub next: Option<QueueName>,
    /// Messages that the daemon processes concurrently by default.
    pub concurrency: usize,
    /// Whether it calls tasks, and so needs the signing keys.
    pub calls_tasks: bool,
    /// Whether an installation may do without it: it runs if its queue is set.
    pub is_optional: bool,
    pub(super) run: Run,
    pub(super) published: Option<Published>,
    pub(super) given_up: GivenUp,
}

/// The stages: those of a broadcast in order, then the one that keeps the registry.
pub static STAGES: [Stage; 4] = [
    Stage {
        name: StageName::Services,
        source: QueueName::Observer,
        next: Some(QueueName::Services),
        // Only concurrent broadcasts share the budget of AWS requests: a queued broadcast waits for others to end.
        concurrency: 16,
        calls_tasks: false,
        is_optional: false,
        run: |ctx, message, _| observe::observe(ctx, message).boxed(),
        published: None,
        given_up: |ctx, message, reason| discovery::no_services(ctx, message, reason).boxed(),
    },
    Stage {
        name: StageName::Tasks,
        source: QueueName::Services,
        next: Some(QueueName::Tasks),
        concurrency: 8,
        calls_tasks: false,
        is_optional: false,
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
        is_optional: false,
        run: |ctx, message, deadline| {
            async move { notify::notify(ctx, message, deadline).await.map(|()| Output::default()) }.boxed()
        },
        published: None,
        given_up: |ctx, message, reason| notify::given_up(ctx, message, reason).boxed(),
    },
    Stage {
        name: StageName::Registry,
        source: QueueName::Registry,
        next: Some(QueueName::Services),
        // Each event is a read and a write of the table.
        concurrency: 32,
        calls_tasks: false,
        is_optional: true,
        run: |ctx, message, _| register::register(ctx, message).boxed(),
        published: None,
        // A sweep finds what the event would have said.
        given_up: |_, _, _| ready(Ok(())).boxed(),
    },
];

impl StageName {
    /// The stage's entry.
    pub fn stage(self) -> &'static Stage {
        let [services, tasks, notify, registry] = &STAGES;
        match self {
            Self::Services => services,
            Self::Tasks => tasks,
            Self::Notify => notify,
            Self::Registry => registry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_reads_what_the_one_before_writes_and_is_found_by_its_name() {
        assert_eq!(STAGES[0].source, QueueName::Observer);
        for (one, next) in STAGES[..3].iter().zip(&STAGES[1..3]) {
            assert_eq!(one.next, Some(next.source));
        }
        assert_eq!(STAGES[2].next, None);
        assert_eq!((STAGES[3].source, STAGES[3].next), (QueueName::Registry, Some(QueueName::Services)));
        assert_eq!(STAGES.each_ref().map(|stage| stage.is_optional), [false, false, false, true]);
        assert_eq!(STAGES[..3].iter().map(|stage| stage.name).collect::<Vec<_>>(), StageName::BROADCAST);
        assert_eq!(STAGES[..3].iter().map(|stage| stage.source).collect::<Vec<_>>(), QueueName::BROADCAST);
        assert!(STAGES.iter().all(|stage| std::ptr::eq(stage.name.stage(), stage)));
    }
}
