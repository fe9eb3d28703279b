//! The ledger: records every broadcast, its expected containers and their outcomes.
//!
//! | file | job |
//! | --- | --- |
//! | `mod` | what the stages write and ask |
//! | `read` | everything of one broadcast, for a report; the history |
//! | `open` | the ledger that the settings name |
//! | `known` | whether a message belongs to a broadcast that is recorded |
//! | `queued` | the deliveries that are already on the tasks queue |
//! | `coalesce` | the newest event of a key in a window |
//! | `rollout`, `pause` | stops and pauses of a broadcast in waves |
//! | `standing` | broadcasts that tasks which start later hear too |
//! | `dead_letters` | deliveries that end without another attempt |
//! | `key`, `record`, `chunk` | keys, contents and chunks of records (pure) |
//! | `counted` | counts what is written |
//!
//! All keys are derived from stable ids and there are no counters, so writes are idempotent: a stage that runs twice
//! leaves the same records. A delivery has two items. One has the outcome of a notified delivery, and is final. The other
//! has the latest state; its last writer wins.

mod chunk;
mod coalesce;
mod counted;
mod dead_letters;
mod key;
mod known;
mod open;
mod pause;
mod queued;
mod read;
mod record;
mod rollout;
mod standing;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use quick_cache::sync::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use tokio::time::Instant;
use wire::{BroadcastId, DeliveryId, PartId};

use crate::base::Clock;
use crate::base::batcher::{BatchError, BatchLimits, Batcher, Question};
use crate::base::text::{self, printable};
use crate::model::{Delivery, Member, Outcome};
use crate::store::{Item, Key, Store, StoreError};
use counted::Counted;
pub(crate) use record::millis;
use record::{BroadcastRow, Stamped};

pub use counted::LedgerWrites;
pub use open::{LedgerOptions, open};
pub use pause::NoPause;
pub use read::{Recorded, Step};
pub use record::{BroadcastRecord, Cancel, PartRecord};
pub(crate) use rollout::{Progressed, Withheld};
pub use standing::Standing;

/// Default retention of records, in days.
pub const DAYS_DEFAULT: u32 = 30;

/// How long the cached answer whether a broadcast was cancelled or stopped is valid.
const CANCEL_BELIEVED: Duration = Duration::from_secs(1);
/// Broadcasts in that cache.
const CANCELS_MAX: usize = 1_000;

/// Writes of outcomes that are under way at once.
const WRITES_AT_ONCE: usize = 8;
/// How long the first outcome of a write waits for others.
const WRITE_LINGER: Duration = Duration::from_millis(5);
/// Deliveries in one read, with two keys each: DynamoDB's maximum.
const READS: BatchLimits =
    BatchLimits { items_max: 50, at_once_max: 8, linger: Duration::from_millis(2), waiting_max: WAITING_MAX };
/// Reads or writes that wait for a batch; further callers wait.
const WAITING_MAX: usize = 4_096;

/// Why a ledger could not write or read a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum LedgerError {
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// The process is ending.
    #[error("the ledger was closed before it answered")]
    Closed,
    /// A record cannot be read: another version or another program wrote it.
    #[error("the ledger's record {sort} of {partition} cannot be read")]
    Unreadable { partition: String, sort: String, source: Box<dyn Error + Send + Sync> },
    #[error("the record cannot be written")]
    Unwritable(#[source] serde_json::Error),
}

impl LedgerError {
    /// Whether a retry would fail again.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Store(error) => error.is_final(),
            Self::Closed => false,
            Self::Unreadable { .. } | Self::Unwritable(_) => true,
        }
    }

    /// Whether the ledger has foreign data, or was deleted: only a person can repair it.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Store(error) => error.is_damage(),
            Self::Unreadable { .. } => true,
            Self::Closed | Self::Unwritable(_) => false,
        }
    }
}

impl From<StoreError> for LedgerError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<BatchError<StoreError>> for LedgerError {
    fn from(error: BatchError<StoreError>) -> Self {
        match error {
            BatchError::Failed(error) => Self::Store(error),
            BatchError::Dropped => Self::Closed,
        }
    }
}

