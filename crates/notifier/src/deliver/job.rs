//! One delivery while it is being made, and what follows from an attempt. Pure: attempts are made elsewhere.

use std::any::Any;
use std::time::Duration;

use ::http::StatusCode;
use tokio::time::Instant;

use super::answer::Asked;
use super::error::{AttemptError, Unfinished};
use super::options::DeliveryOptions;
use super::response::Then;
use crate::base::text::panic_text;
use crate::base::trace::TraceContext;
use crate::model::{Cause, Delivery, Endpoint, Outcome};

/// Waits before the health of a starting container is looked up again, where no queue waits instead: a minute in all,
/// because Docker's first check comes after 30 s unless the task definition says otherwise.
const HEALTH_AGAIN_AFTER: [Duration; 6] = [
    Duration::from_secs(2),
    Duration::from_secs(3),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(15),
    Duration::from_secs(25),
];

/// A delivery that has not ended: where its task was found last, and what its attempts came to.
#[derive(Debug)]
pub struct DeliveryJob {
    pub(super) endpoint: Endpoint,
    /// Whether the task is looked up again before the next attempt; before the first only if the address may be old.
    pub rechecks: bool,
    /// The trace that it belongs to; without one, the first attempt starts one.
    pub trace: Option<TraceContext>,
    /// Set if the event is a question.
    pub(crate) asked: Option<Asked>,
    /// What a lookup before the next attempt came to; `None` when none was made.
    pub(super) looked_up: Option<Result<(), AttemptError>>,
    /// Whether the attempt under way has come to its request.
    pub(super) is_called: bool,
    /// How long the request of the last attempt took; `None` if it came to none.
    requested: Option<Duration>,
    /// HTTP requests that were made before this job.
    before: u32,
    /// HTTP requests that this job made.
    requests: u32,
    /// Attempts that count towards the limit.
    attempts: u32,
    /// Lookups of a container that was starting.
    lookups: usize,
    /// Why the last attempt failed, and how long it took.
    last: Option<AttemptError>,
    latency: Duration,
}

/// How one attempt went.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) latency: Duration,
    pub(super) result: Result<StatusCode, AttemptError>,
}

/// When a delivery may go on after its attempts here are used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Another round may follow: when the attempts are used up, the delivery is unfinished rather than failed.
    pub more: bool,
    /// No attempt begins after this, and one under way ends here.
    pub deadline: Option<Instant>,
}

/// What follows from an attempt.
#[derive(Debug)]
pub enum Next {
    /// The delivery has ended.
    Settle(Delivery),
    /// Another attempt follows after this wait.
    Retry(Duration),
    /// The delivery has not ended, and no attempt follows in this round.
    Return(Unfinished),
}

