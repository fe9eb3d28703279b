//! A store that counts what is written to it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::store::{Item, Key, Page, Range, Store, StoreError};

/// Items written so far. A conditional write that found another item counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerWrites {
    /// The store accepted them.
    pub ok: u64,
    /// The store failed. Some of them may have been written.
    pub failed: u64,
}

impl LedgerWrites {
    /// What was written after an earlier moment.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { ok: self.ok.saturating_sub(earlier.ok), failed: self.failed.saturating_sub(earlier.failed) }
    }
}

/// Another store, with counts.
pub(super) struct Counted {
    store: Arc<dyn Store>,
    ok: AtomicU64,
    failed: AtomicU64,
}

impl Counted {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, ok: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    pub(super) fn writes(&self) -> LedgerWrites {
        LedgerWrites { ok: self.ok.load(Ordering::Relaxed), failed: self.failed.load(Ordering::Relaxed) }
    }

    fn count<'a, T: 'a>(
        &'a self,
        items: usize,
        write: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let count = move |written: &Result<T, StoreError>| {
            let counter = if written.is_ok() { &self.ok } else { &self.failed };
            counter.fetch_add(items as u64, Ordering::Relaxed);
        };
        write.inspect(count).boxed()
    }
}

impl Store for Counted {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.count(items.len(), self.store.put(items))
    }

    fn put_new(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.count(1, self.store.put_new(item))
    }

    fn put_greater(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.count(1, self.store.put_greater(item))
    }

    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        self.store.get(keys)
    }

    fn list(&self, range: Range, after: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.store.list(range, after)
    }

    fn put_items_max(&self) -> usize {
        self.store.put_items_max()
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}
