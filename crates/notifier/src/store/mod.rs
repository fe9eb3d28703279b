//! A table of items: a trait with six operations, and its two stores, which do not interpret items.
//!
//! | file | job |
//! | --- | --- |
//! | `dynamodb` | a DynamoDB table |
//! | `sqlite` | a SQLite file |
//! | `budget` | the budget of AWS requests that all processes share, as claims in the table |
//! | `limits` | limits of keys and bodies, the same in each store (pure) |
//! | `open` | opens the store that the settings name |

pub mod budget;
pub mod dynamodb;
mod limits;
mod open;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::error::Error;
use std::fmt;

use futures_util::future::BoxFuture;

use crate::aws::AwsErrorKind;

pub use open::{Location, Use, open};

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
    /// Text of at most [`BODY_BYTES_MAX`].
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

    /// Writes an item if its key does not exist or has a smaller body, in the order of bytes; returns whether it was written.
    fn put_greater(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// The items at these keys, in their order.
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>>;

    /// A page of a range, after the sort key `after`, of at most about 1 MB and 1,000 items.
    fn list(&self, range: Range, after: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// Items to collect for one [`put`](Self::put): as many as the store writes at once.
    fn put_items_max(&self) -> usize;
}

/// Why an operation of a store failed.
#[derive(Debug, thiserror::Error)]
#[error("the ledger in {store} {}", self.ending())]
pub struct StoreError {
    /// The table or file, as `NOTIFIER_LEDGER` names it.
    pub store: String,
    /// What the store was asked for.
    pub operation: &'static str,
    /// The problem.
    pub problem: StoreProblem,
    source: Box<dyn Error + Send + Sync>,
}

impl StoreError {
    /// An error of this operation.
    pub fn new(
        store: impl Into<String>,
        operation: &'static str,
        problem: StoreProblem,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { store: store.into(), operation, problem, source: source.into() }
    }

    /// Whether a retry would fail again.
    pub fn is_final(&self) -> bool {
        match self.problem {
            StoreProblem::Table(kind) => kind.is_final(),
            StoreProblem::FileLocked
            | StoreProblem::DiskFull
            | StoreProblem::FileIo
            | StoreProblem::Other => false,
            _ => true,
        }
    }

    /// Whether the stored data is damaged: overwritten, deleted, or a disk error. Only a person can repair it.
    pub fn is_damage(&self) -> bool {
        self.problem == StoreProblem::FileDamaged
    }

    fn ending(&self) -> String {
        let operation = self.operation;
        match (self.is_damage(), self.is_final()) {
            (true, _) => format!("is damaged: {operation} failed"),
            (_, true) => format!("refused {operation}"),
            _ => format!("did not complete {operation}"),
        }
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
    /// An item, a key or a range exceeds a limit, or this build has no such store.
    Unsupported,
    /// Something else.
    Other,
}
