//! A ledger's store with injected faults, which records all requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use notifier::base::Clock;
use notifier::store::{Item, Key, Page, Range, Store, StoreError, StoreProblem};
use simulator::Faults;
use simulator::faults::Fate;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use crate::lane::Drive;

/// One request to a store about a delivery.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    /// How many calls the receivers had got by then.
    pub(crate) calls: usize,
    /// The daemon that made it, from 0.
    pub(crate) daemon: usize,
    /// Partition and last part of the sort key: broadcast and delivery.
    pub(crate) delivery: (String, String),
    pub(crate) what: What,
    /// When, after 1970.
    pub(crate) at: Duration,
}

/// The kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A read of the state; it was not notified yet.
    ReadUntold,
    /// That it was tried: written, or at least to be.
    Tried,
    /// A write of the outcome of a notified delivery.
    Told,
    /// That the broadcast was stopped: the first record of it.
    Stopped,
}

/// The accounts of all stores of one world.
pub(crate) type Account = Arc<Mutex<Vec<Noted>>>;

/// When the stop of each broadcast was recorded.
pub(crate) fn stops(account: &Account) -> BTreeMap<String, Duration> {
    let account = account.lock().unwrap();
    let stops = account.iter().filter(|noted| noted.what == What::Stopped);
    let stops = stops.map(|noted| (noted.delivery.0.trim_start_matches("head#").to_owned(), noted.at));
    stops.rev().collect()
}

/// How many calls the receivers have got.
pub(crate) type Calls = Arc<dyn Fn() -> usize + Send + Sync>;

/// A store that fails as `faults` orders for `LedgerPut`, `LedgerPutNew`, `LedgerGet` and `LedgerList`.
pub(crate) struct Troubled {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) faults: Faults,
    pub(crate) account: Account,
    pub(crate) calls: Calls,
    pub(crate) daemon: usize,
    /// Told of work outside of all lanes, where `inner` works there.
    pub(crate) drive: Option<Drive>,
    pub(crate) clock: Clock,
}

impl std::fmt::Debug for Troubled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Troubled").field(&self.inner).finish()
    }
}

impl Troubled {
    /// Has something done, unless it is to fail before; after it, it may still fail.
    async fn meet<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
        note: impl FnOnce(&T),
    ) -> Result<T, StoreError> {
        let verdict = self.faults.meet(operation, false, Instant::now());
        if !verdict.delay.is_zero() {
            sleep(verdict.delay).await;
        }
        if matches!(verdict.fate, Some(Fate::Throttled | Fate::Failed | Fate::Reset)) {
            return Err(unavailable(operation));
        }
        let outside = self.drive.as_ref().map(Drive::outside);
        let done = work.await;
        drop(outside);
        if let Ok(answer) = &done {
            note(answer);
        }
        if verdict.fate == Some(Fate::AnswerLost) { Err(unavailable(operation)) } else { done }
    }

    fn note(&self, key: &Key, what: What) {
        let Some((_, delivery)) = key.sort.split_once('#') else { return };
        self.add((key.partition.clone(), delivery.to_owned()), what);
    }

    fn add(&self, delivery: (String, String), what: What) {
        let at = Duration::try_from(self.clock.now() - OffsetDateTime::UNIX_EPOCH).unwrap();
        let noted = Noted { calls: (self.calls)(), daemon: self.daemon, delivery, what, at };
        self.account.lock().unwrap().push(noted);
    }

    fn tried(&self, items: &[Item]) {
        for Item { key, .. } in items {
            if key.sort.starts_with("state#") || key.sort.starts_with("told#") {
                self.note(key, What::Tried);
            }
        }
    }

    fn told<'a>(&self, keys: impl Iterator<Item = &'a Key>) {
        for key in keys.filter(|key| key.sort.starts_with("told#")) {
            self.note(key, What::Told);
        }
    }
}

fn unavailable(operation: &'static str) -> StoreError {
    StoreError::new("troubled", operation, StoreProblem::Other, "to order")
}

impl Store for Troubled {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.tried(&items);
            let keys: Vec<Key> = items.iter().map(|item| item.key.clone()).collect();
            self.meet("LedgerPut", self.inner.put(items), |()| self.told(keys.iter())).await
        }
        .boxed()
    }

    fn put_greater(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            self.tried(std::slice::from_ref(&item));
            let key = item.key.clone();
            let put = self.inner.put_greater(item);
            self.meet("LedgerPutGreater", put, |_| self.told(std::iter::once(&key))).await
        }
        .boxed()
    }

    fn put_new(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            self.tried(std::slice::from_ref(&item));
            let key = item.key.clone();
            let note = |is_new: &bool| {
                self.told(std::iter::once(&key));
                if *is_new && key.sort == "stop" {
                    self.add((key.partition.clone(), String::new()), What::Stopped);
                }
            };
            self.meet("LedgerPutNew", self.inner.put_new(item), note).await
        }
        .boxed()
    }

    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        async move {
            let asked = keys.clone();
            let note = |found: &Vec<Option<Item>>| {
                let told = asked.iter().zip(found).filter(|(key, _)| key.sort.starts_with("told#"));
                for (key, _) in told.filter(|(_, found)| found.is_none()) {
                    self.note(key, What::ReadUntold);
                }
            };
            self.meet("LedgerGet", self.inner.get(keys), note).await
        }
        .boxed()
    }

    fn list(&self, range: Range, after: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.meet("LedgerList", self.inner.list(range, after), |_| ()).boxed()
    }

    fn put_items_max(&self) -> usize {
        self.inner.put_items_max()
    }
}

/// How long a slow answer of a store takes.
pub(crate) const SLOW: Duration = Duration::from_secs(2);
