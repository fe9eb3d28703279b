//! Stage 3: one HTTP call per endpoint, its retries, its outcome.
//!
//! | file | what it does |
//! | --- | --- |
//! | `mod` | one delivery: attempts and the waits between them |
//! | `fanout` | one broadcast: every delivery, bounded, none in the way of another |
//! | `send`, `http`, `tls` | one attempt: its proof, its connection |
//! | `auth`, `headers` | keys, headers and certificates, read from secrets |
//! | `request`, `response`, `retry_policy`, `error` | what is sent, what an answer means, when to try again (pure) |

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
use self::retry_policy::Schedule;
use crate::base::{self, Clock, Rng};
use crate::fleet::{Locate, Recheck};
use crate::model::Endpoint;
use crate::model::network::Networks;
use crate::model::{DeliveryResult, Outcome, Settled};
use crate::model::{Progress, Step};

mod auth;
mod error;
mod fanout;
mod headers;
mod http;
mod request;
pub(crate) mod response;
mod retry_policy;
mod send;
mod tls;

pub use self::auth::{Auth, AuthSettings, Signing};
pub use self::error::{AttemptError, Unfinished};
pub use self::response::{Meaning, shown};

/// Files that are left for everything that is not a delivery: the AWS clients, logs, a health server.
const OTHER_FILES: usize = 64;

/// Waits before the health of a starting container is asked for again where no queue waits: a minute in all, because
/// Docker's first check comes after 30 s unless the task definition says otherwise.
const HEALTH_AGAIN_AFTER: [Duration; 6] = [
    Duration::from_secs(2),
    Duration::from_secs(3),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(15),
    Duration::from_secs(25),
];

/// How long attempts under way may take to end after nobody else is to be called, unless told otherwise.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(2);

/// How deliveries are made.
///
/// The defaults suit tasks in the same VPC. They come from a model that measurements bear out: what a broadcast takes
/// is the tasks that do not answer, times `timeout`, divided by `concurrency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryOptions {
    /// The longest that a connection may take to stand, TLS included; at most `timeout`. Default: 1 s.
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
    /// How long after it was queued a delivery is still tried: addresses are handed on within minutes. Only whoever has a
    /// queue to hand it back to asks. Default: 10 min.
    pub horizon: Duration,
    /// Attempts under way at the same time; 0 counts as 1. [`Deliverer::new`] lowers it to what the limit of open files
    /// allows. Default: 256. Beyond 1,024 nothing is gained.
    pub concurrency: usize,
    /// How long attempts under way may take to end after nobody else is to be called. Default: [`GRACE_DEFAULT`].
    pub grace: Duration,
    /// Bytes of an answer's body that are read; the start of it becomes part of a reason. Default: 16 KiB.
    pub answer_bytes_max: usize,
}

impl Default for DeliveryOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(3),
            attempts: 3,
            wait_first: Duration::from_millis(200),
            wait_most: Duration::from_secs(2),
            retry_after_most: Duration::from_secs(10),
            horizon: Duration::from_secs(10 * 60),
            concurrency: 256,
            grace: GRACE_DEFAULT,
            answer_bytes_max: 16 * 1024,
        }
    }
}

/// Makes deliveries. Cloning it is cheap, and clones share one limit of concurrency: make one per process.
#[derive(Clone, Debug)]
pub struct Deliverer {
    inner: Arc<Inner>,
    /// What requests are proved by.
    trust: Auth,
    /// Knows where tasks are by now; without it, every attempt goes where the first went.
    locate: Option<Arc<dyn Locate>>,
}

#[derive(Debug)]
struct Inner {
    limits: Limits,
    schedule: Schedule,
    networks: Networks,
    clock: Clock,
    rng: Rng,
    horizon: Duration,
    slots: Semaphore,
    concurrency: usize,
    grace: Duration,
    /// Attempts that failed because this machine was full.
    local_failures: AtomicU64,
}

/// What is known of a delivery before it is made. The default: nobody was called before, and this is the only round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// It was tried before, or its address is no longer fresh: the task is looked up before the first attempt too.
    pub again: bool,
    /// Another round may follow: when its tries are used up, it is not finished rather than failed.
    pub more: bool,
    /// No attempt begins after this, and one under way ends here.
    pub deadline: Option<Instant>,
}

