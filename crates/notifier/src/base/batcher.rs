//! Many small questions, asked of a service together: whoever asks gets an answer of their own, the service a batch.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// Questions that wait for a batch; whoever has one more waits.
const WAITING_MAX: usize = 4_096;

/// Answers one batch: an answer to each question in their order, or why there is none.
pub type Ask<Q, A, E> = Arc<dyn Fn(Vec<Q>) -> BoxFuture<'static, Result<Vec<A>, E>> + Send + Sync>;

/// How batches are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Questions in one batch, at most.
    pub questions_max: usize,
    /// Batches under way at the same time, at most.
    pub at_once_max: usize,
    /// How long the first question of a batch waits for others.
    pub linger: Duration,
}

/// Gathers questions into batches.
///
/// The work is done by a task of its own that starts with the first question, so whoever asks may give up at any time
/// without anybody else losing an answer.
pub struct Batcher<Q, A, E> {
    ask: Ask<Q, A, E>,
    batching: BatchLimits,
    questions: OnceLock<mpsc::Sender<Question<Q, A, E>>>,
}

struct Question<Q, A, E> {
    question: Q,
    answer: oneshot::Sender<Result<A, Arc<E>>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer<E: std::error::Error + 'static> {
    /// The batch failed.
    #[error(transparent)]
    Failed(Arc<E>),
    /// The task that asks has ended: the runtime is shutting down, or a batch had too few answers.
    #[error("the batch was given up")]
    GivenUp,
}

impl<Q: Send + 'static, A: Send + 'static, E: Send + Sync + 'static> Batcher<Q, A, E> {
    /// Asks by `ask`, in such batches.
    pub fn new(batching: BatchLimits, ask: Ask<Q, A, E>) -> Self {
        Self { ask, batching, questions: OnceLock::new() }
    }

    /// The answer to one question. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`]: the error of the whole batch, which all its askers share.
    pub async fn ask(&self, question: Q) -> Result<A, NoAnswer<E>>
    where
        E: std::error::Error,
    {
        let questions = self.questions.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            tokio::spawn(work(Arc::clone(&self.ask), self.batching, receiver));
            sender
        });
        let (answer, answered) = oneshot::channel();
        questions.send(Question { question, answer }).await.map_err(|_| NoAnswer::GivenUp)?;
        match answered.await {
            Ok(answer) => answer.map_err(NoAnswer::Failed),
            Err(_) => Err(NoAnswer::GivenUp),
        }
    }
}

impl<Q, A, E> fmt::Debug for Batcher<Q, A, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Batcher").field(&self.batching).finish()
    }
}

async fn work<Q: Send + 'static, A: Send + 'static, E: Send + Sync + 'static>(
    ask: Ask<Q, A, E>,
    batching: BatchLimits,
    mut questions: mpsc::Receiver<Question<Q, A, E>>,
) {
    let mut batches = JoinSet::new();
    while let Some(first) = questions.recv().await {
        while batches.len() >= batching.at_once_max.max(1) {
            batches.join_next().await;
        }
        while batches.try_join_next().is_some() {}
        // Only now: what came while there was no room goes with it.
        let batch = batch(first, batching, &mut questions).await;
        batches.spawn(run(Arc::clone(&ask), batch));
    }
    while batches.join_next().await.is_some() {}
}

async fn batch<T>(first: T, batching: BatchLimits, more: &mut mpsc::Receiver<T>) -> Vec<T> {
    let until = Instant::now() + batching.linger;
    let mut batch = vec![first];
    while batch.len() < batching.questions_max {
        match timeout_at(until, more.recv()).await {
            Ok(Some(one)) => batch.push(one),
            Ok(None) | Err(_) => break,
        }
    }
    batch
}

async fn run<Q, A, E>(ask: Ask<Q, A, E>, batch: Vec<Question<Q, A, E>>) {
    let (questions, askers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|one| (one.question, one.answer)).unzip();
    // Sending fails only where the asker has given up.
    match ask(questions).await {
        Ok(answers) => {
            for (asker, answer) in askers.into_iter().zip(answers) {
                drop(asker.send(Ok(answer)));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for asker in askers {
                drop(asker.send(Err(Arc::clone(&error))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;

    const BATCHING: BatchLimits =
        BatchLimits { questions_max: 10, at_once_max: 2, linger: Duration::from_millis(5) };

    type Sizes = Arc<Mutex<Vec<usize>>>;

    /// Doubles numbers; a batch with a zero fails.
    fn doubling() -> (Batcher<u32, u32, io::Error>, Sizes) {
        let sizes = Sizes::default();
        let seen = Arc::clone(&sizes);
        let ask = move |numbers: Vec<u32>| {
            seen.lock().unwrap().push(numbers.len());
            async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if numbers.contains(&0) { Err(io::Error::other("zero")) } else { Ok(double(&numbers)) }
            }
            .boxed()
        };
        (Batcher::new(BATCHING, Arc::new(ask)), sizes)
    }

    fn double(numbers: &[u32]) -> Vec<u32> {
        numbers.iter().map(|number| number * 2).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_gets_their_own_answer_from_few_batches() {
        let (gather, sizes) = doubling();
        let answers = join_all((1..=95).map(|number| gather.ask(number))).await;
        let answers: Vec<u32> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, double(&(1..=95).collect::<Vec<_>>()));
        assert_eq!(*sizes.lock().unwrap(), [10, 10, 10, 10, 10, 10, 10, 10, 10, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_while_there_is_no_room_goes_with_the_next_batch() {
        let (gather, sizes) = doubling();
        // Two batches take 50 ms; questions that come one by one meanwhile would be batches of their own.
        let answers = join_all((1..=12).map(async |number| {
            tokio::time::sleep(Duration::from_millis(7) * number).await;
            gather.ask(number).await.unwrap()
        }));
        assert_eq!(answers.await, double(&(1..=12).collect::<Vec<_>>()));
        assert_eq!(*sizes.lock().unwrap(), [1, 1, 7, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_fails_is_an_error_for_its_askers_and_for_nobody_else() {
        let (gather, _) = doubling();
        let answers = join_all((0..20).map(|number| gather.ask(number))).await;
        let failed: Vec<bool> = answers.iter().map(Result::is_err).collect();
        assert_eq!(failed, [[true; 10], [false; 10]].concat());
        assert_eq!(answers[0].as_ref().unwrap_err().to_string(), "zero");
    }

    #[tokio::test(start_paused = true)]
    async fn an_asker_that_gives_up_takes_no_answer_from_others() {
        let (gather, _) = doubling();
        let impatient = tokio::time::timeout(Duration::from_millis(10), gather.ask(1));
        let (gave_up, answered) = tokio::join!(impatient, gather.ask(2));
        assert!(gave_up.is_err());
        assert_eq!(answered.unwrap(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_with_too_few_answers_leaves_nobody_waiting() {
        let ask = |_: Vec<u32>| async { Ok::<_, io::Error>(vec![7_u32]) }.boxed();
        let gather = Batcher::new(BATCHING, Arc::new(ask));
        let answers = join_all([gather.ask(1), gather.ask(2)]).await;
        assert_eq!(*answers[0].as_ref().unwrap(), 7);
        assert!(matches!(answers[1], Err(NoAnswer::GivenUp)));
    }
}