/// The ledger; [`Ledger::none`] records nothing. Cloning it is cheap.
///
/// Every operation returns after the store has answered.
#[derive(Clone, Default)]
pub struct Ledger(Option<Arc<Inner>>);

struct Inner {
    store: Arc<dyn Store>,
    /// The same store.
    counted: Arc<Counted>,
    clock: Clock,
    days: u32,
    reads: Batcher<Question<[Key; 2], [Option<Item>; 2], StoreError>>,
    writes: Batcher<Question<Item, (), StoreError>>,
    started: Instant,
    withheld: Cache<(BroadcastId, u64), Option<Withheld>>,
}

impl Ledger {
    /// A ledger that records nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// A ledger in this store, with this retention in days.
    pub fn new(store: Arc<dyn Store>, clock: Clock, days: u32) -> Self {
        let counted = Arc::new(Counted::new(store));
        let store: Arc<dyn Store> = Arc::clone(&counted) as _;
        let outcomes = BatchLimits {
            items_max: store.put_items_max(),
            at_once_max: WRITES_AT_ONCE,
            linger: WRITE_LINGER,
            waiting_max: WAITING_MAX,
        };
        let (reader, writer) = (Arc::clone(&store), Arc::clone(&store));
        let read = move |keys: Vec<[Key; 2]>| {
            let store = Arc::clone(&reader);
            async move {
                let mut items = store.get(keys.into_iter().flatten().collect()).await?.into_iter();
                let pairs = std::iter::from_fn(|| Some([items.next()?, items.next()?]));
                Ok(pairs.collect())
            }
        };
        let write = move |items: Vec<Item>| {
            let store = Arc::clone(&writer);
            async move {
                let answers = vec![(); items.len()];
                store.put(items).await.map(|()| answers)
            }
        };
        Self(Some(Arc::new(Inner {
            store,
            counted,
            clock,
            days,
            reads: Batcher::answering(READS, read),
            writes: Batcher::answering(outcomes, write),
            started: Instant::now(),
            withheld: Cache::new(CANCELS_MAX),
        })))
    }

    /// The table of its items, for other records of the installation.
    pub fn store(&self) -> Option<Arc<dyn Store>> {
        self.0.as_ref().map(|inner| Arc::clone(&inner.store))
    }

    /// Items written so far, by this process.
    pub fn writes(&self) -> LedgerWrites {
        self.0.as_ref().map_or_else(LedgerWrites::default, |inner| inner.counted.writes())
    }

