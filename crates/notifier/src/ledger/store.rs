//! Where a ledger keeps its items: the four operations that it needs of a table.
//!
//! Two real stores have it: a DynamoDB table and a SQLite file. What items mean is not their business.

use std::error::Error;
use std::fmt;
use std::io;

use futures_util::future::BoxFuture;

use crate::aws::AwsErrorKind;

/// The most bytes of an item's body. DynamoDB takes 400 KB for the whole item, keys included.
///
/// Source: "Quotas in Amazon DynamoDB", item size.
pub const BODY_BYTES_MAX: usize = 380 * 1024;

/// Where an item stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What belongs together and is found together: DynamoDB's partition key, at most 2,048 bytes.
    pub partition: String,
    /// Its place among those: DynamoDB's sort key, at most 1,024 bytes.
    pub sort: String,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where it stands.
    pub key: Key,
    /// What it says: JSON of at most [`BODY_BYTES_MAX`].
    pub body: String,
    /// When it may be forgotten, in seconds since 1970. A store takes its time.
    pub expires: i64,
}

/// A part of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The partition.
    pub partition: String,
    /// What the sort keys begin with; empty for all.
    pub prefix: String,
    /// From the last sort key to the first.
    pub backwards: bool,
}

/// Some items of a range, in the order of their sort keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// Where the next page begins: the last sort key of this one. `None` after the last page.
    pub next: Option<String>,
}

/// A table of items. Every write that was answered is seen by every later read, in any process.
pub trait Store: fmt::Debug + Send + Sync {
    /// Writes items, over whatever stands at their keys; of two for one key the later one counts.
    ///
    /// Not one transaction: after an error some may have been written. Writing them again does no harm.
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Writes an item where nothing stands yet; `false` when something does, which then stays.
    fn put_new(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// What stands at these keys, in their order.
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>>;

    /// A page of a range: what comes after the sort key `after`, at most about 1 MB and 1,000 items.
    fn list(&self, range: Range, after: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>>;
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum StoreError {
    /// It could not be reached, or had too much to do. Asking again may help.
    #[error("the ledger in {store} did not answer {operation}")]
    Unavailable { store: String, operation: &'static str, source: StoreCause },
    /// It said no, and will say no again: there is no such table or file, or this process may not use it.
    #[error("the ledger in {store} refused {operation}")]
    Refused { store: String, operation: &'static str, source: StoreCause },
    /// It is not what was written there: overwritten, deleted, or the disk's fault. Only a person can mend it.
    #[error("the ledger in {store} is damaged: {operation} failed")]
    Damaged { store: String, operation: &'static str, source: StoreCause },
}

impl StoreError {
    /// Whether asking again would give the same answer.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Damaged { .. })
    }

    /// What is wrong with the table or the file.
    #[must_use]
    pub fn problem(&self) -> StoreProblem {
        let (Self::Unavailable { source, .. } | Self::Refused { source, .. } | Self::Damaged { source, .. }) =
            self;
        source.problem
    }
}

/// What is wrong with a table or a file, as far as somebody can do something about it.
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

/// Why a store failed: an error with its own causes, and what is wrong by it.
#[derive(Debug)]
pub struct StoreCause {
    problem: StoreProblem,
    error: Box<dyn Error + Send + Sync>,
}

impl StoreCause {
    /// An error, and what is wrong by it.
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
