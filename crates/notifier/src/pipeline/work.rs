//! One message of a queue: processes it, publishes the messages for the next queue, and decides what follows a failure.
//!
//! Shared by the daemon and Lambda, which receive and delete messages in different ways.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use super::{Failure, Handler, Output, Retry, StageName};
use crate::base::Rng;
use crate::base::text::chain;
use crate::base::trace::TraceId;
use crate::model::DeadLetter;
use crate::queue::{DeadLetterError, Message, Queue, Trace};

/// Time after the deadline in which a handler can still report that it is late.
pub const DEADLINE_SLACK: Duration = Duration::from_millis(500);

/// Bodies that are published before they are recorded: few enough that a crash repeats few, and enough that the records
/// need few calls.
const PUBLISHED_AT_ONCE: usize = 500;

/// Processes the messages of a queue.
#[derive(Debug)]
pub struct Work {
    /// The stage.
    pub stage: StageName,
    /// The queue that it reads.
    pub source: Queue,
    /// The queue that it writes; the last stage has none.
    pub next: Option<Queue>,
    /// Processes one message.
    pub handler: Handler,
    /// Spreads waits.
    pub rng: Rng,
}

/// What happens to a failed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is returned to its queue, to be delivered again after this long.
    Retry(Duration),
    /// It goes to the dead-letter queue.
    DeadLetter(Box<FinalFailure>),
}

/// A message on its way to the dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalFailure {
    /// Its attributes in the dead-letter queue.
    pub letter: DeadLetter,
    /// The wait until it is delivered again if it cannot be moved.
    pub wait: Duration,
    id: String,
    trace: Option<TraceId>,
    receives: u32,
}

impl Work {
    /// Processes a message, and publishes the resulting messages on the next queue.
    ///
    /// The handler is cancelled [`DEADLINE_SLACK`] after the deadline. A panic in it counts as a failure.
    ///
    /// # Errors
    ///
    /// The message failed: [`after`](Self::after) decides what happens to it.
    pub async fn run(&self, message: &Message, deadline: Instant) -> Result<(), Failure> {
        let began = self.begin();
        let result = self.process(message, deadline).await;
        if let Some(began) = began {
            self.processed(message, began, result.as_ref().err());
        }
        result
    }

    async fn process(&self, message: &Message, deadline: Instant) -> Result<(), Failure> {
        let limit = deadline.saturating_duration_since(Instant::now());
        // No state of the handler is used after a panic: the message is processed again.
        let handled = AssertUnwindSafe(self.handler.run(self.stage, message, deadline)).catch_unwind();
        let Output { next, again, trace, failure } =
            match timeout_at(deadline + DEADLINE_SLACK, handled).await {
                Ok(Ok(output)) => output?,
                Ok(Err(panic)) => return Err(Failure::panicked(&*panic)),
                Err(_elapsed) => return Err(Failure::late(limit)),
            };
        if !(next.is_empty() && again.is_empty()) {
            let context = trace.or(message.trace_context());
            let trace = context.map_or_else(|| message.trace.clone(), |context| message.trace.after(context));
            match &self.next {
                _ if next.is_empty() => {}
                Some(queue) => {
                    let began = self.begin();
                    let published = self.publish(queue, message, &next, &trace).await;
                    if let Some((began, context)) = began.zip(context) {
                        self.sent(queue, next.len(), context, began, published.as_ref().err());
                    }
                    published?;
                }
                None => return Err(Failure::no_next_queue(next.len())),
            }
            self.source.publish_delayed(&again, &trace).await?;
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Publishes bodies on the next queue, and records the accepted ones. A refused body does not block the others.
    async fn publish(
        &self,
        next: &Queue,
        message: &Message,
        bodies: &[String],
        trace: &Trace,
    ) -> Result<(), Failure> {
        let mut refused = None;
        for bodies in bodies.chunks(PUBLISHED_AT_ONCE) {
            let mut published: Vec<&str> = bodies.iter().map(String::as_str).collect();
            if let Err(error) = next.publish(bodies, trace).await {
                let is_refused = |place| error.refused.iter().any(|one| one.index == place);
                let mut places = 0..;
                published.retain(|_| !places.next().is_some_and(is_refused));
                refused.get_or_insert(error);
            }
            self.handler.published(self.stage, message, &published).await;
        }
        refused.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Decides what happens to a failed message: it goes to the dead-letter queue if it would fail again, or if SQS would
    /// not deliver it again. Before that, the ledger records it.
    pub async fn after(&self, message: &Message, failure: &Failure, is_last_receive: bool) -> Disposition {
        let (stage, id, receives) = (self.stage.as_str(), message.id.as_str(), message.receives);
        let Failure { code, reason, retry, .. } = failure;
        let wait = failure.wait(receives, self.rng.fraction());
        let letter = DeadLetter::about(self.stage, &message.body, message.sent);
        if *retry != Retry::Never && !is_last_receive {
            warn!(
                stage,
                message.id = id,
                trace_id = message.trace_id().map(display),
                receives,
                code,
                reason,
                broadcast = letter.broadcast,
                task = letter.task,
                ?wait,
                "Message {id} failed and will be tried again"
            );
            return Disposition::Retry(wait);
        }
        self.handler.given_up(self.stage, message, failure).await;
        let (code, reason) = (Some((*code).to_owned()), Some(reason.clone()));
        let letter = DeadLetter { code, reason, ..letter };
        let (id, trace) = (id.to_owned(), message.trace_id());
        Disposition::DeadLetter(Box::new(FinalFailure { letter, wait, id, trace, receives }))
    }
}

impl FinalFailure {
    /// Logs whether the message could be moved to the dead-letter queue.
    pub fn log(&self, moved: &Result<(), DeadLetterError>) {
        let Self { letter, id, trace, receives, .. } = self;
        let DeadLetter { stage, code, reason, broadcast, task, .. } = letter;
        let (stage, code, reason) = (stage.as_str(), code.as_deref(), reason.as_deref());
        let (broadcast, task) = (broadcast.as_deref(), task.as_deref());
        // A level is a constant of the place that logs.
        macro_rules! log {
            ($level:ident, $cause:expr, $text:literal) => {
                $level!(
                    stage,
                    message.id = id,
                    trace_id = trace.map(display),
                    receives,
                    code,
                    reason,
                    broadcast,
                    task,
                    cause = $cause,
                    "Message {id} failed for good {}",
                    $text
                )
            };
        }
        match moved {
            Ok(()) => log!(warn, None::<&str>, "and is in the dead letters"),
            Err(cause) => log!(error, Some(chain(cause)), "but stays on its queue"),
        }
    }
}
