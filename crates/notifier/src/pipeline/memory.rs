//! The in-memory transport between discovery and delivery: bounded, and no delivery delays another.
//!
//! Every delivery gets its first attempt before any gets its second. A retry that waits holds no place. It takes the part
//! that SQS and its visibility timeouts have in the other forms.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::base::text::panic_text;
use crate::deliver::{DeliveryJob, Next};
use crate::model::Delivery;

/// Deliveries that wait for their first attempt outside the channel.
const FRESH_MAX: usize = 256;

/// How deliveries are worked on.
#[derive(Clone, Debug)]
pub struct Workers {
    /// Attempts under way at once; 0 counts as 1.
    pub concurrency: usize,
    /// How long attempts under way may take after `stop`.
    pub grace: Duration,
    /// When cancelled, no attempt begins.
    pub stop: CancellationToken,
}

/// Processes a delivery.
pub trait Steps: Send + Sync + 'static {
    /// Why the whole broadcast has to end.
    type Error: Send + 'static;

    /// Makes the next attempt.
    fn advance(&self, job: &mut DeliveryJob) -> impl Future<Output = Result<Next, Self::Error>> + Send;

    /// Records how a delivery ended; without an outcome, that it was interrupted.
    fn settle(&self, delivery: Delivery) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Works on every delivery that `jobs` hands over until each has been settled.
///
/// An attempt that panics is a failed delivery of its own endpoint. Dropping the future ends all attempts at once.
///
/// # Errors
///
/// The first error of a step. No attempt begins after it.
pub async fn run<S: Steps>(
    workers: Workers,
    mut jobs: mpsc::Receiver<DeliveryJob>,
    steps: Arc<S>,
) -> Result<(), S::Error> {
    let Workers { concurrency, grace, stop } = workers;
    let concurrency = concurrency.max(1);
    let shared = Arc::new(Shared::<S> {
        steps,
        board: Mutex::default(),
        changed: Notify::new(),
        cut: CancellationToken::new(),
    });
    let mut tasks = JoinSet::new();
    let (mut grace_ends, mut is_closed) = (None, false);
    loop {
        while tasks.try_join_next().is_some() {}
        let (ready, room, next_due, is_stopped, is_over) = {
            let mut board = shared.board();
            board.is_stopped |= grace_ends.is_some();
            let ready = if board.is_stopped { 0 } else { board.ready(Instant::now()) };
            let free = concurrency - board.running.min(concurrency);
            let started = ready.min(free);
            board.running += started;
            let idle = board.running == 0;
            let is_over =
                idle && (board.is_stopped || is_closed && board.fresh.is_empty() && board.waiting.is_empty());
            let has_place = board.running < concurrency && !board.is_stopped;
            let next_due = board.waiting.keys().next().map(|(due, _)| *due).filter(|_| has_place);
            (started, FRESH_MAX.saturating_sub(board.fresh.len()), next_due, board.is_stopped, is_over)
        };
        for _ in 0..ready {
            tasks.spawn(Arc::clone(&shared).work());
        }
        if is_over {
            break;
        }
        tokio::select! {
            job = jobs.recv(), if !is_closed && !is_stopped && room > 0 => match job {
                Some(job) => shared.take_in(job, &mut jobs, room),
                None => is_closed = true,
            },
            () = shared.changed.notified() => {}
            () = wait_until(next_due), if next_due.is_some() => {}
            () = stop.cancelled(), if grace_ends.is_none() => grace_ends = Some(Instant::now() + grace),
            () = wait_until(grace_ends), if grace_ends.is_some() && !shared.cut.is_cancelled() => shared.cut.cancel(),
        }
    }
    jobs.close();
    shared.end(jobs).await
}

/// What the workers of one broadcast share.
struct Shared<S: Steps> {
    steps: Arc<S>,
    board: Mutex<Board<S::Error>>,
    /// A worker has ended, a retry has become the next, or there is room for more.
    changed: Notify,
    /// The grace is over: attempts under way are dropped.
    cut: CancellationToken,
}

/// The deliveries that no worker has.
struct Board<E> {
    /// Before their first attempt, in the order in which they came.
    fresh: VecDeque<DeliveryJob>,
    /// Before another attempt, by the time at which it is due.
    waiting: BTreeMap<(Instant, u64), DeliveryJob>,
    /// Numbers the retries, so that two that are due at once are apart.
    retries: u64,
    /// Workers that are at work.
    running: usize,
    /// No attempt begins any more.
    is_stopped: bool,
    error: Option<E>,
}

