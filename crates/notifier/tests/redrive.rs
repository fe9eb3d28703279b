//! Dead letters redriven and dropped, over the wire: each claim against our simulator and against MiniStack.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use notifier::aws::Aws;
use notifier::base::Clock;
use notifier::ledger::{BroadcastRecord, DAYS_DEFAULT, Ledger, PartRecord};
use notifier::model::Delivery;
use notifier::model::Member;
use notifier::model::{Cause, DeadLetter, Outcome};
use notifier::pipeline::redrive::{self, Action, Filter, LetterStatus, Match, Redrive};
use notifier::pipeline::{self, Ctx, Senders, StageName};
use notifier::queue::{Consumer, Message, Queue, Trace};
use notifier::store::sqlite::Sqlite;
use notifier::store::{Item, Key, Page, Range, Store, StoreError, StoreProblem};
use simulator::faults::{Fault, When};
use simulator::{Fleet, Options, Simulator};
use tempfile::TempDir;
use testkit::sqs::{SOON, Sqs, attribute, numbered};
use testkit::stages::Stages;
use time::OffsetDateTime;
use tokio::time::timeout;
use wire::{BroadcastId, Draft, PartId};

/// A body of the tasks queue.
fn body(broadcast: &str, service: &str, task: usize) -> String {
    format!(
        r#"{{"notify_task_arn":"arn:{task}","notify_me_host_address":"10.0.0.1","notify_me_host_port":"80","notify_me_api_uri":"/n","service":"{service}","broadcast":{{"id":"{broadcast}","event":{{"specversion":"1.0","id":"{broadcast}","source":"test","type":"t","time":"2026-11-24T09:30:00Z"}}}}}}"#
    )
}

/// Four letters of two broadcasts, two services and two codes.
fn four() -> Vec<(String, &'static str)> {
    vec![
        (body("b-1", "web", 1), "rejected"),
        (body("b-1", "api", 2), "failed"),
        (body("b-2", "web", 3), "failed"),
        ("not json".to_owned(), "body"),
    ]
}

/// A queue with these dead letters, its dead-letter queue, and the first ids of the messages.
async fn with_letters(sqs: &Sqs, letters: &[(String, &str)]) -> (Queue, Queue, Vec<String>) {
    let (queue, dead) = sqs.with_dead_letters("q", 30, 5).await;
    let bodies: Vec<_> = letters.iter().map(|(body, _)| body.clone()).collect();
    queue.publish(&bodies, &Trace::default()).await.unwrap();
    let consumer = Consumer::open(queue.clone()).await.unwrap();
    let mut ids = Vec::new();
    while ids.len() < letters.len() {
        for message in timeout(SOON, consumer.receive(10)).await.unwrap().unwrap() {
            let code = letters.iter().find(|(body, _)| *body == message.body).unwrap().1;
            let letter = DeadLetter {
                code: Some(code.to_owned()),
                reason: Some("why".to_owned()),
                ..DeadLetter::about(StageName::Notify, &message.body, message.sent)
            };
            ids.push(message.id.clone());
            consumer.dead_letter(message, &letter, Duration::ZERO).await.unwrap();
        }
    }
    consumer.close(SOON).await;
    ids.sort();
    (queue, dead, ids)
}

async fn run(queue: &Queue, filter: Filter, action: Action) -> Redrive {
    run_with(&Ledger::none(), queue, filter, action).await
}

async fn run_with(ledger: &Ledger, queue: &Queue, filter: Filter, action: Action) -> Redrive {
    redrive::run(StageName::Notify, queue.clone(), &filter, &action, ledger).await.unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "a filter holds options")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn all_dead_letters_go_back_with_the_ids_that_they_had(sqs: &Sqs) {
    let (queue, dead, ids) = with_letters(sqs, &four()).await;
    let redrive = run(&queue, Filter::default(), Action::Redrive).await;
    assert_eq!(redrive.found.len(), 4);
    assert!(redrive.found.iter().all(|one| one.status == LetterStatus::Redriven), "{redrive:?}");
    assert_eq!(sqs.depth(&dead).await, (0, 0));
    let back = sqs.drain(&queue).await;
    let mut kept: Vec<_> = back.iter().map(|one| attribute(one, "message_id").unwrap().to_owned()).collect();
    kept.sort();
    assert_eq!(kept, ids);
    assert!(back.iter().all(|one| attribute(one, "sent").is_some() && attribute(one, "code").is_none()));
}