    /// Whether it records anything.
    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Records a broadcast, its parts with their services for stage 2, and the skips.
    ///
    /// A repeat replaces the record. A repeat for named services replaces only the rows of these services.
    pub async fn broadcast(
        &self,
        record: BroadcastRecord,
        parts: &[(PartId, String)],
        skips: &[Delivery],
    ) -> Result<(), LedgerError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let before = match record.services.as_slice() {
            [] => None,
            _ => inner.own(&record.id, record.only_cluster()).await?,
        };
        let Some((before, mut rows)) = before else {
            return inner.write_broadcast(record, rows_of(parts, skips), false).await;
        };
        rows.retain(|row| !record.names(row.service()));
        rows.extend(rows_of(parts, skips));
        inner.write_broadcast(before.widened(&record), rows, false).await
    }

    /// Records a broadcast whose clusters have records of their own.
    pub async fn split(&self, record: BroadcastRecord, clusters: &[String]) -> Result<(), LedgerError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let rows = clusters.iter().cloned().map(BroadcastRow::Cluster).collect();
        inner.write_broadcast(record, rows, false).await
    }

    /// Records a broadcast unless there is a record of it.
    pub async fn broadcast_unless_known(
        &self,
        record: BroadcastRecord,
        parts: &[(PartId, String)],
    ) -> Result<(), LedgerError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        inner.write_broadcast(record, rows_of(parts, &[]), true).await
    }

    /// Records a part: the expected deliveries and the skips. Returns the expected deliveries that still need a call: those
    /// that are not notified.
    ///
    /// If the part was recorded before, by an interrupted run or by a repeat of its message, both records are merged. A
    /// task that was expected then and is not found now has stopped in between: its delivery is gone, unless it has ended
    /// before.
    pub async fn part(
        &self,
        broadcast: &BroadcastId,
        record: &PartRecord,
        expected: &[Delivery],
        skips: &[Delivery],
    ) -> Result<Vec<Delivery>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(expected.to_vec()) };
        let mut rows: Vec<Delivery> = expected.iter().chain(skips).cloned().collect();
        if inner.write_part(broadcast, record, &rows, true).await? {
            return Ok(expected.to_vec());
        }
        let found: BTreeSet<_> = rows.iter().map(|row| row.member.clone()).collect();
        let known = inner.read_part(broadcast, &record.id).await?;
        let before = known.as_ref().map(|(_, rows)| rows.clone()).unwrap_or_default();
        let before: Vec<Delivery> = before.into_iter().filter(|row| !found.contains(&row.member)).collect();
        rows.extend(before.iter().cloned());
        if known.is_none_or(|known| known != (record.clone(), rows.clone())) {
            inner.write_part(broadcast, record, &rows, false).await?;
        }
        let stopped = before.into_iter().filter(|row| row.outcome.is_none()).map(Delivery::stopped);
        try_join_all(stopped.map(|delivery| self.settle(broadcast, delivery))).await?;
        let due = expected.iter().map(async |delivery| {
            let state = self.state(broadcast, &delivery.member).await?;
            let is_notified = state.is_some_and(|state| state.is_notified());
            Ok::<_, LedgerError>((!is_notified).then(|| delivery.clone()))
        });
        Ok(try_join_all(due).await?.into_iter().flatten().collect())
    }

    /// Records a part, such as the reason why it could not be scanned, unless there is a record of it.
    pub async fn part_unless_known(
        &self,
        broadcast: &BroadcastId,
        record: &PartRecord,
    ) -> Result<(), LedgerError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        inner.write_part(broadcast, record, &[], true).await.map(drop)
    }

    /// The state of a delivery; `None` if it is only expected.
    ///
    /// The outcome of a notified delivery is final, whatever was recorded later.
    pub async fn state(
        &self,
        broadcast: &BroadcastId,
        member: &Member,
    ) -> Result<Option<Delivery>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        Ok(inner.stamped(broadcast, member).await?.map(|record| record.entry))
    }

    /// Records the outcome of a delivery, or its state without one.
    ///
    /// The outcome of a notified delivery is final, and of two such outcomes `delivered` wins. Of other states the last
    /// one wins.
    pub async fn settle(&self, broadcast: &BroadcastId, entry: Delivery) -> Result<(), LedgerError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let id = delivery_id(broadcast, &entry.member);
        let outcome = entry.outcome;
        let record = Stamped { entry, at: millis(inner.clock.now()) };
        let is_notified = outcome.is_some_and(Outcome::is_notified);
        let kind = if is_notified { key::NOTIFIED } else { key::STATE };
        let item = inner.item(key::delivery(kind, broadcast, &id), &record)?;
        if outcome == Some(Outcome::Gone) {
            // Another process may have delivered it, which takes precedence.
            inner.store.put_new(item).await?;
        } else {
            inner.writes.ask(item).await?;
        }
        Ok(())
    }

    /// Cancels a broadcast: containers that have not been called are not called any more.
    ///
    /// A broadcast without a record can be cancelled too. The first cancellation stays; `false` if there was one.
    pub async fn cancel(&self, broadcast: &BroadcastId, reason: String) -> Result<bool, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(false) };
        let cancel = Cancel { at: millis(inner.clock.now()), reason };
        Ok(inner.store.put_new(inner.item(key::cancel(broadcast), &cancel)?).await?)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("Ledger(none)"),
            Some(inner) => f.debug_tuple("Ledger").field(&inner.store).finish(),
        }
    }
}