impl DeliveryJob {
    /// A delivery to an endpoint whose address ECS named just now.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            rechecks: false,
            trace: None,
            asked: None,
            looked_up: None,
            is_called: false,
            requested: None,
            before: 0,
            requests: 0,
            attempts: 0,
            lookups: 0,
            last: None,
            latency: Duration::ZERO,
        }
    }

    /// The same delivery after earlier rounds with this number of requests.
    #[must_use]
    pub fn after_requests(self, before: u32) -> Self {
        Self { before, ..self }
    }

    /// The same delivery as a part of this trace.
    #[must_use]
    pub fn in_trace(self, trace: TraceContext) -> Self {
        Self { trace: Some(trace), ..self }
    }

    /// The same delivery as a question, whose answer may have this many bytes.
    #[must_use]
    pub fn asking(self, answer_bytes_max: usize) -> Self {
        Self { asked: Some(Asked::new(answer_bytes_max)), ..self }
    }

    /// How long the request of the last attempt took; `None` if it came to none.
    pub fn requested(&self) -> Option<Duration> {
        self.requested
    }

    /// HTTP requests so far, in earlier rounds too.
    pub(super) fn requests(&self) -> u32 {
        self.before + self.requests
    }

    /// Where the task was found last.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its state: no outcome, the number of requests, and why the last attempt failed.
    pub fn pending(&self) -> Delivery {
        self.after(self.last.as_ref())
    }

    /// Its state after an interruption; `in_attempt` if an attempt was cancelled.
    pub fn interrupted(&self, in_attempt: bool) -> Delivery {
        let is_called = in_attempt && self.is_called;
        let pending = self.pending();
        let requests = pending.requests() + u32::from(is_called);
        let reason = match (is_called, &pending.reason) {
            (true, _) => "interrupted before the answer: the event may have been accepted".to_owned(),
            (false, Some(why)) => format!("interrupted before another attempt: {why}"),
            (false, None) => "interrupted before the call".to_owned(),
        };
        let attempts = Some(requests).filter(|requests| *requests > 0);
        Delivery { reason: Some(reason), cause: Some(Cause::Interrupted), attempts, ..pending }
    }

    /// The end of a delivery whose attempt panicked.
    pub fn panicked(&self, panic: &(dyn Any + Send)) -> Delivery {
        Delivery {
            reason: Some(format!("bug in the notifier: {}", panic_text(panic))),
            cause: Some(Cause::Fault),
            latency: Some(Duration::ZERO),
            ..self.settled(Outcome::Failed, None)
        }
    }

    /// The end of a delivery that cannot go back to a queue.
    pub fn failed(&self, unfinished: &Unfinished) -> Delivery {
        self.settled(Outcome::Failed, unfinished.last.as_ref())
    }

    /// That no attempt was made, because the time ran out before.
    pub(super) fn late(&mut self) -> Unfinished {
        self.requested = None;
        let last = self.last.take();
        self.unfinished(None, last)
    }

    fn unfinished(&self, retry_after: Option<Duration>, last: Option<AttemptError>) -> Unfinished {
        Unfinished { attempts: self.requests, retry_after, last }
    }

    /// What follows from an attempt. `spread`, from 0.0 to 1.0, picks a point of the wait; `can_move` tells whether a
    /// task can be looked up again.
    pub(super) fn note(
        &mut self,
        attempt: Attempt,
        round: Round,
        options: &DeliveryOptions,
        spread: f64,
        can_move: bool,
    ) -> Next {
        self.rechecks = true;
        self.latency = attempt.latency;
        self.requested = match &attempt.result {
            Err(error) if !error.was_attempted() => None,
            _ => Some(attempt.latency),
        };
        let error = match attempt.result {
            Ok(status) => {
                self.requests += 1;
                let delivered = self.settled(Outcome::Delivered, None);
                return Next::Settle(Delivery { status: Some(status.as_u16()), ..delivered });
            }
            Err(error) => error,
        };
        self.requests += u32::from(error.was_attempted());
        if error.is_starting() {
            self.lookups += 1;
        } else {
            self.attempts += 1;
        }
        let asked = match error.then() {
            Then::Settle(outcome) => return Next::Settle(self.settled(outcome, Some(&error))),
            // The same stranger would answer again.
            Then::Again(_) if error.is_misdirected() && !can_move => {
                return Next::Settle(self.settled(Outcome::Failed, Some(&error)));
            }
            Then::Again(asked) => asked,
        };
        match self.wait(&error, asked, round, options, spread) {
            Some(wait) if round.deadline.is_some_and(|end| Instant::now() + wait >= end) => {
                Next::Return(self.unfinished(Some(wait), Some(error)))
            }
            Some(wait) => {
                self.last = Some(error);
                Next::Retry(wait)
            }
            None if round.more || error.is_ours() => Next::Return(self.unfinished(asked, Some(error))),
            None => {
                let outcome = if error.is_starting() { Outcome::Skipped } else { Outcome::Failed };
                Next::Settle(self.settled(outcome, Some(&error)))
            }
        }
    }

    /// How long to wait before another attempt; `None` when the attempts of this round are used up. Where more rounds may
    /// follow, a longer wait that the task asks for is left to them. The queue waits for a starting container, if there is one.
    fn wait(
        &self,
        error: &AttemptError,
        asked: Option<Duration>,
        round: Round,
        options: &DeliveryOptions,
        spread: f64,
    ) -> Option<Duration> {
        if error.is_starting() {
            let is_queued = round.more || round.deadline.is_some();
            let waits = if is_queued { &[][..] } else { &HEALTH_AGAIN_AFTER };
            return waits.get(self.lookups.saturating_sub(1)).copied();
        }
        let wait = options.wait_before(self.attempts + 1, asked, spread)?;
        (!round.more || asked <= Some(options.retry_after_most)).then_some(wait)
    }

    fn settled(&self, outcome: Outcome, error: Option<&AttemptError>) -> Delivery {
        Delivery {
            outcome: Some(outcome),
            attempts: Some(self.before + self.requests),
            latency: Some(self.latency),
            ..self.after(error)
        }
    }

    /// Its state after this error, if there was one.
    fn after(&self, error: Option<&AttemptError>) -> Delivery {
        Delivery {
            reason: error.map(AttemptError::reason),
            cause: error.map(AttemptError::cause),
            status: error.and_then(AttemptError::status).map(|status| status.as_u16()),
            attempts: Some(self.before + self.requests).filter(|requests| *requests > 0),
            ..Delivery::from(&self.endpoint)
        }
    }
}