async fn only_what_matches_goes_back_and_the_rest_is_visible_again(sqs: &Sqs) {
    let (queue, dead, _) = with_letters(sqs, &four()).await;
    let web = Filter { broadcast: some("b-1"), service: some("web"), ..Filter::default() };
    let redrive = run(&queue, web, Action::Redrive).await;
    assert_eq!((redrive.seen, redrive.found.len()), (4, 1));
    assert_eq!(sqs.depth(&dead).await, (3, 0));
    let failed = Filter { code: some("failed"), ..Filter::default() };
    assert_eq!(run(&queue, failed, Action::Redrive).await.found.len(), 2);
    assert_eq!(sqs.bodies(&dead).await, ["not json"]);
    assert_eq!(sqs.depth(&queue).await, (3, 0));
}

async fn listing_changes_nothing(sqs: &Sqs) {
    let (queue, dead, _) = with_letters(sqs, &four()).await;
    let redrive = run(&queue, Filter::default(), Action::List).await;
    assert_eq!(redrive.found.iter().filter(|one| one.status == LetterStatus::Listed).count(), 4);
    assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((4, 0), (0, 0)));
}

async fn what_is_dropped_is_gone(sqs: &Sqs) {
    let (queue, dead, _) = with_letters(sqs, &four()).await;
    let filter = Filter { task: some("arn:3"), ..Filter::default() };
    let redrive = run(&queue, filter, Action::Drop { reason: "retired".to_owned() }).await;
    assert_eq!(redrive.found.iter().map(|one| &one.status).collect::<Vec<_>>(), [&LetterStatus::Dropped]);
    assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((3, 0), (0, 0)));
}

testkit::on_both! {
    all_dead_letters_go_back_with_the_ids_that_they_had
    only_what_matches_goes_back_and_the_rest_is_visible_again
    listing_changes_nothing
    what_is_dropped_is_gone
}

// What follows needs calls to fail, which only the simulator does.

#[tokio::test]
async fn a_dead_letter_that_cannot_be_deleted_is_there_twice_and_not_lost() {
    let sqs = Sqs::simulated().await;
    let (queue, dead, _) = with_letters(&sqs, &four()[..1]).await;
    sqs.simulator().faults().order("DeleteMessageBatch", When::Always, Fault::DropEntry);
    let redrive = run(&queue, Filter::default(), Action::Redrive).await;
    assert!(
        matches!(&redrive.found[0].status, LetterStatus::Failed(why) if why.contains("back on its queue"))
    );
    assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((1, 0), (1, 0)));
}

#[tokio::test]
async fn a_dead_letter_that_its_queue_does_not_take_stays() {
    let sqs = Sqs::simulated().await;
    let (queue, dead, _) = with_letters(&sqs, &four()).await;
    sqs.simulator().faults().order("SendMessageBatch", When::Always, Fault::DropEntry);
    let redrive = run(&queue, Filter::default(), Action::Redrive).await;
    assert!(redrive.found.iter().all(|one| matches!(one.status, LetterStatus::Failed(_))), "{redrive:?}");
    assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((4, 0), (0, 0)));
}

#[tokio::test]
async fn entries_that_fail_for_now_lose_nothing() {
    let sqs = Sqs::simulated().await;
    let letters: Vec<_> = numbered(60).into_iter().map(|body| (body, "failed")).collect();
    let (queue, dead, _) = with_letters(&sqs, &letters).await;
    for operation in ["SendMessageBatch", "DeleteMessageBatch"] {
        sqs.simulator().faults().order(operation, When::Every(3), Fault::DropEntry);
    }
    let redrive = run(&queue, Filter::default(), Action::Redrive).await;
    assert_eq!(redrive.found.iter().filter(|one| one.status == LetterStatus::Redriven).count(), 60);
    assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((0, 0), (60, 0)));
}

