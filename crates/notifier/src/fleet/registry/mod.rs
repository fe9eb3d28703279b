//! The tasks of some clusters, kept up to date by the events of ECS: a broadcast to them needs no discovery.
//!
//! | file | job |
//! | --- | --- |
//! | `mod` | reads and writes the rows of tasks and the states of clusters |
//! | `clusters` | which clusters are registered (pure) |
//! | `message` | reads events of ECS and requests (pure) |
//! | `row` | the row of a task, and how a newer state replaces it (pure) |
//! | `state` | the last sweep of a cluster, and how far the events are processed (pure) |
//! | `sweep` | compares a cluster with ECS |
//! | `freshness` | whether the registry may be used (pure) |
//! | `key` | keys of the items (pure) |
//!
//! The rows are in the ledger's table, so all processes of an installation share them. Events arrive late, twice, in any
//! order, or not at all: each row is written only if it is newer, and sweeps of the cluster find what no event has reported.

mod clusters;
mod freshness;
mod key;
mod message;
mod row;
mod state;
mod sweep;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use crate::base::Clock;
use crate::base::text::chain;
use crate::store::{Item, Key, Range, Store, StoreError};

pub use clusters::{CLUSTERS_MAX, RegisteredClusters};
pub use freshness::{Events, Freshness, LAG_MAX, NotLive, freshness};
pub use message::{LOOKS_MAX, RegistryMessage, RegistryRequest, SWEEPS_MAX, TaskEventError, read};
pub use row::{Applied, Row, Seen, apply};
pub use state::ClusterSweep;
pub use sweep::{SweepError, Swept};

/// Default time between two sweeps of a cluster.
pub const SWEEP_DEFAULT: Duration = Duration::from_mins(10);

/// How long the row of a task is kept without a sweep that finds it again.
const ROW_KEPT: Duration = Duration::from_hours(7 * 24);
/// How long the row of a stopped task is kept. A late event must find it: EventBridge delivers for up to 24 hours.
///
/// Source: Amazon EventBridge User Guide, "Retry policies".
const STOPPED_KEPT: Duration = Duration::from_hours(25);
/// The oldest event that is accepted. The row of a task that has stopped since may be gone.
pub const EVENT_AGE_MAX: Duration = Duration::from_hours(24);
/// How long the state of a cluster is kept.
const STATE_KEPT: Duration = Duration::from_hours(7 * 24);
/// What was said this short before a sweep, in milliseconds, the sweep may not know: ECS's lists are eventually consistent.
const SETTLING: u64 = 60_000;
/// Concurrent conditional writes.
const WRITES_AT_ONCE: usize = 16;
/// Partitions of a cluster that are read concurrently.
const READS_AT_ONCE: usize = 8;
/// Time between two notes of one process about how far the events are processed.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How long the number of messages on the queue is used again.
const WAITING_BELIEVED: Duration = Duration::from_secs(1);

/// Options of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryOptions {
    /// The clusters that it has; none: there is no registry.
    pub clusters: RegisteredClusters,
    /// Time between two sweeps of a cluster.
    pub sweep: Duration,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self { clusters: RegisteredClusters::default(), sweep: SWEEP_DEFAULT }
    }
}

/// Asks for the number of messages that are on the registry queue and in flight.
pub type Waiting = dyn Fn() -> BoxFuture<'static, Option<u64>> + Send + Sync;

/// Why the registry could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another version or another program wrote this item.
    #[error("the registry's item {} of {} cannot be read", .key.sort, .key.partition)]
    Unreadable {
        /// Its key.
        key: Key,
        /// Why.
        source: serde_json::Error,
    },
}

/// The registry of some clusters. Clones share their caches.
#[derive(Clone)]
pub struct Registry {
    store: Arc<dyn Store>,
    clock: Clock,
    options: RegistryOptions,
    waiting: Option<Arc<Waiting>>,
    memory: Arc<Mutex<Memory>>,
}

/// What this process remembers.
#[derive(Default)]
struct Memory {
    /// The messages on the queue, and when SQS said so.
    waiting: Option<(Instant, Option<u64>)>,
    /// When this process last wrote how far the events are processed.
    noted: Option<Instant>,
    /// Sweeps that this process makes now. The message of each is in flight, and is no event.
    sweeps: u64,
}

impl Registry {
    /// The registry in this table.
    pub fn new(store: Arc<dyn Store>, clock: Clock, options: RegistryOptions) -> Self {
        Self { store, clock, options, waiting: None, memory: Arc::default() }
    }

    /// The same, which asks for the length of the queue of events. Without it, only processed events show that the queue
    /// is not behind.
    #[must_use]
    pub fn with_waiting(self, waiting: Arc<Waiting>) -> Self {
        Self { waiting: Some(waiting), ..self }
    }