/// How one try went.
struct Tried {
    /// Who was called, or was to be.
    endpoint: Endpoint,
    latency: Duration,
    result: Result<StatusCode, AttemptError>,
}

impl Tried {
    /// Whether the container was not called because it is starting.
    fn is_starting(&self) -> bool {
        self.result.as_ref().is_err_and(AttemptError::is_starting)
    }

    /// HTTP requests that it made: one or none.
    fn requests(&self) -> u32 {
        self.result.as_ref().err().is_none_or(AttemptError::was_attempted).into()
    }
}

/// How often a delivery was tried.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    /// Tries that count towards the limit.
    calls: u32,
    /// Looks at a container that was starting.
    looks: usize,
}

impl Tries {
    fn count(&mut self, tried: &Tried) {
        if tried.is_starting() {
            self.looks += 1;
        } else {
            self.calls += 1;
        }
    }
}

/// What becomes of a delivery after a try.
enum Next {
    /// It has ended like this.
    Settled,
    /// Its tries are used up; the task may have asked for a wait.
    UsedUp(Option<Duration>),
    Again {
        wait: Duration,
        reason: String,
    },
}

impl Deliverer {
    /// Calls only addresses inside `networks`; `clock` stamps the requests, and `chance` spreads the retries.
    #[must_use]
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
            inner: Arc::new(Inner {
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
                rng,
                horizon: options.horizon,
                slots: Semaphore::new(concurrency),
                concurrency,
                grace: options.grace,
                local_failures: AtomicU64::new(0),
            }),
            trust: Auth::default(),
            locate: None,
        }
    }

    /// Proves requests by these secrets, and asks tasks for these certificates. Without it, nothing is signed.
    #[must_use]
    pub fn trusting(mut self, trust: Auth) -> Self {
        self.trust = trust;
        self
    }

    /// Looks every task up by `locate` before it is called again: then a task that has stopped is gone, and one that has
    /// moved is called where it is now, never whoever has its address by then.
    #[must_use]
    pub fn locating(mut self, locate: Arc<dyn Locate>) -> Self {
        self.locate = Some(locate);
        self
    }

    /// How long after it was queued a delivery is still tried.
    #[must_use]
    pub fn horizon(&self) -> Duration {
        self.inner.horizon
    }

    /// Makes one delivery: as many attempts as it takes, up to the limit, with waits between them.
    ///
    /// Tells `progress` of every retry. The end is the answer: whoever called tells of it. A failed delivery is an
    /// answer too, not an error.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] when the deadline came first, the last attempt failed because this machine was full, or more rounds
    /// may follow: the delivery should be handed back, and made again later.
    pub async fn deliver(
        &self,
        broadcast: &Broadcast,
        endpoint: &Endpoint,
        progress: &Progress,
        round: Round,
    ) -> Result<Settled, Unfinished> {
        let Round { mut again, more, deadline } = round;
        let is_queued = more || deadline.is_some();
        let mut endpoint = endpoint.clone();
        let mut last = None;
        let (mut so_far, mut attempts) = (Tries::default(), 0);
        loop {
            let tried = match before(deadline, self.find(endpoint, again)).await {
                None => return Err(Unfinished { attempts, wait: None, last }),
                Some(Err(tried)) => tried,
                Some(Ok(endpoint)) => {
                    let Some(_slot) = self.slot(deadline).await else {
                        return Err(Unfinished { attempts, wait: None, last });
                    };
                    self.attempt(broadcast, endpoint, deadline).await
                }
            };
            so_far.count(&tried);
            (again, attempts) = (true, attempts + tried.requests());
            let ours = tried.result.as_ref().is_err_and(AttemptError::is_ours);
            let unfinished = |wait, tried: Tried| Unfinished { attempts, wait, last: tried.result.err() };
            match self.next(so_far, more, is_queued, &tried) {
                Next::UsedUp(asked) if ours || more => return Err(unfinished(asked, tried)),
                Next::Settled | Next::UsedUp(_) => return Ok(settled(broadcast, attempts, tried)),
                Next::Again { wait, .. } if deadline.is_some_and(|end| Instant::now() + wait >= end) => {
                    return Err(unfinished(Some(wait), tried));
                }
                Next::Again { wait, reason } => {
                    (endpoint, last) = (tried.endpoint, tried.result.err());
                    progress.tell(Step::Retrying {
                        broadcast: broadcast.id.clone(),
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
        before(deadline, self.inner.slots.acquire()).await?.ok()
    }

    /// Where to call: where the endpoint was found, or if it was tried before, where it is by now. No slot is held
    /// meanwhile, so waiting for ECS keeps nobody from being called.
    async fn find(&self, endpoint: Endpoint, again: bool) -> Result<Endpoint, Tried> {
        let asks = again || endpoint.is_starting;
        let Some(locate) = self.locate.as_ref().filter(|_| asks) else { return Ok(endpoint) };
        let error = match locate.locate(&endpoint).await {
            Ok(Recheck::At(found)) => return Ok(found),
            Ok(Recheck::Starting(_, why)) => AttemptError::Starting(why),
            Ok(Recheck::Stopped(why)) => AttemptError::Stopped(why),
            Ok(Recheck::Nowhere(why)) => AttemptError::Nowhere(why),
            Err(error) => AttemptError::Lost(error),
        };
        Err(Tried { endpoint, latency: Duration::ZERO, result: Err(error) })
    }

    async fn attempt(&self, broadcast: &Broadcast, endpoint: Endpoint, deadline: Option<Instant>) -> Tried {
        match Call::new(broadcast, &endpoint) {
            Ok(call) => self.exchange(&call, endpoint, deadline).await,
            Err(error) => Tried { endpoint, latency: Duration::ZERO, result: Err(error) },
        }
    }

    async fn exchange(&self, call: &Call, endpoint: Endpoint, deadline: Option<Instant>) -> Tried {
        let inner = &*self.inner;
        let started = Instant::now();
        let result = if let Err(refused) = inner.networks.check(call.address.ip()) {
            Err(AttemptError::Refused(refused))
        } else {
            self.send(call, deadline).await
        };
        if let Err(error @ AttemptError::Local(_)) = &result {
            let failures = inner.local_failures.fetch_add(1, Ordering::Relaxed) + 1;
            // Thousands of attempts may fail like this within a second: each doubling is told, not each failure.
            if failures.is_power_of_two() {
                warn!(failures, "Cannot open connections, tasks are told later: {}", error.reason());
            }
        }
        Tried { endpoint, latency: started.elapsed(), result }
    }

    /// What becomes of a delivery after so many tries. Where `more` rounds may follow, a wait that a task asks for and
    /// that is too long to be waited here is left to them. A starting container is waited for by the queue if there is one.
    fn next(&self, so_far: Tries, more: bool, is_queued: bool, tried: &Tried) -> Next {
        let Err(error) = &tried.result else { return Next::Settled };
        let Then::Again(asked) = error.then() else { return Next::Settled };
        if error.is_misdirected() && self.locate.is_none() {
            // The same stranger would answer again.
            return Next::Settled;
        }
        if error.is_starting() {
            let waits = if is_queued { &[][..] } else { &HEALTH_AGAIN_AFTER };
            let wait = waits.get(so_far.looks.saturating_sub(1));
            return wait.map_or(Next::UsedUp(None), |&wait| Next::Again { wait, reason: error.reason() });
        }
        let schedule = &self.inner.schedule;
        match schedule.wait_before(so_far.calls + 1, asked, self.inner.rng.fraction()) {
            Some(wait) if !(more && asked > Some(schedule.asked_most)) => {
                Next::Again { wait, reason: error.reason() }
            }
            _ => Next::UsedUp(asked),
        }
    }
}

/// The end of a delivery whose last try went like this, after so many requests.
fn settled(broadcast: &Broadcast, attempts: u32, tried: Tried) -> Settled {
    let (outcome, error, status) = match &tried.result {
        Ok(status) => (Outcome::Delivered, None, Some(*status)),
        Err(error) => {
            let outcome = match error.then() {
                Then::Settle(outcome) => outcome,
                Then::Again(_) if error.is_starting() => Outcome::Skipped,
                Then::Again(_) => Outcome::Failed,
            };
            (outcome, Some(error), error.status())
        }
    };
    let status = status.map(|status| status.as_u16());
    let (reason, cause) = (error.map(AttemptError::reason), error.map(AttemptError::cause));
    let result = DeliveryResult { outcome, reason, cause, attempts, status, latency: tried.latency };
    Settled { broadcast: broadcast.id.clone(), endpoint: tried.endpoint, result }
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