// The ledger's records.

/// A ledger in a file of its own.
struct Book {
    file: Arc<Sqlite>,
    ledger: Ledger,
    _directory: TempDir,
}

impl Book {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let clock = Clock::fixed(SystemTime::UNIX_EPOCH);
        let file = Sqlite::open(directory.path().join("ledger.db"), clock.clone()).await.unwrap();
        let file = Arc::new(file);
        let ledger = Ledger::new(Arc::clone(&file) as _, clock, DAYS_DEFAULT);
        Self { file, ledger, _directory: directory }
    }

    /// Records the request for `b-1` with two expected tasks of one service.
    async fn begin(&self) {
        let event = Draft::default().complete(&id(), OffsetDateTime::UNIX_EPOCH).unwrap();
        let record = BroadcastRecord {
            id: id(),
            event,
            data_left_out: None,
            event_digest: None,
            cluster: String::new(),
            clusters: Vec::new(),
            tags: BTreeMap::new(),
            split: false,
            services: Vec::new(),
            standalone: false,
            pace: None,
            asked_by: None,
            asked_at: 0,
            not_targeted: 0,
            folded: 0,
            found: None,
            failure: None,
        };
        let part = PartId::derive(["web"]);
        self.ledger.broadcast(record, &[(part.clone(), "web".to_owned())], &[]).await.unwrap();
        let (cluster, service) = (String::new(), "web".to_owned());
        let part = PartRecord { id: part, cluster, service, failure: None };
        let expected = [1, 2].map(|task| Delivery { member: member(task), ..Delivery::default() });
        self.ledger.part(&id(), &part, &expected, &[]).await.unwrap();
    }

    /// The same ledger as another process has it, which remembers nothing.
    fn anew(&self) -> Ledger {
        Ledger::new(Arc::clone(&self.file) as _, Clock::fixed(SystemTime::UNIX_EPOCH), DAYS_DEFAULT)
    }

    /// Records the outcome of the delivery of `b-1` to a task.
    async fn settle(&self, task: usize, outcome: Outcome) {
        let reason = (!outcome.is_notified()).then(|| "answered 503".to_owned());
        let entry = Delivery {
            member: member(task),
            outcome: Some(outcome),
            reason,
            attempts: Some(3),
            status: Some(503),
            ..Delivery::default()
        };
        self.ledger.settle(&id(), entry).await.unwrap();
    }

    async fn state(&self, task: usize) -> Delivery {
        self.ledger.state(&id(), &member(task)).await.unwrap().unwrap()
    }
}

fn id() -> BroadcastId {
    BroadcastId::try_from("b-1".to_owned()).unwrap()
}

fn member(task: usize) -> Arc<Member> {
    Arc::new(Member { service: "web".to_owned(), task: format!("arn:{task}"), ..Member::default() })
}

/// This many dead letters of `b-1`, of the tasks from 1.
fn letters(count: usize) -> Vec<(String, &'static str)> {
    (1..=count).map(|task| (body("b-1", "web", task), "failed")).collect()
}

fn statuses(redrive: &Redrive) -> Vec<(&str, &LetterStatus)> {
    let mut statuses: Vec<_> =
        redrive.found.iter().map(|one| (one.letter.task.as_deref().unwrap(), &one.status)).collect();
    statuses.sort_by_key(|(task, _)| *task);
    statuses
}

#[tokio::test]
async fn what_goes_back_to_work_is_pending_again_and_its_tries_count_on() {
    let (sqs, book) = (Sqs::simulated().await, Book::new().await);
    book.begin().await;
    let (queue, ..) = with_letters(&sqs, &letters(2)).await;
    book.settle(1, Outcome::Failed).await;
    let redrive = run_with(&book.ledger, &queue, Filter::default(), Action::Redrive).await;
    assert_eq!(statuses(&redrive), [("arn:1", &LetterStatus::Redriven), ("arn:2", &LetterStatus::Redriven)]);
    for (task, tries) in [(1, 3), (2, 0)] {
        let state = book.state(task).await;
        assert_eq!((state.outcome, state.requests()), (None, tries));
        assert_eq!(state.reason.as_deref(), Some("redriven"));
    }
    assert!(!book.ledger.read(&id()).await.unwrap().unwrap().is_complete);
}