impl Inner {
    /// The record of a delivery that counts.
    async fn stamped(
        &self,
        broadcast: &BroadcastId,
        member: &Member,
    ) -> Result<Option<Stamped>, LedgerError> {
        let id = delivery_id(broadcast, member);
        let keys = [key::NOTIFIED, key::STATE].map(|kind| key::delivery(kind, broadcast, &id));
        let [ended, state] = self.reads.ask(keys).await?.map(|item| item.as_ref().map(decode::<Stamped>));
        ended.or(state).transpose()
    }

    fn item(&self, key: Key, record: &impl Serialize) -> Result<Item, LedgerError> {
        Ok(self.raw(key, serde_json::to_string(record).map_err(LedgerError::Unwritable)?))
    }

    fn raw(&self, key: Key, body: String) -> Item {
        Item { key, body, expires: self.clock.unix_seconds() + i64::from(self.days) * 24 * 60 * 60 }
    }

    /// Writes a broadcast's record and its entry in the history; with `new`, only if there is no record. The record of one
    /// cluster of several has no such entry.
    async fn write_broadcast(
        &self,
        record: BroadcastRecord,
        rows: Vec<BroadcastRow>,
        new: bool,
    ) -> Result<(), LedgerError> {
        let record = record.kept();
        let key = |chunk| key::broadcast(&record.id, record.only_cluster(), chunk);
        if self.write(&record, &rows, key, new).await? && !record.split {
            let line = self.item(key::recent(&sortable(record.asked_at), &record.id), &record)?;
            self.store.put(vec![line]).await?;
        }
        Ok(())
    }

    /// Writes a part's record; with `new`, only if there is no record.
    async fn write_part(
        &self,
        broadcast: &BroadcastId,
        record: &PartRecord,
        rows: &[Delivery],
        new: bool,
    ) -> Result<bool, LedgerError> {
        self.write(record, rows, |chunk| key::part(broadcast, &record.id, chunk), new).await
    }

    /// Writes a record with these rows. Its first item is written last: it decides whether the record is new, and completes it.
    async fn write<H: Serialize, R: Serialize>(
        &self,
        head: &H,
        rows: &[R],
        key: impl Fn(usize) -> Key,
        new: bool,
    ) -> Result<bool, LedgerError> {
        let bodies = chunk::write(head, rows).map_err(LedgerError::Unwritable)?;
        let items = bodies.into_iter().enumerate().map(|(chunk, body)| self.raw(key(chunk), body));
        let mut items: Vec<_> = items.collect();
        let others = items.split_off(items.len().min(1));
        if !others.is_empty() {
            self.store.put(others).await?;
        }
        match items.pop() {
            Some(first) if new => Ok(self.store.put_new(first).await?),
            Some(first) => Ok(self.store.put(vec![first]).await.map(|()| true)?),
            None => Ok(true),
        }
    }
}

fn rows_of(parts: &[(PartId, String)], skips: &[Delivery]) -> Vec<BroadcastRow> {
    let parts = parts.iter().cloned().map(|(id, service)| BroadcastRow::Part { id, service });
    parts.chain(skips.iter().cloned().map(BroadcastRow::Skip)).collect()
}

fn delivery_id(broadcast: &BroadcastId, member: &Member) -> DeliveryId {
    DeliveryId::derive(broadcast, &member.task, &member.container)
}

fn decode<T: DeserializeOwned>(item: &Item) -> Result<T, LedgerError> {
    serde_json::from_str(&item.body).map_err(|error| unreadable(&item.key, &error))
}

/// The most characters of a key in an error, because the table may have foreign items.
const KEY_CHARS_MAX: usize = 400;

/// The error's text may have words of the record, so it is made printable.
fn unreadable(key: &Key, error: &serde_json::Error) -> LedgerError {
    let source = text::chain(error).into();
    let shown = |key: &str| printable(key, KEY_CHARS_MAX);
    LedgerError::Unreadable { partition: shown(&key.partition), sort: shown(&key.sort), source }
}

/// A time that sorts as text.
fn sortable(millis: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    time.ok().and_then(|time| time.format(&Iso8601::DEFAULT).ok()).unwrap_or_default()
}
