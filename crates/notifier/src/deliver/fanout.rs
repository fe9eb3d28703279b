//! One broadcast to many endpoints: every delivery, bounded, none in the way of another.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::error;
use wire::Broadcast;

use super::error::AttemptError;
use super::{Deliverer, Next, Tried, Tries};
use crate::model::Delivery;
use crate::model::Endpoint;
use crate::model::{Cause, DeliveryResult, Outcome, Settled};
use crate::model::{Progress, Step};

/// A delivery on its way through the fan-out.
struct Job {
    /// Its place in the list, and so in the answer.
    index: usize,
    /// Where it was found last.
    endpoint: Endpoint,
    /// Tries made.
    tries: Tries,
    /// Where it is has been asked for before.
    again: bool,
    /// HTTP requests made in attempts that have ended.
    attempts: u32,
    /// Whether the attempt under way has come to its request.
    is_called: Arc<AtomicBool>,
    /// Why the last attempt failed, and the status of its answer.
    last: Option<(String, Option<u16>)>,
}

struct Fanout<'a> {
    deliverer: &'a Deliverer,
    broadcast: Arc<Broadcast>,
    progress: &'a Progress,
    /// One task per attempt under way, and what it works for. Tasks hand nothing back when they panic, so the jobs stay here.
    running: JoinSet<Tried>,
    jobs: HashMap<Id, Job>,
    /// Retries by the time at which they are due. None of them holds a slot.
    waiting: BTreeMap<(Instant, usize), Job>,
    /// Until when attempts under way may end; `None` while more may begin.
    grace: Option<Instant>,
    settled: Vec<(usize, Settled)>,
}

impl Deliverer {
    /// Makes a delivery to each of the endpoints; the answers are in their order, one for each.
    ///
    /// Everybody is called once before anybody is called again, so dead tasks delay nobody's first call. At most
    /// [`DeliveryOptions::concurrency`](super::DeliveryOptions::concurrency) attempts are under way; apart from the list, memory depends
    /// on that and not on the size of the fleet. Tells `progress` of every retry and of every end. An attempt that
    /// panics is a failed delivery of its own endpoint. Dropping the future ends all attempts at once.
    pub async fn deliver_all(
        &self,
        broadcast: &Broadcast,
        endpoints: Vec<Endpoint>,
        progress: &Progress,
    ) -> Vec<Settled> {
        self.deliver_until(broadcast, endpoints, progress, &CancellationToken::new()).await.0
    }