#[tokio::test]
async fn what_is_dropped_keeps_its_outcome_with_the_reason_and_what_was_pending_has_failed() {
    let (sqs, book) = (Sqs::simulated().await, Book::new().await);
    book.begin().await;
    let (queue, dead, _) = with_letters(&sqs, &letters(2)).await;
    book.settle(1, Outcome::Rejected).await;
    let retired = Action::Drop { reason: "retired".to_owned() };
    let redrive = run_with(&book.ledger, &queue, Filter::default(), retired).await;
    assert_eq!(statuses(&redrive), [("arn:1", &LetterStatus::Dropped), ("arn:2", &LetterStatus::Dropped)]);
    for (task, outcome, reason) in
        [(1, Outcome::Rejected, "answered 503; dropped: retired"), (2, Outcome::Failed, "dropped: retired")]
    {
        let state = book.state(task).await;
        assert_eq!((state.outcome, state.reason.as_deref()), (Some(outcome), Some(reason)));
        assert_eq!(state.cause, Some(Cause::Dropped));
    }
    assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((0, 0), (0, 0)));
}

#[tokio::test]
async fn the_dead_letter_of_a_container_that_was_notified_is_only_deleted() {
    for action in [Action::Redrive, Action::Drop { reason: "retired".to_owned() }] {
        let (sqs, book) = (Sqs::simulated().await, Book::new().await);
        let (queue, dead, _) = with_letters(&sqs, &letters(2)).await;
        book.settle(1, Outcome::Delivered).await;
        book.settle(2, Outcome::Gone).await;
        let redrive = run_with(&book.ledger, &queue, Filter::default(), action).await;
        assert_eq!(
            statuses(&redrive),
            [("arn:1", &LetterStatus::AlreadyNotified), ("arn:2", &LetterStatus::AlreadyNotified)]
        );
        assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((0, 0), (0, 0)));
        let outcomes = (book.state(1).await.outcome, book.state(2).await.outcome);
        assert_eq!(outcomes, (Some(Outcome::Delivered), Some(Outcome::Gone)));
    }
}

#[tokio::test]
async fn what_its_queue_does_not_take_has_the_outcome_that_it_had() {
    let (sqs, book) = (Sqs::simulated().await, Book::new().await);
    let (queue, dead, _) = with_letters(&sqs, &letters(1)).await;
    book.settle(1, Outcome::Failed).await;
    let before = book.state(1).await;
    sqs.simulator().faults().order("SendMessageBatch", When::Always, Fault::DropEntry);
    let redrive = run_with(&book.ledger, &queue, Filter::default(), Action::Redrive).await;
    assert!(matches!(redrive.found[0].status, LetterStatus::Failed(_)), "{redrive:?}");
    assert_eq!((book.state(1).await, sqs.depth(&dead).await), (before, (1, 0)));
}

/// A store that never answers.
#[derive(Debug)]
struct Silent;

impl Silent {
    fn answer<T: Send>(operation: &'static str) -> BoxFuture<'static, Result<T, StoreError>> {
        async move { Err(StoreError::new("test", operation, StoreProblem::Other, "nobody there")) }.boxed()
    }
}

impl Store for Silent {
    fn put(&self, _: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        Self::answer("put")
    }

    fn put_greater(&self, _: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        Self::answer("put_greater")
    }

    fn put_new(&self, _: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        Self::answer("put_new")
    }

    fn get(&self, _: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        Self::answer("get")
    }

    fn list(&self, _: Range, _: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        Self::answer("list")
    }

