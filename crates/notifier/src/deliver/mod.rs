//! Stage 3: HTTP calls to one endpoint, their retries, and the outcome.
//!
//! | file | what it does |
//! | --- | --- |
//! | `mod` | one attempt, with the task looked up before a retry |
//! | `job` | one delivery between attempts, and what follows from each (pure) |
//! | `send`, `http`, `tls` | one request: signature, connection, response |
//! | `spans` | the span of one request (pure) |
//! | `answer` | the body of a response to a question |
//! | `auth`, `headers` | keys, headers and certificates, read from secrets |
//! | `options`, `request`, `response`, `error` | limits and retry policy, what is sent, what a response means (pure) |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;
use wire::Broadcast;

use self::job::Attempt;
use crate::base::spans::Spans;
use crate::base::trace::TraceContext;
use crate::base::{self, Clock, Rng};
use crate::fleet::{Discovery, Recheck};
use crate::model::network::Networks;
use crate::model::{Delivery, Endpoint, Progress, ProgressEvent};

mod answer;
mod auth;
mod error;
mod headers;
mod http;
mod job;
mod options;
mod request;
mod response;
mod send;
mod spans;
mod tls;

pub use self::answer::Answer;
pub use self::auth::{Auth, AuthSettings, Signing};
pub use self::error::{AttemptError, Unfinished};
#[cfg(feature = "otel")]
pub(crate) use self::headers::headers;
pub use self::job::{DeliveryJob, Next, Round};
pub use self::options::{DeliveryOptions, GRACE_DEFAULT};
pub use self::response::{Then, meaning, shown};
#[cfg(feature = "otel")]
pub(crate) use self::tls::config as tls_config;

/// Files that are left for everything that is not a delivery: the AWS clients, logs, a health server.
const OTHER_FILES: usize = 64;

/// Makes deliveries. Clones share one limit of concurrency: make one per process.
#[derive(Clone, Debug)]
pub struct Deliverer {
    options: DeliveryOptions,
    networks: Networks,
    clock: Clock,
    rng: Rng,
    slots: Arc<Semaphore>,
    /// Attempts that failed because this machine was full.
    local_failures: Arc<AtomicU64>,
    /// Signs requests.
    auth: Auth,
    /// Records a span of each request.
    spans: Spans,
    /// Looks every task up before it is called again: then a task that has stopped is gone, and one that has moved is
    /// called at its current address, never another task at its old one. Without it, every attempt goes where the first went.
    pub(crate) discovery: Option<Arc<Discovery>>,
}

impl Deliverer {
    /// Calls only addresses inside `networks`; `clock` stamps the requests, and `chance` spreads the retries.
    pub fn new(options: &DeliveryOptions, networks: Networks, clock: Clock, rng: Rng) -> Self {
        let concurrency = affordable(options.concurrency, base::open_files_max());
        if concurrency < options.concurrency {
            warn!(
                concurrency,
                wanted = options.concurrency,
                "Concurrency lowered to {concurrency}: this process may not open more files"
            );
        }
        Self {
            options: DeliveryOptions { concurrency, ..options.clone() },
            networks,
            clock,
            rng,
            slots: Arc::new(Semaphore::new(concurrency)),
            local_failures: Arc::default(),
            auth: Auth::default(),
            spans: Spans::default(),
            discovery: None,
        }
    }

    /// Signs requests with these secrets, and checks tasks against these certificates. Without it, nothing is signed.
    #[must_use]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Records a span of each request. Without it, none is made.
    #[must_use]
    pub fn with_spans(mut self, spans: Spans) -> Self {
        self.spans = spans;
        self
    }

    /// Where finished spans go.
    pub(crate) fn spans(&self) -> &Spans {
        &self.spans
    }

    /// The random numbers of this process.
    pub(crate) fn rng(&self) -> &Rng {
        &self.rng
    }

    /// Its options, with the concurrency that the limit of open files allows.
    pub fn options(&self) -> &DeliveryOptions {
        &self.options
    }

    /// Looks the task up if its address may belong to another task now; the next attempt makes no lookup then. Returns
    /// whether it did. No slot is held meanwhile, so a slow ECS delays no other call.
    pub async fn look_up(&self, job: &mut DeliveryJob) -> bool {
        job.is_called = false;
        let is_needed = job.rechecks || job.endpoint.is_starting;
        let Some(discovery) = self.discovery.as_ref().filter(|_| is_needed) else { return false };
        let found = discovery.recheck(&job.endpoint.member, Some(&job.endpoint)).await;
        job.looked_up = Some(match found {
            Ok(Recheck::At(found)) if found.is_starting => Err(AttemptError::Starting),
            Ok(Recheck::At(found)) => {
                let (is_late, wave) = (job.endpoint.is_late, job.endpoint.wave);
                job.endpoint = Endpoint { is_late, wave, ..found };
                Ok(())
            }
            Ok(Recheck::Stopped(why)) => Err(AttemptError::Stopped(why)),
            Ok(Recheck::Nowhere(why)) => Err(AttemptError::Nowhere(why)),
            Err(error) => Err(AttemptError::Lost(error)),
        });
        true
    }