    /// Its options.
    pub fn options(&self) -> &RegistryOptions {
        &self.options
    }

    /// Now, in milliseconds since 1970.
    pub fn now(&self) -> u64 {
        u64::try_from(self.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
    }

    /// Whether it knows the running tasks of the cluster with this ARN.
    pub async fn freshness(&self, cluster: &str) -> Freshness {
        let known = async {
            let sweep = self.sweep_of(cluster).await?;
            let waiting = self.waiting().await;
            if waiting == Some(0) {
                self.note_progress(self.now()).await?;
            }
            let processed = if waiting == Some(0) { None } else { self.processed().await? };
            Ok::<_, RegistryError>((sweep, Events { waiting, processed }))
        };
        match known.await {
            Ok((sweep, events)) => freshness(self.now(), self.options.sweep, sweep.as_ref(), events),
            Err(error) => Freshness::NotLive { reason: NotLive::Store(chain(&error)) },
        }
    }

    /// The running tasks of the cluster with this ARN, in pages and in no order, each once.
    pub fn rows(&self, cluster: &str) -> BoxStream<'_, Result<Vec<Row>, RegistryError>> {
        let pages = self.all_rows(cluster);
        pages.map_ok(|rows| rows.into_iter().filter(Row::is_running).collect()).boxed()
    }

    /// The rows of these tasks of the cluster with this ARN, in their order; those of stopped tasks too.
    pub async fn rows_of(&self, cluster: &str, tasks: &[String]) -> Result<Vec<Option<Row>>, RegistryError> {
        let keys = tasks.iter().map(|task| key::row(cluster, task)).collect();
        let found = self.store.get(keys).await?;
        found.into_iter().map(|item| item.map(|item| row(cluster, item)).transpose()).collect()
    }

    /// The ARN of the registered cluster that a message means, by name or ARN; `None` if no sweep of it has ended.
    pub async fn cluster_arn(&self, cluster: &str) -> Result<Option<String>, RegistryError> {
        let means =
            |(arn, sweep): &(String, ClusterSweep)| arn == cluster || sweep.name.as_deref() == Some(cluster);
        let found = self.clusters().await?.into_iter().find(means);
        Ok(found.map(|(arn, _)| arn))
    }

    /// The ARNs of all clusters that were swept, with their last sweep.
    pub async fn clusters(&self) -> Result<Vec<(String, ClusterSweep)>, RegistryError> {
        let items: Vec<_> = self.pages(key::clusters()).try_collect::<Vec<_>>().await?;
        let read = |item: Item| Ok((key::cluster_of(&item.key).to_owned(), json(item)?));
        items.into_iter().flatten().map(read).collect()
    }

    /// Takes note of a statement about a task.
    pub async fn note(&self, seen: &Seen) -> Result<Applied, RegistryError> {
        let applied = self.applied(seen).await?;
        if let Applied::Write(row) = &applied {
            self.write(vec![row.clone()]).await?;
        }
        Ok(applied)
    }

    /// Whether an event is so old that the row of its task, which may have stopped since, may be gone.
    pub fn is_too_old(&self, event: &Seen) -> bool {
        u128::from(self.now().saturating_sub(event.at)) > EVENT_AGE_MAX.as_millis()
    }

    /// What would follow from a statement about a task.
    ///
    /// A later sweep knows better: had the statement still been true, the sweep would have found the task.
    pub async fn applied(&self, seen: &Seen) -> Result<Applied, RegistryError> {
        let cluster = seen.task.cluster.as_deref().unwrap_or_default();
        let keys = vec![key::row(cluster, &seen.task.arn), key::cluster(cluster)];
        let mut found = self.store.get(keys).await?.into_iter();
        let known = found.next().flatten().map(|item| row(cluster, item)).transpose()?;
        let sweep: Option<ClusterSweep> = found.next().flatten().map(json).transpose()?;
        match apply(known.as_ref(), seen) {
            Applied::Write(_) if sweep.is_some_and(|sweep| seen.at + SETTLING < sweep.began) => {
                Ok(Applied::Older)
            }
            applied => Ok(applied),
        }
    }

    /// Writes rows, each if it is newer than the one in the table. Returns the number of those that were.
    pub async fn write(&self, rows: Vec<Row>) -> Result<usize, RegistryError> {
        let write = |row: Row| async move { self.store.put_greater(self.item(&row)).await };
        let written = stream::iter(rows).map(write).buffer_unordered(WRITES_AT_ONCE);
        let written: Vec<bool> = written.try_collect().await?;
        Ok(written.into_iter().filter(|written| *written).count())
    }

