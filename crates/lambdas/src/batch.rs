//! One invocation: each record worked on by itself, and the answer that says which of them go back.
//!
//! What is done, or sent to the dead letters, is deleted by the event source mapping because the answer does not name
//! it. What follows from a message is on the next queue before that.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use notifier::ambient::Chance;
use notifier::daemon::{Failure, Handler, Verdict};
use notifier::queue::{DeadLetter, Mapped, Message, Queue, chain};
use notifier::stage::{Received, StageName};
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use crate::record::{self, Batch, Nameless, Read};

/// Records in work at once; a batch of the notify stage has no more.
const RECORDS_AT_ONCE: usize = 100;

/// Kept of an invocation's time for what follows from the work: dead letters, hand-backs, the answer.
pub const RESERVE: Duration = Duration::from_secs(6);

/// What a handler gets beyond its deadline to say itself that it is late.
const DEADLINE_SLACK: Duration = Duration::from_millis(500);

/// Kept at the very end, to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// A stage on its queue.
#[derive(Debug)]
pub struct Worker<H> {
    /// The stage.
    pub stage: StageName,
    /// The queue that the mapping reads.
    pub source: Mapped,
    /// The queue that the stage writes; the last stage has none.
    pub next: Option<Queue>,
    /// What it does.
    pub handler: H,
    /// Spreads waits.
    pub chance: Chance,
}

/// What becomes of one record.
enum End {
    /// The mapping may delete it.
    Done,
    /// It stays on its queue. `Some` when it is to be visible again sooner than by itself.
    Back(Option<Box<(Message, Duration)>>),
}

impl<H: Handler> Worker<H> {
    /// Works through one batch until `end`, when Lambda stops the function.
    ///
    /// What cannot be finished in time is handed back.
    ///
    /// # Errors
    ///
    /// A record that cannot be named in the answer; then nothing has been done, and the whole batch comes back.
    pub async fn run(&self, batch: &Batch, end: Instant) -> Result<SqsBatchResponse, Nameless> {
        let records = batch.records.iter().enumerate();
        let records = records.map(|(index, raw)| record::read(index, raw)).collect::<Result<Vec<_>, _>>()?;
        let works = records.into_iter().map(|read| self.record(read, end));
        // In the order of the batch, so that the answer can be told.
        let ends: Vec<_> = stream::iter(works).buffered(RECORDS_AT_ONCE).collect().await;
        let (mut back, mut sooner) = (Vec::new(), Vec::new());
        for (id, end) in ends {
            if let End::Back(hand_back) = end {
                back.push(id);
                sooner.extend(hand_back.map(|hand_back| *hand_back));
            }
        }
        if !sooner.is_empty() && timeout_at(last_moment(end), self.source.hand_back(sooner)).await.is_err() {
            warn!(
                stage = self.stage.as_str(),
                "No time was left to hand messages back; they come back later"
            );
        }
        Ok(answer(back))
    }

    /// One record, under the id that the mapping knows it by. A dead letter that was sent back keeps an older one inside.
    async fn record(&self, read: Read, end: Instant) -> (String, End) {
        let stage = self.stage.as_str();
        let record = match read {
            Read::Whole(record) => record,
            Read::Strange { id, error } => {
                error!(stage, message.id = id, error = %error, "Record {id} is not what Lambda documents; it goes back");
                return (id, End::Back(None));
            }
        };
        let id = record.id.clone();
        let message = self.source.read(record);
        let ended = match self.work(&message, end).await {
            Ok(()) => End::Done,
            Err(failure) => match timeout_at(last_moment(end), self.fail(&message, &failure)).await {
                Ok(Settled::Buried) => End::Done,
                Ok(Settled::Again(wait)) => End::Back(Some(Box::new((message, wait)))),
                Err(_elapsed) => End::Back(None),
            },
        };
        (id, ended)
    }

    /// The stage's work, and what follows from it on the next queue.
    async fn work(&self, message: &Message, end: Instant) -> Result<(), Failure> {
        let received = Received::from(message);
        let now = Instant::now();
        let deadline = end.checked_sub(RESERVE).unwrap_or(now);
        let late = || Failure::late(deadline.saturating_duration_since(now));
        if deadline <= now {
            return Err(late());
        }
        let all = async {
            // Nothing that the handler left half-done is used after a panic: the message is handed to it anew.
            let handled =
                AssertUnwindSafe(async { self.handler.handle(received, deadline).await }).catch_unwind();
            let bodies = handled.await.unwrap_or_else(|panic| Err(Failure::panicked(&*panic)))?;
            match &self.next {
                _ if bodies.is_empty() => Ok(()),
                Some(next) => Ok(next.publish(&bodies, &message.trace).await?),
                None => Err(Failure::no_next_queue(bodies.len())),
            }
        };
        timeout_at(deadline + DEADLINE_SLACK, all).await.unwrap_or_else(|_elapsed| Err(late()))
    }

    /// A message that failed: to the dead letters if it would fail again or SQS would not deliver it again, else back.
    async fn fail(&self, message: &Message, failure: &Failure) -> Settled {
        let (stage, id, receives) = (self.stage.as_str(), message.id.as_str(), message.receives);
        let Failure { code, reason, verdict, .. } = failure;
        let wait = failure.wait(receives, self.chance.fraction());
        // A queue that does not tell how often it delivers does so once more at worst.
        let give_up =
            *verdict == Verdict::Final || self.source.is_last_receive(message).await.unwrap_or(false);
        if !give_up {
            warn!(
                stage,
                message.id = id,
                receives,
                code,
                reason,
                ?wait,
                "Message {id} failed and will be tried again"
            );
            return Settled::Again(wait);
        }
        self.handler.given_up(Received::from(message), failure).await;
        let letter = DeadLetter::about(&message.body, stage, code, reason.clone());
        let (broadcast, task) = (letter.broadcast.as_deref(), letter.task.as_deref());
        let buried = self.source.dead_letter(message, &letter).await;
        let cause = buried.as_ref().err().map(|cause| chain(cause));
        let what = if cause.is_none() { "is in the dead letters" } else { "stays on its queue" };
        error!(
            stage,
            message.id = id,
            receives,
            code,
            reason,
            broadcast,
            task,
            cause,
            "Message {id} failed for good and {what}"
        );
        if cause.is_none() { Settled::Buried } else { Settled::Again(wait) }
    }
}

/// What became of a message that failed.
enum Settled {
    Buried,
    Again(Duration),
}

fn last_moment(end: Instant) -> Instant {
    end.checked_sub(ANSWER).unwrap_or(end)
}

fn answer(back: Vec<String>) -> SqsBatchResponse {
    let mut answer = SqsBatchResponse::default();
    answer.set_failures(back);
    answer
}
