//! Stage 3: one HTTP call per endpoint, its retries, its outcome.
//!
//! | file | what it does |
//! | --- | --- |
//! | `mod` | one delivery: attempts and the waits between them |
//! | `fanout` | one broadcast: every delivery, bounded, none in the way of another |
//! | `http` | one attempt |
//! | `request`, `answer`, `schedule`, `error` | what is sent, what an answer means, when to try again (pure) |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::http::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;
use wire::Broadcast;

use self::error::Then;
use self::http::Limits;
use self::request::Call;
use self::schedule::Schedule;
use crate::ambient::{self, Chance, Clock};
use crate::fleet::Endpoint;
use crate::network::Networks;
use crate::outcome::{DeliveryResult, Outcome};
use crate::progress::{Progress, Step};

mod answer;
mod error;
mod fanout;
mod http;
mod request;
mod schedule;

pub use self::answer::{Meaning, shown};
pub use self::error::{AttemptError, Unfinished};

/// Files that are left for everything that is not a delivery: the AWS clients, logs, a health server.
const OTHER_FILES: usize = 64;

/// How deliveries are made.
///
/// The defaults suit tasks in the same VPC. They come from a model that measurements bear out: what a broadcast takes
/// is the tasks that do not answer, times `timeout`, divided by `concurrency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The longest that a connection may take to stand; at most `timeout`. Default: 1 s.
    pub connect_timeout: Duration,
    /// The longest that one attempt may take, connection and answer together. Default: 3 s.
    pub timeout: Duration,
    /// Attempts of one delivery in all; 0 counts as 1. Default: 3.
    pub attempts: u32,
    /// The longest wait before the second attempt; later ones double, and chance shortens each. Default: 200 ms.
    pub wait_first: Duration,
    /// What doubling ends at. Default: 2 s.
    pub wait_most: Duration,
    /// The longest that a task's `Retry-After` is honoured; what it asks for beyond that is cut. Default: 10 s.
    pub retry_after_most: Duration,
    /// Attempts under way at the same time; 0 counts as 1. [`Deliverer::new`] lowers it to what the limit of open files
    /// allows. Default: 256. Beyond 1,024 nothing is gained.
    pub concurrency: usize,
    /// Bytes of an answer's body that are read; the start of it becomes part of a reason. Default: 16 KiB.
    pub answer_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(3),
            attempts: 3,
            wait_first: Duration::from_millis(200),
            wait_most: Duration::from_secs(2),
            retry_after_most: Duration::from_secs(10),
            concurrency: 256,
            answer_bytes_max: 16 * 1024,
        }
    }
}

/// Makes deliveries. Cloning it is cheap, and clones share one limit of concurrency: make one per process.
#[derive(Clone, Debug)]
pub struct Deliverer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    schedule: Schedule,
    networks: Networks,
    clock: Clock,
    chance: Chance,
    slots: Semaphore,
    concurrency: usize,
    /// Attempts that failed because this machine was full.
    local_failures: AtomicU64,
}

/// How one attempt went.
struct Tried {
    latency: Duration,
    result: Result<StatusCode, AttemptError>,
}

impl Tried {
    fn never_sent(error: AttemptError) -> Self {
        Self { latency: Duration::ZERO, result: Err(error) }
    }
}

/// What becomes of a delivery after an attempt.
enum Next {
    Settled(DeliveryResult),
    Again { wait: Duration, reason: String },
}

impl Deliverer {
    /// Calls only addresses inside `networks`; `clock` stamps the requests, and `chance` spreads the retries.
    #[must_use]
    pub fn new(options: &Options, networks: Networks, clock: Clock, chance: Chance) -> Self {
        let concurrency = affordable(options.concurrency, ambient::open_files_most());
        if concurrency < options.concurrency {
            warn!(
                concurrency,
                wanted = options.concurrency,
                "Concurrency lowered to {concurrency}: this process may not open more files"
            );
        }
        Self(Arc::new(Inner {
            limits: Limits {
                connect: options.connect_timeout,
                total: options.timeout,
                answer_bytes: options.answer_bytes_max,
            },
            schedule: Schedule {
                attempts: options.attempts,
                first: options.wait_first,
                most: options.wait_most,
                asked_most: options.retry_after_most,
            },
            networks,
            clock,
            chance,
            slots: Semaphore::new(concurrency),
            concurrency,
            local_failures: AtomicU64::new(0),
        }))
    }