    fn put_items_max(&self) -> usize {
        1
    }
}

#[tokio::test]
async fn while_the_ledger_does_not_answer_dead_letters_stay() {
    let sqs = Sqs::simulated().await;
    let (queue, dead, _) = with_letters(&sqs, &letters(3)).await;
    let silent = Ledger::new(Arc::new(Silent), Clock::fixed(SystemTime::UNIX_EPOCH), DAYS_DEFAULT);
    for action in [Action::Redrive, Action::Drop { reason: "retired".to_owned() }] {
        let redrive = run_with(&silent, &queue, Filter::default(), action).await;
        let stayed =
            |one: &Match| matches!(&one.status, LetterStatus::Failed(why) if why.contains("nobody there"));
        assert!(redrive.found.len() == 3 && redrive.found.iter().all(stayed), "{redrive:?}");
        assert_eq!((sqs.depth(&dead).await, sqs.depth(&queue).await), ((3, 0), (0, 0)));
    }
}

// The stages process redriven messages.

/// The stages on this simulator, with this ledger.
fn ctx(sim: &Simulator, ledger: &Ledger) -> Ctx {
    let stages = Stages { senders: Senders::new([STAGE]), ..Stages::default() };
    stages.on(&Aws::at(&sim.url(), "us-east-1"), ledger)
}

/// The sender of messages on the inner queues.
const STAGE: &str = "AROASTAGE";

/// A message as a stage receives it.
fn received(body: String) -> Message {
    let sender = Some(format!("{STAGE}:tasks"));
    Message { sender, ..Message::new("m-1".to_owned(), body, OffsetDateTime::now_utc()) }
}

const ONE_SERVICE: &str = "
    [[cluster]]
    name = 'prod'
    [[cluster.service]]
    name = 'web'
    launch_type = 'FARGATE'
    tasks = 3
    [[cluster.service.container]]
    name = 'app'
    ports = [8080]
    labels = { NOTIFY_ME_CONTAINER_PORT = '8080', NOTIFY_ME_API_URI = '/n' }";

async fn one_service() -> Simulator {
    Simulator::start(Fleet::from_toml(ONE_SERVICE).unwrap(), Options::default()).await.unwrap()
}

#[tokio::test]
async fn whoever_was_notified_while_its_dead_letter_was_redriven_is_not_called_again() {
    let (sim, book) = (one_service().await, Book::new().await);
    let ctx = ctx(&sim, &book.ledger);
    let endpoint = sim.tasks()[0].endpoints[0].address;
    let body = body("b-1", "web", 1)
        .replace("10.0.0.1", &endpoint.ip().to_string())
        .replace("\"80\"", &format!("\"{}\"", endpoint.port()));
    book.settle(1, Outcome::Delivered).await;
    pipeline::run(&ctx, StageName::Notify, &received(body.clone()), None).await.unwrap();
    assert_eq!(sim.received().len(), 0);
    // A task without a record is called.
    let other = body.replace("arn:1", "arn:2");
    pipeline::run(&ctx, StageName::Notify, &received(other), None).await.unwrap();
    assert_eq!(sim.received().len(), 1);
}

#[tokio::test]
async fn a_part_that_is_looked_at_again_after_the_cancel_skips_who_has_not_ended_and_nobody_is_gone() {
    let (sim, book) = (one_service().await, Book::new().await);
    let body = r#"{"cluster":"prod","service":"web","notify_me_container_port":"8080","notify_me_api_uri":"/n","broadcast":{"id":"b-1","event":{"specversion":"1.0","id":"b-1","source":"test","type":"t","time":"2026-11-24T09:30:00Z"}}}"#;
    let ask = async || {
        let ctx = ctx(&sim, &book.anew());
        pipeline::run(&ctx, StageName::Tasks, &received(body.to_owned()), None).await.unwrap().next
    };
    assert_eq!(ask().await.len(), 3);
    let report = book.ledger.read(&id()).await.unwrap().unwrap().report;
    let told = Delivery { outcome: Some(Outcome::Delivered), ..report.entries()[0].clone() };
    book.ledger.settle(&id(), told).await.unwrap();
    assert!(book.ledger.cancel(&id(), String::new()).await.unwrap());
    assert!(ask().await.is_empty());
    let report = book.ledger.read(&id()).await.unwrap().unwrap().report;
    let outcomes: Vec<_> = report.entries().iter().map(|entry| entry.outcome.unwrap()).collect();
    assert_eq!(outcomes, [Outcome::Delivered, Outcome::Skipped, Outcome::Skipped]);
    assert_eq!(report.entries()[1].cause, Some(Cause::Cancelled));
}
