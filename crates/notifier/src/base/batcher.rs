//! Combines small requests into batches.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

/// Limits of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Maximum number of items in one batch.
    pub items_max: usize,
    /// Maximum number of concurrent batches.
    pub at_once_max: usize,
    /// How long the first item of a batch waits for others.
    pub linger: Duration,
    /// Maximum number of items that wait for a batch. Further callers wait.
    pub waiting_max: usize,
}

/// Collects items into batches, and processes each batch in the background.
///
/// A background task makes the batches, so a dropped caller has no effect on other items. If the batcher is dropped, its
/// accepted items are still processed.
pub struct Batcher<T> {
    limits: BatchLimits,
    work: BatchFunction<T>,
    state: Mutex<State<T>>,
}

type BatchFunction<T> = Arc<dyn Fn(Vec<T>) -> BoxFuture<'static, ()> + Send + Sync>;

enum State<T> {
    Idle,
    Running { items: mpsc::Sender<T>, task: JoinHandle<()> },
    Closed,
}

impl<T: Send + 'static> Batcher<T> {
    /// Processes each batch with `work`.
    pub fn new<F>(limits: BatchLimits, work: impl Fn(Vec<T>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let work: BatchFunction<T> = Arc::new(move |batch| work(batch).boxed());
        Self { limits, work, state: Mutex::new(State::Idle) }
    }

    /// Adds an item, after a wait if the queue is full. Returns whether it was accepted; after [`close`](Self::close) it is
    /// dropped. Must be called within a tokio runtime.
    pub async fn add(&self, item: T) -> bool {
        let items = match &mut *self.state() {
            State::Closed => return false,
            State::Running { items, .. } => items.clone(),
            idle @ State::Idle => {
                let (items, receiver) = mpsc::channel(self.limits.waiting_max.max(1));
                let task = tokio::spawn(run(Arc::clone(&self.work), self.limits, receiver));
                *idle = State::Running { items: items.clone(), task };
                items
            }
        };
        items.send(item).await.is_ok()
    }

    /// Processes the waiting items without lingering. Returns whether that was done within `limit`; the rest is dropped.
    pub async fn close(&self, limit: Duration) -> bool {
        let State::Running { items, mut task } = std::mem::replace(&mut *self.state(), State::Closed) else {
            return true;
        };
        drop(items);
        let is_done = timeout(limit, &mut task).await.is_ok();
        task.abort();
        is_done
    }

    /// A panic leaves no inconsistent state: each change is one assignment.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An item whose caller waits for an answer.
#[derive(Debug)]
pub struct Question<Q, A, E> {
    question: Q,
    answer: oneshot::Sender<Result<A, Arc<E>>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BatchError<E: std::error::Error + 'static> {
    /// The batch failed.
    #[error(transparent)]
    Failed(Arc<E>),
    /// The batch was dropped at the end of the runtime, or had too few answers.
    #[error("the batch was dropped")]
    Dropped,
}

impl<Q, A, E> Batcher<Question<Q, A, E>>
where
    Q: Send + 'static,
    A: Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    /// Answers each batch of questions with `ask`, in their order.
    pub fn answering<F>(limits: BatchLimits, ask: impl Fn(Vec<Q>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<A>, E>> + Send + 'static,
    {
        Self::new(limits, move |batch: Vec<Question<Q, A, E>>| {
            let (questions, callers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|one| (one.question, one.answer)).unzip();
            ask(questions).map(|answers| answer(callers, answers))
        })
    }

    /// Returns the answer to one question. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`BatchError`]: the error of the whole batch, shared by all its callers.
    pub async fn ask(&self, question: Q) -> Result<A, BatchError<E>> {
        let (answer, answered) = oneshot::channel();
        if !self.add(Question { question, answer }).await {
            return Err(BatchError::Dropped);
        }
        match answered.await {
            Ok(answer) => answer.map_err(BatchError::Failed),
            Err(_) => Err(BatchError::Dropped),
        }
    }
}

impl<T> fmt::Debug for Batcher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Batcher").field(&self.limits).finish()
    }
}

async fn run<T: Send + 'static>(work: BatchFunction<T>, limits: BatchLimits, mut items: mpsc::Receiver<T>) {
    let mut batches = JoinSet::new();
    while let Some(first) = items.recv().await {
        while batches.len() >= limits.at_once_max.max(1) {
            batches.join_next().await;
        }
        while batches.try_join_next().is_some() {}
        // Filled only now, so that it has the items that arrived while the maximum of batches was running.
        let batch = fill(first, limits, &mut items).await;
        batches.spawn(work(batch));
    }
    while batches.join_next().await.is_some() {}
}

async fn fill<T>(first: T, limits: BatchLimits, items: &mut mpsc::Receiver<T>) -> Vec<T> {
    let until = Instant::now() + limits.linger;
    let mut batch = vec![first];
    while batch.len() < limits.items_max {
        match timeout_at(until, items.recv()).await {
            Ok(Some(item)) => batch.push(item),
            Ok(None) | Err(_) => break,
        }
    }
    batch
}

fn answer<A, E>(callers: Vec<oneshot::Sender<Result<A, Arc<E>>>>, answers: Result<Vec<A>, E>) {
    // Sending fails only if the caller was dropped.
    match answers {
        Ok(answers) => {
            for (caller, answer) in callers.into_iter().zip(answers) {
                drop(caller.send(Ok(answer)));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for caller in callers {
                drop(caller.send(Err(Arc::clone(&error))));
            }
        }
    }
}

#[cfg(test)]
mod tests;
