//! Reads all records of one broadcast for a report, and the history.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use time::OffsetDateTime;
use wire::{BroadcastId, PartId};

use super::record::{BroadcastRecord, BroadcastRow, Cancel, PartRecord, Stamped};
use super::store::{Item, Range};
use super::{Inner, Ledger, LedgerError, chunk, decode, delivery_id, key, unreadable};
use crate::model::{Cause, Delivery, Member, Outcome};
use crate::report::Report;

/// The most items of a broadcast's own record: some 10,000 services.
const CHUNKS_MAX: usize = 100;
/// Partitions that are read concurrently.
const PARTITIONS_AT_ONCE: usize = 8;

/// All records of one broadcast.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The request; `None` if stage 1 has not recorded it, as for a message that was sent directly to a later queue.
    pub broadcast: Option<BroadcastRecord>,
    /// The cancellation, if any.
    pub cancelled: Option<Cancel>,
    /// Time of its latest record.
    pub heard: Option<OffsetDateTime>,
    /// Every container, in order.
    pub report: Report,
    /// Whether every part was scanned and every delivery has ended.
    pub is_complete: bool,
}

impl Ledger {
    /// All records of one broadcast; `None` if there are none.
    ///
    /// Reads about 1 KB per container, over the network if the ledger is a table.
    pub async fn read(&self, broadcast: &BroadcastId) -> Result<Option<Recorded>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let own: Vec<Item> = inner.items(key::broadcast_range(broadcast)).try_collect().await?;
        let cancelled = self.cancelled(broadcast).await?;
        let mut found = Records::default();
        let record = whole::<BroadcastRecord, BroadcastRow>(&own)?.map(|(record, rows)| {
            found.own(rows);
            record
        });
        let found = Mutex::new(found);
        stream::iter(key::shards(broadcast).map(Ok))
            .try_for_each_concurrent(PARTITIONS_AT_ONCE, |range| {
                // A panic ends this call, so a half-made change is never read.
                let add = |item| ready(found.lock().unwrap_or_else(PoisonError::into_inner).item(item));
                inner.items(range).try_for_each(add)
            })
            .await?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.parts(broadcast)?;
        if record.is_none() && cancelled.is_none() && found.is_empty() {
            return Ok(None);
        }
        Ok(Some(found.conclude(broadcast, record, cancelled)))
    }

    /// The request of a broadcast; `None` if stage 1 has not recorded it.
    pub async fn asked(&self, broadcast: &BroadcastId) -> Result<Option<BroadcastRecord>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        Ok(inner.own(broadcast).await?.map(|(record, _)| record))
    }

    /// The cancellation of a broadcast, if any.
    pub async fn cancelled(&self, broadcast: &BroadcastId) -> Result<Option<Cancel>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let found = inner.store.get(vec![key::cancel(broadcast)]).await?;
        found.iter().flatten().next().map(decode).transpose()
    }

    /// The latest broadcasts, newest first, up to a limit.
    pub async fn recent(&self, most: usize) -> Result<Vec<BroadcastRecord>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(Vec::new()) };
        inner.items(key::recent_range()).take(most).map(|item| decode(&item?)).try_collect().await
    }
}

impl Inner {
    /// A broadcast's own record and its rows, by key: stage 1 needs no permission to query the table.
    pub(super) async fn own(
        &self,
        broadcast: &BroadcastId,
    ) -> Result<Option<(BroadcastRecord, Vec<BroadcastRow>)>, LedgerError> {
        let Some(first) =
            self.store.get(vec![key::broadcast(broadcast, 0)]).await?.into_iter().flatten().next()
        else {
            return Ok(None);
        };
        let chunks = chunk::count(&first.body).map_err(|error| unreadable(&first.key, &error))?;
        let others = (1..chunks.min(CHUNKS_MAX)).map(|chunk| key::broadcast(broadcast, chunk)).collect();
        let others = self.store.get(others).await?;
        let items: Vec<Item> = std::iter::once(first).chain(others.into_iter().flatten()).collect();
        whole(&items)
    }

    /// The items of a range, read page by page.
    pub(super) fn items(&self, range: Range) -> impl Stream<Item = Result<Item, LedgerError>> {
        let pages = stream::try_unfold(Some((range, None)), async |next| {
            let Some((range, after)) = next else { return Ok::<_, LedgerError>(None) };
            let page = self.store.list(range.clone(), after).await?;
            let next = page.next.map(|after| (range, Some(after)));
            Ok(Some((stream::iter(page.items).map(Ok), next)))
        });
        pages.try_flatten()
    }

    /// A part's record and its rows.
    pub(super) async fn read_part(
        &self,
        broadcast: &BroadcastId,
        part: &PartId,
    ) -> Result<Option<(PartRecord, Vec<Delivery>)>, LedgerError> {
        let items: Vec<Item> = self.items(key::part_range(broadcast, part)).try_collect().await?;
        whole(&items)
    }
}