    /// The same until `stop` is cancelled: then no attempt begins, and those under way have
    /// [`DeliveryOptions::grace`](super::DeliveryOptions::grace) to end.
    ///
    /// Whoever has no outcome by then is in the second list, with what is known of it.
    pub async fn deliver_until(
        &self,
        broadcast: &Broadcast,
        endpoints: Vec<Endpoint>,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> (Vec<Settled>, Vec<Delivery>) {
        let mut fanout = Fanout {
            deliverer: self,
            broadcast: Arc::new(broadcast.clone()),
            progress,
            running: JoinSet::new(),
            jobs: HashMap::new(),
            waiting: BTreeMap::new(),
            grace: None,
            settled: Vec::with_capacity(endpoints.len()),
        };
        let mut fresh = endpoints.into_iter().enumerate().map(|(index, endpoint)| Job {
            index,
            endpoint,
            tries: Tries::default(),
            again: false,
            attempts: 0,
            is_called: Arc::default(),
            last: None,
        });
        loop {
            if fanout.grace.is_none() && stop.is_cancelled() {
                fanout.grace = Some(Instant::now() + self.inner.grace);
            }
            while fanout.grace.is_none()
                && fanout.running.len() < self.inner.concurrency
                && let Some(job) = fresh.next().or_else(|| fanout.due())
            {
                fanout.start(job);
            }
            let has_room = fanout.running.len() < self.inner.concurrency;
            let next_due =
                fanout.waiting.keys().next().map(|(due, _)| *due).filter(|_| fanout.grace.is_none());
            if fanout.running.is_empty() && next_due.is_none() {
                break;
            }
            tokio::select! {
                Some(joined) = fanout.running.join_next_with_id() => fanout.finish(joined),
                () = wait_until(next_due), if has_room && next_due.is_some() => {}
                () = stop.cancelled(), if fanout.grace.is_none() => {}
                () = wait_until(fanout.grace), if fanout.grace.is_some() => break,
            }
        }
        fanout.ended(fresh)
    }
}

impl Fanout<'_> {
    /// The first retry whose time has come.
    fn due(&mut self) -> Option<Job> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= Instant::now()).then(|| first.remove())
    }

    fn start(&mut self, mut job: Job) {
        let again = std::mem::replace(&mut job.again, true);
        let deliverer = self.deliverer.clone();
        job.is_called = Arc::default();
        let is_called = Arc::clone(&job.is_called);
        // The request is made for each try rather than kept: a body for every waiting retry would be memory by the size
        // of the fleet.
        let (broadcast, endpoint) = (Arc::clone(&self.broadcast), job.endpoint.clone());
        let task = self.running.spawn(async move {
            match deliverer.find(endpoint, again).await {
                Err(tried) => tried,
                Ok(endpoint) => {
                    let _slot = deliverer.slot(None).await;
                    is_called.store(true, Ordering::Relaxed);
                    deliverer.attempt(&broadcast, endpoint, None).await
                }
            }
        });
        self.jobs.insert(task.id(), job);
    }

    fn finish(&mut self, joined: Result<(Id, Tried), JoinError>) {
        let (id, tried) = match joined {
            Ok((id, tried)) => (id, Ok(tried)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(mut job) = self.jobs.remove(&id) else { return };
        let tried = match tried {
            Ok(tried) => tried,
            Err(lost) => {
                let result = lost_result(lost, job.attempts);
                let reason = result.reason.as_deref().unwrap_or_default();
                error!(task.arn = job.endpoint.member.task, "Cannot tell {}: {reason}", job.endpoint.address);
                let broadcast = self.broadcast.id.clone();
                return self.settle(job.index, Settled { broadcast, endpoint: job.endpoint, result });
            }
        };
        job.attempts += tried.requests();
        job.tries.count(&tried);
        match self.deliverer.next(job.tries, false, false, &tried) {
            Next::Settled | Next::UsedUp(_) => {
                self.settle(job.index, super::settled(&self.broadcast, job.attempts, tried));
            }
            Next::Again { wait, reason } => {
                let status = tried.result.as_ref().err().and_then(AttemptError::status);
                job.last = Some((reason.clone(), status.map(|status| status.as_u16())));
                job.endpoint = tried.endpoint;
                if self.grace.is_some() {
                    // It is not tried again.
                    self.waiting.insert((Instant::now(), job.index), job);
                    return;
                }
                let endpoint = job.endpoint.clone();
                let (broadcast, attempt) = (self.broadcast.id.clone(), job.attempts);
                self.progress.tell(Step::Retrying { broadcast, endpoint, attempt, reason, wait });
                self.waiting.insert((Instant::now() + wait, job.index), job);
            }
        }
    }

    fn settle(&mut self, index: usize, settled: Settled) {
        self.progress.tell(Step::Settled(settled.clone()));
        self.settled.push((index, settled));
    }

    /// What has ended, and who has no outcome: whoever is being called, waits for another attempt, or is `fresh`.
    fn ended(self, fresh: impl Iterator<Item = Job>) -> (Vec<Settled>, Vec<Delivery>) {
        let Self { mut settled, jobs, waiting, .. } = self;
        settled.sort_unstable_by_key(|(index, _)| *index);
        let mut unsettled: Vec<(usize, Delivery)> =
            jobs.into_values().map(|job| job.interrupted(true)).collect();
        unsettled.extend(waiting.into_values().chain(fresh).map(|job| job.interrupted(false)));
        unsettled.sort_unstable_by_key(|(index, _)| *index);
        let settled = settled.into_iter().map(|(_, settled)| settled).collect();
        (settled, unsettled.into_iter().map(|(_, entry)| entry).collect())
    }
}

impl Job {
    /// Its place in the list, and what is known of it when it is not tried any more; `is_running` in an attempt.
    fn interrupted(self, is_running: bool) -> (usize, Delivery) {
        let is_called = is_running && self.is_called.load(Ordering::Relaxed);
        let attempts = self.attempts + u32::from(is_called);
        let (why, status) = self.last.unzip();
        let reason = match (is_called, why) {
            (true, _) => "interrupted before it answered: it may have taken the event".to_owned(),
            (false, Some(why)) => format!("interrupted before another attempt: {why}"),
            (false, None) => "interrupted before it was called".to_owned(),
        };
        let entry = Delivery {
            reason: Some(reason),
            cause: Some(Cause::Interrupted),
            attempts: (attempts > 0).then_some(attempts),
            status: status.flatten(),
            ..Delivery::from(&self.endpoint)
        };
        (self.index, entry)
    }
}

async fn wait_until(due: Option<Instant>) {
    if let Some(due) = due {
        sleep_until(due).await;
    }
}

/// The end of a delivery whose attempt panicked, or was ended with the runtime.
fn lost_result(lost: JoinError, attempts: u32) -> DeliveryResult {
    let reason = match lost.try_into_panic() {
        Ok(panic) => format!("a fault in the notifier: {}", panic_text(&*panic)),
        Err(_) => "the notifier was stopped".to_owned(),
    };
    DeliveryResult {
        outcome: Outcome::Failed,
        reason: Some(reason),
        cause: Some(Cause::Fault),
        attempts,
        status: None,
        latency: std::time::Duration::ZERO,
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
