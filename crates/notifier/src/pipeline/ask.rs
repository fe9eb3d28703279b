//! A question to a fleet: a broadcast in memory whose 2xx responses are answers.
//!
//! Discovery, signatures, the guard of addresses and outcomes are those of [`send`](mod@super::send). Other than there, each
//! task has one time-out for all attempts, and an event of its own expiry.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::event::{EXPIRY_TIME, Extension, QUESTION};
use wire::{Broadcast, Draft, EventError, Method, ObserverMessage};

use super::Ctx;
use super::send::{self, SendError};
use crate::deliver::{Answer, DeliveryJob, Next, Round};
use crate::model::{Cause, Delivery, Outcome, SkipReason};
use crate::report::Counts;
use crate::report::answers::{AnswerValue, Answers, Query};

/// The most bytes of an answer that are recorded: with its outcome, they fit into one write unit of DynamoDB.
const KEPT_BYTES_MAX: usize = 512;

/// How a fleet is asked.
#[derive(Debug)]
pub struct AskOptions {
    /// Time for the answer of a task, from its first call, with all attempts.
    pub timeout: Duration,
    /// The most bytes of an answer. The rest is not read.
    pub answer_bytes_max: usize,
    /// Whether short answers are recorded in the ledger.
    pub keeps_answers: bool,
    /// Receives each answer. If nothing takes them, tasks are called later.
    pub each: Option<mpsc::Sender<Answered>>,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The delivery of the question.
    pub delivery: Delivery,
    /// The part of the answer that is compared.
    pub value: AnswerValue,
    /// Bytes of the whole answer, at most the limit.
    pub bytes: usize,
}

/// A question, and the answers so far.
#[derive(Debug)]
pub struct Asking {
    options: AskOptions,
    query: Query,
    broadcast: Broadcast,
    /// The event of the questions that begin in one second.
    current: Mutex<Option<(i64, Arc<Broadcast>)>>,
    answers: Mutex<Answers>,
}

impl Asking {
    /// This event as a question at this time.
    ///
    /// # Errors
    ///
    /// If the event is too large with the attributes of a question.
    pub fn new(
        event: Broadcast,
        query: Query,
        options: AskOptions,
        now: OffsetDateTime,
    ) -> Result<Self, EventError> {
        let broadcast = expiring(event, now.unix_timestamp(), options.timeout)?;
        let answers = Mutex::new(Answers::new(query.clone()));
        Ok(Self { options, query, broadcast, current: Mutex::default(), answers })
    }

    /// The event as a question.
    pub fn broadcast(&self) -> &Broadcast {
        &self.broadcast
    }

    /// The answers and outcomes so far.
    pub fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many containers came to what so far.
    pub(super) fn counts(&self) -> Counts {
        self.answers().counts()
    }

    /// The delivery as a question; as skipped if its container cannot be asked.
    pub(super) fn prepare(&self, job: DeliveryJob) -> Result<DeliveryJob, Box<Delivery>> {
        let endpoint = job.endpoint();
        if endpoint.target.method == Method::Get {
            let reason =
                "its label NOTIFY_ME_METHOD=GET asks for calls without a body, so it cannot be asked";
            let skipped = Delivery::skipped(endpoint.member.clone(), SkipReason::new(Cause::Method, reason));
            return Err(Box::new(Delivery { address: Some(endpoint.address), ..skipped }));
        }
        Ok(job.asking(self.options.answer_bytes_max))
    }

    /// Makes the next attempt of a question, within its time.
    pub(super) async fn advance(&self, ctx: &Ctx, job: &mut DeliveryJob) -> Next {
        let known = job.asked.as_ref().and_then(|asked| asked.begun.clone());
        let (broadcast, deadline) = known.unwrap_or_else(|| self.begin(ctx.clock.now()));
        if let Some(asked) = &mut job.asked {
            asked.begun = Some((Arc::clone(&broadcast), deadline));
        }
        let round = Round { more: false, deadline: Some(deadline) };
        let next = ctx.deliverer.advance(&broadcast, job, &ctx.progress, round).await;
        let answer = job.asked.as_mut().and_then(|asked| asked.answer.take());
        match (next, answer) {
            (Next::Settle(delivery), Some(answer)) if delivery.outcome == Some(Outcome::Delivered) => {
                Next::Settle(self.answered(delivery, answer).await)
            }
            (next, _) => next,
        }
    }