impl<E> Default for Board<E> {
    fn default() -> Self {
        let (fresh, waiting) = (VecDeque::new(), BTreeMap::new());
        Self { fresh, waiting, retries: 0, running: 0, is_stopped: false, error: None }
    }
}

impl<E> Board<E> {
    /// Deliveries whose next attempt may begin now.
    fn ready(&self, now: Instant) -> usize {
        self.fresh.len() + self.waiting.range(..=(now, u64::MAX)).count()
    }

    /// The delivery whose turn it is; `None` when none is ready.
    fn next(&mut self, now: Instant) -> Option<DeliveryJob> {
        if self.is_stopped {
            return None;
        }
        if let Some(job) = self.fresh.pop_front() {
            return Some(job);
        }
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

impl<S: Steps> Shared<S> {
    /// Nothing is left half-written by a panic: each change is one statement.
    fn board(&self) -> MutexGuard<'_, Board<S::Error>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes this delivery in, and more of those that are there already.
    fn take_in(&self, job: DeliveryJob, jobs: &mut mpsc::Receiver<DeliveryJob>, room: usize) {
        let more = std::iter::from_fn(|| jobs.try_recv().ok()).take(room - 1);
        self.board().fresh.extend(std::iter::once(job).chain(more));
    }

    /// Makes attempts for as long as a delivery is ready.
    async fn work(self: Arc<Self>) {
        loop {
            let job = {
                let mut board = self.board();
                let job = board.next(Instant::now());
                if job.is_none() {
                    board.running -= 1;
                }
                // Refilled before it runs dry.
                if job.is_none() || board.fresh.len() == FRESH_MAX / 2 {
                    self.changed.notify_one();
                }
                job
            };
            let Some(job) = job else { return };
            if let Err(error) = self.step(job).await {
                self.fail(error);
            }
        }
    }

    async fn step(&self, mut job: DeliveryJob) -> Result<(), S::Error> {
        let next = {
            let mut attempt = pin!(self.steps.advance(&mut job));
            // Nothing that the attempt left half-done is used after a panic but the record of earlier attempts.
            let attempt = AssertUnwindSafe(attempt.as_mut()).catch_unwind();
            tokio::select! {
                biased;
                next = attempt => Some(next),
                () = self.cut.cancelled() => None,
            }
        };
        let delivery = match next {
            None => job.interrupted(true),
            Some(Err(panic)) => {
                let address = job.endpoint().address;
                error!(
                    task.arn = job.endpoint().member.task,
                    trace_id = job.trace.map(|context| display(context.trace)),
                    "Delivery to {address} panicked: {}",
                    panic_text(&*panic)
                );
                job.panicked(&*panic)
            }
            Some(Ok(next)) => match next? {
                Next::Settle(delivery) => delivery,
                // There is no queue to go back to.
                Next::Return(unfinished) => job.failed(&unfinished),
                Next::Retry(wait) => {
                    self.wait(job, wait);
                    return Ok(());
                }
            },
        };
        self.steps.settle(delivery).await
    }

    fn wait(&self, job: DeliveryJob, wait: Duration) {
        let mut board = self.board();
        board.retries += 1;
        let key = (Instant::now() + wait, board.retries);
        board.waiting.insert(key, job);
        if board.waiting.keys().next() == Some(&key) {
            self.changed.notify_one();
        }
    }

    fn fail(&self, error: S::Error) {
        let mut board = self.board();
        board.is_stopped = true;
        board.error.get_or_insert(error);
        self.cut.cancel();
        self.changed.notify_one();
    }

    /// Settles what has no outcome: deliveries that wait for an attempt.
    async fn end(&self, mut jobs: mpsc::Receiver<DeliveryJob>) -> Result<(), S::Error> {
        let (fresh, waiting, error) = {
            let mut board = self.board();
            (std::mem::take(&mut board.fresh), std::mem::take(&mut board.waiting), board.error.take())
        };
        if let Some(error) = error {
            return Err(error);
        }
        let waiting = waiting.into_values().chain(fresh).map(|job| job.interrupted(false));
        for delivery in waiting {
            self.steps.settle(delivery).await?;
        }
        while let Some(job) = jobs.recv().await {
            self.steps.settle(job.interrupted(false)).await?;
        }
        Ok(())
    }
}

async fn wait_until(due: Option<Instant>) {
    if let Some(due) = due {
        sleep_until(due).await;
    }
}
