use std::io;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::*;

const LIMITS: BatchLimits =
    BatchLimits { items_max: 10, at_once_max: 2, linger: Duration::from_millis(5), waiting_max: 100 };
/// How long the work on a batch takes.
const TIME: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(60);

type Batches = Arc<Mutex<Vec<Vec<u32>>>>;

/// Doubles numbers. A batch with a zero fails.
fn doubling() -> (Batcher<Question<u32, u32, io::Error>>, Batches) {
    let batches = Batches::default();
    let seen = Arc::clone(&batches);
    let ask = move |numbers: Vec<u32>| {
        seen.lock().unwrap().push(numbers.clone());
        async move {
            sleep(TIME).await;
            if numbers.contains(&0) { Err(io::Error::other("zero")) } else { Ok(double(&numbers)) }
        }
    };
    (Batcher::answering(LIMITS, ask), batches)
}

fn double(numbers: &[u32]) -> Vec<u32> {
    numbers.iter().map(|number| number * 2).collect()
}

fn sizes(batches: &Batches) -> Vec<usize> {
    batches.lock().unwrap().iter().map(Vec::len).collect()
}

/// Keeps the batches whose work has ended.
fn keeping(limits: BatchLimits) -> (Batcher<u32>, Batches) {
    let batches = Batches::default();
    let done = Arc::clone(&batches);
    let work = move |numbers| {
        let done = Arc::clone(&done);
        async move {
            sleep(TIME).await;
            done.lock().unwrap().push(numbers);
        }
    };
    (Batcher::new(limits, work), batches)
}

#[tokio::test(start_paused = true)]
async fn each_caller_gets_its_own_answer_from_few_batches() {
    let (batcher, done) = doubling();
    let answers = join_all((1..=95).map(|number| batcher.ask(number))).await;
    let answers: Vec<u32> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, double(&(1..=95).collect::<Vec<_>>()));
    assert_eq!(sizes(&done), [10, 10, 10, 10, 10, 10, 10, 10, 10, 5]);
}

#[tokio::test(start_paused = true)]
async fn items_that_come_while_there_is_no_room_go_with_the_next_batch() {
    let (batcher, done) = doubling();
    // Two batches take 50 ms; questions that come one by one meanwhile would be batches of their own.
    let answers = join_all((1..=12).map(async |number| {
        sleep(Duration::from_millis(7) * number).await;
        batcher.ask(number).await.unwrap()
    }));
    assert_eq!(answers.await, double(&(1..=12).collect::<Vec<_>>()));
    assert_eq!(sizes(&done), [1, 1, 7, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_is_an_error_for_its_own_callers_only() {
    let (batcher, _) = doubling();
    let answers = join_all((0..20).map(|number| batcher.ask(number))).await;
    let failed: Vec<bool> = answers.iter().map(Result::is_err).collect();
    assert_eq!(failed, [[true; 10], [false; 10]].concat());
    assert_eq!(answers[0].as_ref().unwrap_err().to_string(), "zero");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_dropped_takes_no_answer_from_others() {
    let (batcher, _) = doubling();
    let impatient = timeout(Duration::from_millis(10), batcher.ask(1));
    let (dropped, answered) = tokio::join!(impatient, batcher.ask(2));
    assert!(dropped.is_err());
    assert_eq!(answered.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_batch_with_too_few_answers_leaves_nobody_waiting() {
    let ask = |_: Vec<u32>| async { Ok::<_, io::Error>(vec![7_u32]) };
    let batcher = Batcher::answering(LIMITS, ask);
    let answers = join_all([batcher.ask(1), batcher.ask(2)]).await;
    assert_eq!(*answers[0].as_ref().unwrap(), 7);
    assert!(matches!(answers[1], Err(BatchError::Dropped)));
}

#[tokio::test(start_paused = true)]
async fn closing_works_on_what_waits_without_lingering_and_takes_nothing_more() {
    let (batcher, done) = keeping(BatchLimits { linger: LONG, ..LIMITS });
    for number in 1..=12 {
        assert!(batcher.add(number).await);
    }
    let start = Instant::now();
    assert!(batcher.close(LONG).await);
    assert_eq!(start.elapsed(), TIME);
    assert_eq!(*done.lock().unwrap(), [(1..=10).collect::<Vec<_>>(), vec![11, 12]]);
    assert!(!batcher.add(13).await);
    assert!(batcher.close(LONG).await, "closing twice does no harm");
    assert_eq!(sizes(&done), [10, 2]);
}

#[tokio::test(start_paused = true)]
async fn closing_drops_what_is_not_done_within_the_limit() {
    let (batcher, done) = keeping(LIMITS);
    let held = Arc::new(());
    let item = Arc::clone(&held);
    let holding = Batcher::new(LIMITS, |items: Vec<Arc<()>>| async move {
        sleep(LONG).await;
        drop(items);
    });
    batcher.add(1).await;
    holding.add(item).await;
    let start = Instant::now();
    assert!(!holding.close(TIME).await);
    assert_eq!(start.elapsed(), TIME);
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&held), 1, "a guard that an item carries ends with it");
    assert!(batcher.close(LONG).await);
    assert_eq!(sizes(&done), [1]);
}

#[tokio::test(start_paused = true)]
async fn whoever_adds_more_than_may_wait_waits() {
    let (batcher, done) = keeping(BatchLimits { items_max: 1, at_once_max: 1, waiting_max: 1, ..LIMITS });
    let start = Instant::now();
    // One is in work, one is taken for the next batch, one waits in the channel.
    for number in 1..=3 {
        batcher.add(number).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    batcher.add(4).await;
    assert_eq!(start.elapsed(), TIME);
    assert!(batcher.close(LONG).await);
    assert_eq!(*done.lock().unwrap(), [[1], [2], [3], [4]]);
}

#[tokio::test(start_paused = true)]
async fn a_batcher_that_is_dropped_finishes_what_it_took() {
    let (batcher, done) = keeping(LIMITS);
    batcher.add(1).await;
    drop(batcher);
    sleep(LONG).await;
    assert_eq!(*done.lock().unwrap(), [[1]]);
}
