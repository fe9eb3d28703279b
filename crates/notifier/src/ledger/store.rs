//! The store of a ledger's items: a trait with four operations.
//!
//! There are two stores: a DynamoDB table and a SQLite file. They do not interpret items.

use std::error::Error;
use std::fmt;
use std::io;

use futures_util::future::BoxFuture;

use crate::aws::AwsErrorKind;

/// The most bytes of an item's body. DynamoDB accepts 400 KB for the whole item, including keys.
///
/// Source: "Quotas in Amazon DynamoDB", item size.
pub const BODY_BYTES_MAX: usize = 380 * 1024;

/// The key of an item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// DynamoDB's partition key, at most 2,048 bytes. Items of one partition are listed together.
    pub partition: String,
    /// DynamoDB's sort key, at most 1,024 bytes.
    pub sort: String,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its key.
    pub key: Key,
    /// JSON of at most [`BODY_BYTES_MAX`].
    pub body: String,
    /// Time of expiry, in seconds since 1970. A store may delete it later.
    pub expires: i64,
}

/// A part of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The partition.
    pub partition: String,
    /// Prefix of the sort keys; empty for all.
    pub prefix: String,
    /// From the last sort key to the first.
    pub backwards: bool,
}

/// Some items of a range, in the order of their sort keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// The start of the next page: the last sort key of this one. `None` after the last page.
    pub next: Option<String>,
}

/// A table of items. After a write has returned, every later read in any process sees it.
pub trait Store: fmt::Debug + Send + Sync {
    /// Writes items, and replaces existing ones; of two items with one key the later one counts.
    ///
    /// Not a transaction: after an error, some items may have been written. A repeated write is harmless.
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Writes an item if its key does not exist; returns `false` if it does, and keeps the existing item.
    fn put_new(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// The items at these keys, in their order.
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>>;

    /// A page of a range, after the sort key `after`, of at most about 1 MB and 1,000 items.
    fn list(&self, range: Range, after: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// Items to collect for one [`put`](Self::put): as many as the store writes at once.
    fn put_items_max(&self) -> usize;
}

/// Why an operation of a store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum StoreError {
    /// The store could not be reached, or was throttled. A retry may help.
    #[error("the ledger in {store} did not complete {operation}")]
    Unavailable { store: String, operation: &'static str, source: StoreCause },
    /// The store refused the operation for good: the table or file does not exist, or this process must not use it.
    #[error("the ledger in {store} refused {operation}")]
    Refused { store: String, operation: &'static str, source: StoreCause },
    /// The stored data is damaged: overwritten, deleted, or a disk error. Only a person can repair it.
    #[error("the ledger in {store} is damaged: {operation} failed")]
    Damaged { store: String, operation: &'static str, source: StoreCause },
}

impl StoreError {
    /// Whether a retry would fail again.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Damaged { .. })
    }

    /// The problem of the table or the file.
    pub fn problem(&self) -> StoreProblem {
        let (Self::Unavailable { source, .. } | Self::Refused { source, .. } | Self::Damaged { source, .. }) =
            self;
        source.problem
    }
}

/// The problem of a table or a file, as far as a hint exists for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreProblem {
    /// A call to `DynamoDB` failed.
    Table(AwsErrorKind),
    /// The table belongs to another program.
    ForeignTable,
    /// There is no file.
    FileMissing,
    /// The file cannot be opened or written by this process.
    FileNotOpened,
    /// The file is not a ledger that this version can use.
    FileUnsuitable,
    /// Another process keeps the file locked.
    FileLocked,
    /// The disk is full, or nearly so.
    DiskFull,
    /// The disk cannot be read or written.
    FileIo,
    /// The file, or its log, is not what a ledger wrote there.
    FileDamaged,
    /// Something else.
    Other,
}

/// The cause of a store's error: an error with its own causes, and the problem.
#[derive(Debug)]
pub struct StoreCause {
    problem: StoreProblem,
    error: Box<dyn Error + Send + Sync>,
}

impl StoreCause {
    /// An error and its problem.
    pub fn new(problem: StoreProblem, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { problem, error: error.into() }
    }
}

impl fmt::Display for StoreCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for StoreCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl From<&str> for StoreCause {
    fn from(text: &str) -> Self {
        Self::new(StoreProblem::Other, text)
    }
}

impl From<io::Error> for StoreCause {
    fn from(error: io::Error) -> Self {
        Self::new(StoreProblem::Other, error)
    }
}
