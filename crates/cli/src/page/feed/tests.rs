//! How often the ledger is read.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use futures_util::future::join_all;
use notifier::ledger::{BroadcastRecord, PartRecord};
use notifier::model::{Delivery, Outcome};
use notifier::store::sqlite::Sqlite;
use notifier::store::{Item, Key, Page, Range, Store, StoreError};
use wire::{Draft, PartId};

use super::*;

/// A store that counts lists: a read of a broadcast makes some, and a look at one delivery makes none.
#[derive(Debug)]
struct Counting(Sqlite, Arc<AtomicUsize>);

impl Store for Counting {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.put(items)
    }
    fn put_new(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.0.put_new(item)
    }
    fn put_greater(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.0.put_greater(item)
    }
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        self.0.get(keys)
    }
    fn list(&self, range: Range, after: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.list(range, after)
    }
    fn put_items_max(&self) -> usize {
        self.0.put_items_max()
    }
}

struct Setup {
    feed: Arc<Feed>,
    lists: Arc<AtomicUsize>,
    _directory: tempfile::TempDir,
}

impl Setup {
    /// Broadcasts of one container each, with this outcome.
    async fn new(names: &[&str], outcome: Option<Outcome>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (clock, lists) = (Clock::system(), Arc::new(AtomicUsize::new(0)));
        let file = Sqlite::open(directory.path().join("ledger.db"), clock.clone()).await.unwrap();
        let ledger = Ledger::new(Arc::new(Counting(file, Arc::clone(&lists))), clock.clone(), 30);
        for name in names {
            let event = Draft::new("t").complete(&id(name), clock.now()).unwrap();
            let body = serde_json::json!({ "id": name, "event": event, "cluster": "prod", "asked_at": 1 });
            let record: BroadcastRecord = serde_json::from_value(body).unwrap();
            let part = PartId::derive([*name]);
            ledger.broadcast(record, &[(part.clone(), "web".to_owned())], &[]).await.unwrap();
            let service = "web".to_owned();
            let part = PartRecord { id: part, cluster: "prod".to_owned(), service, failure: None };
            let member = Member::of_task("prod", "arn:aws:ecs:eu-west-1:1:task/prod/1").into();
            ledger
                .part(&id(name), &part, &[Delivery { member, outcome, ..Delivery::default() }], &[])
                .await
                .unwrap();
        }
        lists.store(0, Ordering::Relaxed);
        Self { feed: Feed::new(ledger, clock, Duration::from_secs(600)), lists, _directory: directory }
    }

    fn lists(&self) -> usize {
        self.lists.swap(0, Ordering::Relaxed)
    }
}

fn id(text: &str) -> BroadcastId {
    BroadcastId::try_from(text.to_owned()).unwrap()
}

#[tokio::test]
async fn requests_for_one_broadcast_share_a_read() {
    let setup = Setup::new(&["b-1"], Some(Outcome::Delivered)).await;
    let one = {
        setup.feed.read(&id("b-1")).await.unwrap();
        setup.lists()
    };
    assert!(one > 0);
    let broadcast = id("b-1");
    let found = join_all((0..50).map(|_| setup.feed.snapshot(&broadcast))).await;
    assert!(found.iter().all(|one| one.as_ref().unwrap().is_some()));
    assert_eq!(setup.lists(), one, "50 requests, one read");
    setup.feed.snapshot(&broadcast).await.unwrap();
    assert_eq!(setup.lists(), 0, "a broadcast that has ended is not read again at once");
}

#[tokio::test]
async fn few_reports_are_kept_and_the_least_recently_used_goes_first() {
    let names = ["b-0", "b-1", "b-2", "b-3", "b-4"];
    let setup = Setup::new(&names, Some(Outcome::Delivered)).await;
    for name in names {
        setup.feed.snapshot(&id(name)).await.unwrap();
        setup.feed.snapshot(&id("b-1")).await.unwrap();
    }
    let kept: Vec<_> = lock(&setup.feed.slots).iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(kept, ["b-2", "b-3", "b-4", "b-1"]);
    assert!(setup.feed.snapshot(&id("b-9")).await.unwrap().is_none());
}

#[tokio::test]
async fn the_list_counts_each_broadcast_once() {
    let setup = Setup::new(&["b-1", "b-2"], Some(Outcome::Delivered)).await;
    let ids = [id("b-1"), id("b-2")];
    while setup.feed.briefs(&ids).await.len() < 2 {}
    setup.lists();
    assert_eq!(setup.feed.briefs(&ids).await.len(), 2);
    assert_eq!(setup.lists(), 0);
    assert!(lock(&setup.feed.slots).is_empty(), "the list keeps no reports");
}

#[tokio::test]
async fn viewers_share_a_poller_that_ends_with_the_last_of_them() {
    let setup = Setup::new(&["b-1"], None).await;
    let mut first = setup.feed.watch(&id("b-1"));
    let second = setup.feed.watch(&id("b-1"));
    assert_eq!(lock(&setup.feed.watched).len(), 1);
    first.changed().await.unwrap();
    assert_eq!(first.borrow().as_ref().unwrap().overview.counts.pending, 1);
    drop((first, second));
    let gone = async {
        while !lock(&setup.feed.watched).is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), gone).await.expect("the poller has ended");
}

#[tokio::test]
async fn the_poller_of_a_broadcast_that_has_ended_ends() {
    let setup = Setup::new(&["b-1"], Some(Outcome::Delivered)).await;
    let mut viewer = setup.feed.watch(&id("b-1"));
    viewer.changed().await.unwrap();
    let ended = timeout(Duration::from_secs(60), viewer.changed()).await.expect("it ends");
    assert!(ended.is_err(), "the sender is gone");
}
