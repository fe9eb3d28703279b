//! One message: the stage's work, the next queue, then the message's end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, error, warn};

use super::failure::{Failure, Verdict};
use super::handler::Handler;
use super::worker::{Shared, Worker};
use crate::queue::{DeadLetter, Message, chain};
use crate::stage::Received;

/// What a handler gets beyond its deadline to say itself that it is late.
const DEADLINE_SLACK: Duration = Duration::from_secs(1);

/// Works on one message, whatever it does, and settles it. The permit is free again when its end has been decided.
pub(super) async fn message<H: Handler>(
    shared: Arc<Shared<H>>,
    message: Message,
    permit: OwnedSemaphorePermit,
) {
    let worked = tokio::select! {
        biased;
        worked = work(&shared.worker, &message) => Some(worked),
        () = shared.cut.cancelled() => None,
    };
    match worked {
        None => hand_back(&shared, message).await,
        Some(Ok(())) => {
            debug!(stage = shared.worker.stage.as_str(), message.id, "Done with message {}", message.id);
            shared.inbox.done(message).await;
            shared.tally.done.fetch_add(1, Ordering::Relaxed);
        }
        Some(Err(failure)) => fail(&shared, message, failure).await,
    }
    drop(permit);
}

/// Gives a message back because of the shutdown, for others to take at once.
pub(super) async fn hand_back<H>(shared: &Shared<H>, message: Message) {
    debug!(stage = shared.worker.stage.as_str(), message.id, "Handing message {} back", message.id);
    shared.inbox.hand_back(message, Duration::ZERO).await;
    shared.tally.returned.fetch_add(1, Ordering::Relaxed);
}

/// The stage's work, and what follows from it on the next queue.
async fn work<H: Handler>(worker: &Worker<H>, message: &Message) -> Result<(), Failure> {
    let received = Received::from(message);
    let limit = worker.options.message_time_max;
    let deadline = Instant::now() + limit;
    // Nothing that the handler left half-done is used after a panic: the message is handed to it anew.
    let handled = AssertUnwindSafe(async { worker.handler.handle(received, deadline).await }).catch_unwind();
    let bodies = match timeout_at(deadline + DEADLINE_SLACK, handled).await {
        Ok(Ok(bodies)) => bodies?,
        Ok(Err(panic)) => return Err(Failure::panicked(&*panic)),
        Err(_elapsed) => return Err(Failure::late(limit)),
    };
    match &worker.next {
        _ if bodies.is_empty() => Ok(()),
        Some(next) => Ok(next.publish(&bodies, &message.trace).await?),
        None => Err(Failure::no_next_queue(bodies.len())),
    }
}

/// A message that failed: to the dead letters if it would fail again or SQS would not deliver it again, else back.
async fn fail<H: Handler>(shared: &Shared<H>, message: Message, failure: Failure) {
    let worker = &shared.worker;
    let stage = worker.stage.as_str();
    let id = message.id.clone();
    let (receives, code) = (message.receives, failure.code);
    let wait = failure.wait(receives, worker.chance.fraction());
    let reason = failure.reason.clone();
    if failure.verdict != Verdict::Final && !shared.inbox.is_last_receive(&message) {
        warn!(
            stage,
            message.id = id,
            receives,
            code,
            reason,
            ?wait,
            "Message {id} failed and will be tried again"
        );
        shared.inbox.hand_back(message, wait).await;
        shared.tally.retried.fetch_add(1, Ordering::Relaxed);
        return;
    }
    worker.handler.given_up(Received::from(&message), &failure).await;
    let letter = DeadLetter::about(&message.body, stage, code, failure.reason);
    let (broadcast, task) = (letter.broadcast.as_deref(), letter.task.as_deref());
    match shared.inbox.dead_letter(message, &letter, wait).await {
        Ok(()) => {
            warn!(
                stage,
                message.id = id,
                receives,
                code,
                reason,
                broadcast,
                task,
                "Message {id} failed for good and is in the dead letters"
            );
            shared.tally.buried.fetch_add(1, Ordering::Relaxed);
        }
        Err(cause) => {
            let cause = chain(&cause);
            error!(
                stage,
                message.id = id,
                receives,
                code,
                reason,
                broadcast,
                task,
                cause,
                "Message {id} failed for good but stays on its queue"
            );
            shared.tally.retried.fetch_add(1, Ordering::Relaxed);
        }
    }
}