/// A record from its items.
pub(super) fn whole<H, R>(items: &[Item]) -> Result<Option<(H, Vec<R>)>, LedgerError>
where
    H: serde::de::DeserializeOwned,
    R: serde::de::DeserializeOwned,
{
    let bodies: Vec<&str> = items.iter().map(|item| item.body.as_str()).collect();
    chunk::read(&bodies).map_err(|error| match items.first() {
        Some(item) => unreadable(&item.key, &error),
        None => LedgerError::Unwritable(error),
    })
}

/// Precedence of the records of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// It is expected.
    Expected,
    /// The state after its last attempt.
    State,
    /// It was notified.
    Notified,
}

/// The records so far.
#[derive(Default)]
struct Records {
    /// Time of the latest record, in milliseconds since 1970.
    heard: i64,
    parts: BTreeMap<PartId, String>,
    /// The items of each part, in order.
    chunks: BTreeMap<String, Vec<Item>>,
    parts_seen: BTreeSet<PartId>,
    deliveries: BTreeMap<String, (Weight, Delivery)>,
    skips: BTreeMap<Arc<Member>, Delivery>,
    failures: Vec<Delivery>,
}

impl Records {
    fn is_empty(&self) -> bool {
        self.parts_seen.is_empty() && self.deliveries.is_empty() && self.failures.is_empty()
    }

    fn own(&mut self, rows: Vec<BroadcastRow>) {
        for row in rows {
            match row {
                BroadcastRow::Part { id, service } => drop(self.parts.insert(id, service)),
                BroadcastRow::Skip(skip) => drop(self.skips.insert(skip.member.clone(), skip)),
            }
        }
    }

    /// Adds one item of a partition.
    fn item(&mut self, item: Item) -> Result<(), LedgerError> {
        let sort = item.key.sort.as_str();
        for (kind, weight) in [(key::NOTIFIED, Weight::Notified), (key::STATE, Weight::State)] {
            if let Some(id) = sort.strip_prefix(kind) {
                let record: Stamped = decode(&item)?;
                self.heard = self.heard.max(record.at);
                self.note(id.to_owned(), weight, record.entry);
                return Ok(());
            }
        }
        if let Some(part) = sort.strip_prefix(key::PART).and_then(|rest| rest.split('#').next()) {
            self.chunks.entry(part.to_owned()).or_default().push(item);
        }
        Ok(())
    }

    /// Adds the parts, when all their items have been read.
    fn parts(&mut self, broadcast: &BroadcastId) -> Result<(), LedgerError> {
        for chunks in std::mem::take(&mut self.chunks).into_values() {
            if let Some((record, rows)) = whole::<PartRecord, Delivery>(&chunks)? {
                self.part(broadcast, record, rows);
            }
        }
        Ok(())
    }

    fn part(&mut self, broadcast: &BroadcastId, record: PartRecord, rows: Vec<Delivery>) {
        for row in rows {
            if row.outcome == Some(Outcome::Skipped) {
                self.skips.insert(row.member.clone(), row);
            } else {
                self.note(delivery_id(broadcast, &row.member).to_string(), Weight::Expected, row);
            }
        }
        if let Some(failure) = record.failure {
            self.failures.push(failed(&record.cluster, &record.service, &failure));
        }
        self.parts_seen.insert(record.id);
    }

    fn note(&mut self, delivery: String, weight: Weight, entry: Delivery) {
        if self.deliveries.get(&delivery).is_none_or(|(known, _)| *known < weight) {
            self.deliveries.insert(delivery, (weight, entry));
        }
    }

    fn conclude(
        mut self,
        broadcast: &BroadcastId,
        record: Option<BroadcastRecord>,
        cancelled: Option<Cancel>,
    ) -> Recorded {
        let cluster = record.as_ref().map_or("", |record| &record.cluster);
        let failure = record.as_ref().and_then(|record| record.failure.as_deref());
        self.failures.extend(failure.map(|failure| failed(cluster, "", failure)));
        let unseen = self.parts.iter().filter(|(id, _)| !self.parts_seen.contains(id));
        let unseen = unseen.map(|(_, service)| {
            Delivery::of_service(cluster, service, "its tasks have not been looked for yet")
        });
        let known = self.deliveries.into_values().map(|(_, entry)| entry);
        let mut entries: Vec<Delivery> =
            known.chain(self.skips.into_values()).chain(self.failures).chain(unseen).collect();
        if cancelled.is_some() {
            // Deliveries on a queue will be skipped.
            let pending = entries.iter_mut().filter(|entry| entry.outcome.is_none());
            pending.for_each(|entry| entry.cause = Some(Cause::Cancelled));
        }
        let heard = record.as_ref().map_or(0, |record| record.asked_at).max(self.heard);
        let heard = (heard > 0).then(|| OffsetDateTime::from_unix_timestamp(heard / 1_000).ok()).flatten();
        let is_complete = record.is_some() && entries.iter().all(|entry| entry.outcome.is_some());
        let report = Report::new(broadcast.clone(), entries);
        Recorded { broadcast: record, cancelled, heard, report, is_complete }
    }
}

/// The entry for a part of the scope that could not be scanned.
fn failed(cluster: &str, service: &str, reason: &str) -> Delivery {
    let (outcome, cause) = (Some(Outcome::Failed), Some(Cause::Discovery));
    Delivery { outcome, cause, ..Delivery::of_service(cluster, service, reason) }
}