    /// Makes one delivery: as many attempts as it takes, up to the limit, with waits between them.
    ///
    /// Tells `progress` of every retry. The end is the answer: whoever called tells of it. A failed delivery is an
    /// answer too, not an error. No attempt begins after `deadline`, and one under way ends there.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] when the deadline came first, or the last attempt failed because this machine was full: the
    /// delivery should be handed back, and made again later.
    pub async fn deliver(
        &self,
        broadcast: &Broadcast,
        endpoint: &Endpoint,
        progress: &Progress,
        deadline: Option<Instant>,
    ) -> Result<DeliveryResult, Unfinished> {
        let call = match Call::new(broadcast, endpoint) {
            Ok(call) => call,
            Err(error) => return Ok(settled(1, &Tried::never_sent(error))),
        };
        let mut last = None;
        let mut attempts = 0;
        loop {
            let Some(slot) = self.slot(deadline).await else {
                return Err(Unfinished { attempts, wait: None, last });
            };
            let tried = self.attempt(&call, deadline).await;
            drop(slot);
            attempts += 1;
            let next = self.next(attempts, &tried);
            last = tried.result.err();
            let ours = last.as_ref().is_some_and(AttemptError::is_ours);
            match next {
                Next::Settled(_) if ours => return Err(Unfinished { attempts, wait: None, last }),
                Next::Settled(result) => return Ok(result),
                Next::Again { wait, .. } if deadline.is_some_and(|end| Instant::now() + wait >= end) => {
                    return Err(Unfinished { attempts, wait: Some(wait), last });
                }
                Next::Again { wait, reason } => {
                    progress.tell(Step::Retrying {
                        endpoint: endpoint.clone(),
                        attempt: attempts,
                        reason,
                        wait,
                    });
                    sleep(wait).await;
                }
            }
        }
    }

    /// A place among the attempts under way; `None` when the deadline comes first.
    async fn slot(&self, deadline: Option<Instant>) -> Option<SemaphorePermit<'_>> {
        let slot = self.0.slots.acquire();
        match deadline {
            // A deadline that has passed gets no slot, even if one is free.
            Some(end) if end <= Instant::now() => None,
            Some(end) => timeout_at(end, slot).await.ok()?.ok(),
            None => slot.await.ok(),
        }
    }

    async fn attempt(&self, call: &Call, deadline: Option<Instant>) -> Tried {
        let inner = &*self.0;
        let started = Instant::now();
        let result = if let Err(refused) = inner.networks.check(call.address.ip()) {
            Err(AttemptError::Refused(refused))
        } else {
            let now = inner.clock.now();
            let request = call.request(now.unix_timestamp());
            http::exchange(call.address, request, inner.limits, deadline, now.into()).await
        };
        if let Err(error @ AttemptError::Local(_)) = &result {
            let failures = inner.local_failures.fetch_add(1, Ordering::Relaxed) + 1;
            // Thousands of attempts may fail like this within a second: each doubling is told, not each failure.
            if failures.is_power_of_two() {
                warn!(failures, "Cannot open connections, tasks are told later: {}", error.reason());
            }
        }
        Tried { latency: started.elapsed(), result }
    }

    /// What becomes of a delivery after attempt number `attempt`.
    fn next(&self, attempt: u32, tried: &Tried) -> Next {
        if let Err(error) = &tried.result
            && let Then::Again(asked) = error.then()
            && let Some(wait) = self.0.schedule.wait_before(attempt + 1, asked, self.0.chance.fraction())
        {
            return Next::Again { wait, reason: error.reason() };
        }
        Next::Settled(settled(attempt, tried))
    }
}

/// The end of a delivery whose last attempt, number `attempts`, went like this.
fn settled(attempts: u32, tried: &Tried) -> DeliveryResult {
    let (outcome, reason, status) = match &tried.result {
        Ok(status) => (Outcome::Delivered, None, Some(*status)),
        Err(error) => {
            let outcome = match error.then() {
                Then::Settle(outcome) => outcome,
                Then::Again(_) => Outcome::Failed,
            };
            (outcome, Some(error.reason()), error.status())
        }
    };
    DeliveryResult {
        outcome,
        reason,
        attempts,
        status: status.map(|status| status.as_u16()),
        latency: tried.latency,
    }
}

/// The concurrency that the limit of open files allows: each attempt under way is one file.
fn affordable(wanted: usize, open_files_most: Option<usize>) -> usize {
    let files = open_files_most.map_or(usize::MAX, |files| files.saturating_sub(OTHER_FILES));
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