    /// The event of a question that begins now, and the end of its time. Those of one second share their event.
    fn begin(&self, now: OffsetDateTime) -> (Arc<Broadcast>, Instant) {
        let deadline = Instant::now() + self.options.timeout;
        let second = now.unix_timestamp();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some((of, broadcast)) if *of == second => (Arc::clone(broadcast), deadline),
            _ => {
                // It was valid with an earlier time, so it is valid with this one.
                let broadcast = expiring(self.broadcast.clone(), second, self.options.timeout);
                let broadcast = Arc::new(broadcast.unwrap_or_else(|_| self.broadcast.clone()));
                *current = Some((second, Arc::clone(&broadcast)));
                (broadcast, deadline)
            }
        }
    }

    /// Notes an answer. Returns the delivery as it is recorded.
    async fn answered(&self, delivery: Delivery, answer: Answer) -> Delivery {
        let value = self.query.value(&answer.text, answer.is_cut);
        let mut recorded = delivery.clone();
        if self.options.keeps_answers {
            let kept = value.as_json().filter(|json| json.len() <= KEPT_BYTES_MAX && !value.is_cut());
            recorded.answer = kept.map(str::to_owned);
        }
        self.answers().answered(&delivery, value.clone());
        if let Some(each) = &self.options.each {
            // Whoever took the answers may have ended: the groups have this one all the same.
            let _ = each.send(Answered { delivery, value, bytes: answer.bytes }).await;
        }
        recorded
    }

    /// Notes a delivery that has ended. Answers have been noted before.
    pub(super) fn settled(&self, delivery: Delivery) {
        if delivery.outcome == Some(Outcome::Delivered) {
            return;
        }
        let reason = delivery.reason.clone().or_else(|| match delivery.outcome {
            Some(Outcome::Failed) => Some("its time ended before a call".to_owned()),
            _ => None,
        });
        self.answers().unanswered(Delivery { reason, ..delivery });
    }
}

/// The event as a question that expires this long after a time, in seconds since 1970.
fn expiring(event: Broadcast, second: i64, timeout: Duration) -> Result<Broadcast, EventError> {
    let sent = OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // Rounded up, because the time has no fraction.
    let expiry = (sent + timeout + Duration::from_secs(1)).replace_nanosecond(0);
    let mut draft = Draft::from(event.event);
    draft.extensions.insert(QUESTION.to_owned(), Extension::Boolean(true));
    if let Some(expiry) = expiry.ok().and_then(|expiry| expiry.format(&Rfc3339).ok()) {
        draft.extensions.insert(EXPIRY_TIME.to_owned(), Extension::Text(expiry));
    }
    Ok(Broadcast::new(draft.complete(&event.id, sent)?))
}

/// Asks every endpoint of the scope, and waits until each has answered or its time has ended. The answers are in `asking`.
///
/// # Errors
///
/// As for [`send`](send::send).
pub async fn ask(ctx: &Arc<Ctx>, scope: &ObserverMessage, asking: &Arc<Asking>) -> Result<(), SendError> {
    send::send_as(ctx, scope, asking.broadcast(), None, Some(Arc::clone(asking))).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_796_040_000;

    fn asking(timeout: Duration) -> Asking {
        let event =
            Draft::new("com.example.version").complete(&"q-1".parse().unwrap(), OffsetDateTime::UNIX_EPOCH);
        let options = AskOptions { timeout, answer_bytes_max: 1, keeps_answers: false, each: None };
        let now = OffsetDateTime::from_unix_timestamp(NOON).unwrap();
        Asking::new(Broadcast::new(event.unwrap()), Query::default(), options, now).unwrap()
    }

    fn expiry(broadcast: &Broadcast) -> &str {
        assert_eq!(broadcast.event.extensions().get(QUESTION), Some(&Extension::Boolean(true)));
        match broadcast.event.extensions().get(EXPIRY_TIME) {
            Some(Extension::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_question_expires_after_its_own_time_and_those_of_a_second_share_their_event() {
        let asking = asking(Duration::from_millis(5_500));
        assert_eq!(expiry(asking.broadcast()), "2026-11-30T12:00:06Z");
        let at = |millis: i64| {
            let now =
                OffsetDateTime::from_unix_timestamp_nanos(i128::from(NOON * 1_000 + millis) * 1_000_000);
            asking.begin(now.unwrap()).0
        };
        let (first, same, later) = (at(60_000), at(60_999), at(61_000));
        assert!(Arc::ptr_eq(&first, &same));
        assert_eq!((expiry(&first), expiry(&later)), ("2026-11-30T12:01:06Z", "2026-11-30T12:01:07Z"));
        assert_eq!(first.id, later.id);
    }
}
