//! A report of a ledger with hostile items.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use notifier::base::Clock;
use notifier::ledger::{DAYS_DEFAULT, Ledger};
use notifier::store::{Item, Key, Page, Range, Store, StoreError};
use wire::BroadcastId;

use crate::parsers::wrong;

/// A table with the same items in every partition.
#[derive(Debug)]
struct Items(Vec<(String, String)>);

impl Items {
    fn item(partition: &str, (sort, body): &(String, String)) -> Item {
        let key = Key { partition: partition.to_owned(), sort: sort.clone() };
        Item { key, body: body.clone(), expires: i64::MAX }
    }
}

impl Store for Items {
    fn put(&self, _: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }

    fn put_greater(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.put_new(item)
    }

    fn put_new(&self, _: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        ready(Ok(false)).boxed()
    }

    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        let found = keys.into_iter().map(|key| {
            let item = self.0.iter().find(|(sort, _)| *sort == key.sort);
            item.map(|item| Self::item(&key.partition, item))
        });
        ready(Ok(found.collect())).boxed()
    }

    fn list(&self, range: Range, _: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        let in_range = self.0.iter().filter(|(sort, _)| sort.starts_with(&range.prefix));
        let items = in_range.map(|item| Self::item(&range.partition, item)).collect();
        ready(Ok(Page { items, next: None })).boxed()
    }

    fn put_items_max(&self) -> usize {
        usize::MAX
    }
}

/// A broadcast's items in the ledger: one line `sort-key body` each.
pub(crate) fn ledger_items(lines: &[u8]) -> String {
    let text = String::from_utf8_lossy(lines);
    let mut items: Vec<(String, String)> = text
        .lines()
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .map(|(sort, body)| (sort.to_owned(), body.to_owned()))
        .collect();
    items.sort();
    let clock = Clock::fixed(UNIX_EPOCH + Duration::from_secs(1_795_512_600));
    let ledger = Ledger::new(Arc::new(Items(items)), clock, DAYS_DEFAULT);
    let Ok(id) = BroadcastId::try_from("b-1".to_owned()) else { return String::new() };
    // The store is in memory, so the future is ready at once.
    match ledger.read(&id).now_or_never() {
        None => "waits".to_owned(),
        Some(Err(error)) => wrong(&error),
        Some(Ok(None)) => "never heard of it".to_owned(),
        Some(Ok(Some(recorded))) => {
            let asked = recorded.broadcast.map_or("-".to_owned(), |record| {
                format!("{} {}", record.cluster.escape_debug(), record.asked())
            });
            let cancelled = recorded.cancelled.map_or("", |_| ", cancelled");
            let state = if recorded.is_complete { "complete" } else { "not complete" };
            format!("{asked}: {:?}, {state}{cancelled}", recorded.report.counts())
        }
    }
}