    /// Makes the next attempt of a delivery, and returns what follows. Reports a retry to `progress`, but not the end.
    pub async fn advance(
        &self,
        broadcast: &Broadcast,
        job: &mut DeliveryJob,
        progress: &Progress,
        round: Round,
    ) -> Next {
        job.is_called = false;
        let Some(attempt) = self.attempt(broadcast, job, round.deadline).await else {
            return Next::Return(job.late());
        };
        let next = job.note(attempt, round, &self.options, self.rng.fraction(), self.discovery.is_some());
        if let Next::Retry(wait) = &next {
            progress.emit(ProgressEvent::Retrying {
                broadcast: broadcast.id.clone(),
                trace: job.trace.map(|context| context.trace),
                delivery: job.pending(),
                wait: *wait,
                latency: job.requested(),
                age: None,
            });
        }
        next
    }

    /// Makes a delivery with as many attempts as it takes, and waits between them. A failed delivery is no error.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] when the deadline came first, the last attempt failed because this machine was full, or more rounds
    /// may follow: the delivery goes back to its queue.
    pub async fn deliver(
        &self,
        broadcast: &Broadcast,
        job: &mut DeliveryJob,
        progress: &Progress,
        round: Round,
    ) -> Result<Delivery, Unfinished> {
        loop {
            match self.advance(broadcast, job, progress, round).await {
                Next::Settle(delivery) => return Ok(delivery),
                Next::Retry(wait) => sleep(wait).await,
                Next::Return(unfinished) => return Err(unfinished),
            }
        }
    }

    /// One attempt; `None` when the deadline comes before its request.
    async fn attempt(
        &self,
        broadcast: &Broadcast,
        job: &mut DeliveryJob,
        deadline: Option<Instant>,
    ) -> Option<Attempt> {
        if job.looked_up.is_none() {
            before(deadline, self.look_up(job)).await?;
        }
        if let Some(Err(error)) = job.looked_up.take() {
            return Some(Attempt { latency: Duration::ZERO, result: Err(error) });
        }
        // A place among the attempts under way.
        let _slot = before(deadline, self.slots.acquire()).await?.ok()?;
        job.is_called = true;
        let trace = *job.trace.get_or_insert_with(|| TraceContext::random(&self.rng));
        let started = Instant::now();
        let mut answer = job.asked.as_ref().map(answer::Asked::reader);
        let mut result = self.send(broadcast, job, trace, deadline, answer.as_mut()).await;
        if let (Some(asked), Some(reader)) = (&mut job.asked, answer) {
            asked.answer = result.is_ok().then_some(reader.answer);
            if matches!(result, Err(AttemptError::CutOff)) {
                // Its time is the time-out that was asked for, not a limit of this process.
                result = Err(AttemptError::TimedOut(self.options.timeout));
            }
        }
        if let Err(error @ AttemptError::Local(_)) = &result {
            let failures = self.local_failures.fetch_add(1, Ordering::Relaxed) + 1;
            // Thousands of attempts may fail like this within a second: the log gets each doubling, not each failure.
            if failures.is_power_of_two() {
                warn!(
                    failures,
                    trace_id = %trace.trace,
                    "Cannot open connections; deliveries are retried later: {}",
                    error.reason()
                );
            }
        }
        Some(Attempt { latency: started.elapsed(), result })
    }
}

/// What `work` comes to, unless the deadline comes first or has passed.
async fn before<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(end) if end <= Instant::now() => None,
        Some(end) => timeout_at(end, work).await.ok(),
        None => Some(work.await),
    }
}

/// The concurrency that the limit of open files allows: each attempt under way is one file.
fn affordable(wanted: usize, open_files_max: Option<usize>) -> usize {
    let files = open_files_max.map_or(usize::MAX, |files| files.saturating_sub(OTHER_FILES));
    wanted.min(files).clamp(1, Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_bounds_the_concurrency() {
        for (wanted, open_files, expected) in [
            (256, Some(20_000), 256),
            (1_024, Some(1_024), 960),
            (256, Some(70), 6),
            (256, Some(64), 1),
            (256, Some(3), 1),
            (0, None, 1),
            (usize::MAX, None, Semaphore::MAX_PERMITS),
        ] {
            assert_eq!(affordable(wanted, open_files), expected, "{wanted} with {open_files:?}");
        }
    }
}