    /// Takes note that the events until this moment, in milliseconds since 1970, are processed. Most calls do nothing.
    pub async fn note_progress(&self, sent: u64) -> Result<(), RegistryError> {
        let is_due = {
            let mut memory = self.memory();
            let is_due = memory.noted.is_none_or(|noted| noted.elapsed() >= PROGRESS_EVERY);
            if is_due {
                memory.noted = Some(Instant::now());
            }
            is_due
        };
        if is_due {
            let item = self.state_item(key::progress(), &state::Progress { sent })?;
            self.store.put_greater(item).await?;
        }
        Ok(())
    }

    /// Takes note that the events are processed if the queue is empty. Without the length of the queue, it does nothing.
    pub async fn watch(&self) -> Result<(), RegistryError> {
        if self.waiting().await == Some(0) { self.note_progress(self.now()).await } else { Ok(()) }
    }

    fn item(&self, row: &Row) -> Item {
        let task = row.state();
        let kept = if task.is_stopped() { STOPPED_KEPT } else { ROW_KEPT };
        let key = key::row(task.cluster.as_deref().unwrap_or_default(), &task.arn);
        Item { key, body: row.body(), expires: self.expiry(kept) }
    }

    fn state_item<T: serde::Serialize>(&self, key: Key, state: &T) -> Result<Item, RegistryError> {
        let body = serde_json::to_string(state);
        let body = body.map_err(|source| RegistryError::Unreadable { key: key.clone(), source })?;
        Ok(Item { key, body, expires: self.expiry(STATE_KEPT) })
    }

    fn expiry(&self, kept: Duration) -> i64 {
        self.clock.unix_seconds().saturating_add_unsigned(kept.as_secs())
    }

    async fn sweep_of(&self, cluster: &str) -> Result<Option<ClusterSweep>, RegistryError> {
        self.one(key::cluster(cluster)).await
    }

    async fn processed(&self) -> Result<Option<u64>, RegistryError> {
        let progress: Option<state::Progress> = self.one(key::progress()).await?;
        Ok(progress.map(|progress| progress.sent))
    }

    async fn one<T: serde::de::DeserializeOwned>(&self, key: Key) -> Result<Option<T>, RegistryError> {
        let found = self.store.get(vec![key]).await?;
        found.into_iter().next().flatten().map(json).transpose()
    }

    /// The messages on the queue of events; `None` if nobody knows.
    async fn waiting(&self) -> Option<u64> {
        let ask = self.waiting.as_ref()?;
        let known = self.memory().waiting.filter(|(asked, _)| asked.elapsed() < WAITING_BELIEVED);
        if let Some((_, waiting)) = known {
            return waiting;
        }
        let sweeps = self.memory().sweeps;
        let waiting = ask().await.map(|messages| messages.saturating_sub(sweeps));
        self.memory().waiting = Some((Instant::now(), waiting));
        waiting
    }

    /// All rows of a cluster, also those of stopped tasks.
    fn all_rows(&self, cluster: &str) -> BoxStream<'_, Result<Vec<Row>, RegistryError>> {
        let cluster: Arc<str> = cluster.into();
        let ranges: Vec<Range> = key::rows(&cluster).collect();
        let pages = stream::iter(ranges).map(|range| self.pages(range)).flatten_unordered(READS_AT_ONCE);
        let read = move |items: Vec<Item>| {
            items.into_iter().map(|item| row(&cluster, item)).collect::<Result<Vec<_>, _>>()
        };
        pages.map(move |items| items.and_then(&read)).boxed()
    }

    /// The items of a range, in pages.
    fn pages(&self, range: Range) -> BoxStream<'_, Result<Vec<Item>, RegistryError>> {
        // The position: none at the start, `Some(None)` after the last page.
        let next = move |after: Option<Option<String>>| {
            let range = range.clone();
            async move {
                let after = match after {
                    Some(None) => return Ok(None),
                    Some(after) => after,
                    None => None,
                };
                let page = self.store.list(range, after).await?;
                Ok::<_, RegistryError>(Some((page.items, Some(page.next))))
            }
        };
        stream::try_unfold(None, next).boxed()
    }

    /// A panic leaves no half-made change.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn row(cluster: &str, item: Item) -> Result<Row, RegistryError> {
    let Item { key, body, .. } = item;
    Row::read(cluster, &key.sort, &body).map_err(|source| RegistryError::Unreadable { key, source })
}

fn json<T: serde::de::DeserializeOwned>(item: Item) -> Result<T, RegistryError> {
    let Item { key, body, .. } = item;
    serde_json::from_str(&body).map_err(|source| RegistryError::Unreadable { key, source })
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("store", &self.store)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod worlds;
