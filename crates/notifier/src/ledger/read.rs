//! Reads all records of one broadcast for a report, and the history.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use time::OffsetDateTime;
use wire::{BroadcastId, PartId};

use super::record::{BroadcastRecord, BroadcastRow, Cancel, PartRecord, Stamped};
use super::{Inner, Ledger, LedgerError, chunk, decode, delivery_id, key, unreadable};
use crate::model::{Cause, Delivery, Found, Member, Outcome};
use crate::report::Report;
use crate::rollout::Stopped;
use crate::store::{Item, Range};

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
    /// The stop, if it goes through its fleet in waves and had too many errors.
    pub stopped: Option<Stopped>,
    /// How the tasks of each cluster were found, as far as that is recorded, by the cluster's name in the request.
    pub found: BTreeMap<String, Found>,
    /// Time of its latest record.
    pub heard: Option<OffsetDateTime>,
    /// Every container, in order.
    pub report: Report,
    /// Whether every part was scanned and every delivery has ended.
    pub is_complete: bool,
}

/// One record of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Time of the record.
    pub at: OffsetDateTime,
    /// The delivery as of then; pending without an outcome.
    pub delivery: Delivery,
}

impl Ledger {
    /// All records of one broadcast; `None` if there are none.
    ///
    /// Reads about 1 KB per container, over the network if the ledger is a table.
    pub async fn read(&self, broadcast: &BroadcastId) -> Result<Option<Recorded>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let own: Vec<Item> = inner.items(key::broadcast_range(broadcast)).try_collect().await?;
        let (cancelled, stopped) = (self.cancelled(broadcast).await?, self.stopped(broadcast).await?);
        let mut found = Records::default();
        // The record of the whole broadcast comes first.
        let mut record = None;
        for items in own.chunk_by(|one, next| record_of(one) == record_of(next)) {
            if let Some((own, rows)) = whole::<BroadcastRecord, BroadcastRow>(items)? {
                found.own(&own, rows);
                record.get_or_insert(own);
            }
        }
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
        Ok(Some(found.conclude(broadcast, record, cancelled, stopped)))
    }

    /// The deliveries that a part was recorded with; none if it was not.
    pub(crate) async fn expected(
        &self,
        broadcast: &BroadcastId,
        part: &PartId,
    ) -> Result<Vec<Delivery>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(Vec::new()) };
        Ok(inner.read_part(broadcast, part).await?.map(|(_, rows)| rows).unwrap_or_default())
    }

    /// The request of a broadcast; `None` if stage 1 has not recorded it.
    pub async fn asked(&self, broadcast: &BroadcastId) -> Result<Option<BroadcastRecord>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        Ok(inner.own(broadcast, None).await?.map(|(record, _)| record))
    }

    /// The cancellation of a broadcast, if any.
    pub async fn cancelled(&self, broadcast: &BroadcastId) -> Result<Option<Cancel>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let found = inner.store.get(vec![key::cancel(broadcast)]).await?;
        found.iter().flatten().next().map(decode).transpose()
    }

    /// The records of one delivery, oldest first: at most two, its latest state and its final outcome.
    pub async fn steps(&self, broadcast: &BroadcastId, member: &Member) -> Result<Vec<Step>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(Vec::new()) };
        let id = delivery_id(broadcast, member);
        let keys = [key::STATE, key::NOTIFIED].map(|kind| key::delivery(kind, broadcast, &id));
        let found = inner.reads.ask(keys).await?;
        let mut steps = Vec::new();
        for item in found.iter().flatten() {
            let Stamped { entry, at } = decode(item)?;
            let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000);
            let at = at.map_err(|error| unreadable(&item.key, &serde::de::Error::custom(error)))?;
            steps.push(Step { at, delivery: entry });
        }
        steps.sort_by_key(|step| step.at);
        Ok(steps)
    }

    /// The latest broadcasts, newest first, up to a limit.
    pub async fn recent(&self, most: usize) -> Result<Vec<BroadcastRecord>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(Vec::new()) };
        inner.items(key::recent_range()).take(most).map(|item| decode(&item?)).try_collect().await
    }
}

impl Inner {
    /// A broadcast's own record and its rows, or those of one of its clusters, by key: stage 1 needs no permission to query
    /// the table.
    pub(super) async fn own(
        &self,
        broadcast: &BroadcastId,
        cluster: Option<&str>,
    ) -> Result<Option<(BroadcastRecord, Vec<BroadcastRow>)>, LedgerError> {
        let Some(first) =
            self.store.get(vec![key::broadcast(broadcast, cluster, 0)]).await?.into_iter().flatten().next()
        else {
            return Ok(None);
        };
        let chunks = chunk::count(&first.body).map_err(|error| unreadable(&first.key, &error))?;
        let others =
            (1..chunks.min(CHUNKS_MAX)).map(|chunk| key::broadcast(broadcast, cluster, chunk)).collect();
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

/// The record that an item of several belongs to: its sort key without the number of the item.
fn record_of(item: &Item) -> &str {
    item.key.sort.rsplit_once('#').map_or("", |(record, _)| record)
}

/// The number of an item among those of its record; `None` if somebody else wrote it.
fn number_of(item: &Item) -> Option<usize> {
    item.key.sort.rsplit_once('#')?.1.parse().ok()
}

/// A record from its items, in order; `None` while it is being written: the first item comes last.
pub(super) fn whole<H, R>(items: &[Item]) -> Result<Option<(H, Vec<R>)>, LedgerError>
where
    H: serde::de::DeserializeOwned,
    R: serde::de::DeserializeOwned,
{
    let is_next = |(place, item): &(usize, &Item)| number_of(item).is_none_or(|number| number == *place);
    let in_order = items.iter().enumerate().take_while(is_next);
    let bodies: Vec<&str> = in_order.map(|(_, item)| item.body.as_str()).collect();
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
    /// The parts of the scope, with their cluster and service.
    parts: BTreeMap<PartId, (String, String)>,
    /// The clusters that have records of their own, and those whose record was read.
    clusters: BTreeSet<String>,
    clusters_seen: BTreeSet<String>,
    /// The items of each part, in order.
    chunks: BTreeMap<String, Vec<Item>>,
    parts_seen: BTreeSet<PartId>,
    /// Each with the time of its record, in milliseconds since 1970.
    deliveries: BTreeMap<String, (Weight, i64, Delivery)>,
    found: BTreeMap<String, Found>,
    skips: BTreeMap<Arc<Member>, Delivery>,
    failures: Vec<Delivery>,
}

impl Records {
    fn is_empty(&self) -> bool {
        self.parts_seen.is_empty() && self.deliveries.is_empty() && self.failures.is_empty()
    }

    fn own(&mut self, record: &BroadcastRecord, rows: Vec<BroadcastRow>) {
        self.clusters_seen.extend(record.only_cluster().map(str::to_owned));
        self.found.extend(record.found.map(|found| (record.cluster.clone(), found)));
        let failure = record.failure.as_deref();
        self.failures.extend(failure.map(|failure| Delivery::not_discovered(&record.cluster, "", failure)));
        for row in rows {
            match row {
                BroadcastRow::Part { id, service } => {
                    self.parts.insert(id, (record.cluster.clone(), service));
                }
                BroadcastRow::Skip(skip) => drop(self.skips.insert(skip.member.clone(), skip)),
                BroadcastRow::Cluster(cluster) => drop(self.clusters.insert(cluster)),
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
                self.note(id.to_owned(), weight, record);
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
                self.note(
                    delivery_id(broadcast, &row.member).to_string(),
                    Weight::Expected,
                    Stamped { entry: row, at: 0 },
                );
            }
        }
        if let Some(failure) = record.failure {
            self.failures.push(Delivery::not_discovered(&record.cluster, &record.service, &failure));
        }
        self.parts_seen.insert(record.id);
    }

    fn note(&mut self, delivery: String, weight: Weight, Stamped { mut entry, at }: Stamped) {
        let known = self.deliveries.get_mut(&delivery);
        let earlier = known.as_ref().map(|(.., known)| known);
        let wave = entry.wave.or(earlier.and_then(|known| known.wave));
        let zone = entry.zone.take().or(earlier.and_then(|known| known.zone.clone()));
        match known {
            Some((known, _, kept)) if *known >= weight => (kept.wave, kept.zone) = (wave, zone),
            _ => {
                (entry.wave, entry.zone) = (wave, zone);
                self.deliveries.insert(delivery, (weight, at, entry));
            }
        }
    }

    fn conclude(
        self,
        broadcast: &BroadcastId,
        record: Option<BroadcastRecord>,
        cancelled: Option<Cancel>,
        stopped: Option<Stopped>,
    ) -> Recorded {
        let unseen = self.parts.iter().filter(|(id, _)| !self.parts_seen.contains(id));
        let unseen = unseen.map(|(_, (cluster, service))| {
            Delivery::of_service(cluster, service, "its tasks have not been looked for yet")
        });
        let wave_outcomes = self.wave_outcomes();
        let clusters = self.clusters.difference(&self.clusters_seen);
        let clusters = clusters
            .map(|cluster| Delivery::of_service(cluster, "", "its services have not been looked for yet"));
        let unseen = unseen.chain(clusters);
        let known = self.deliveries.into_values().map(|(.., entry)| entry);
        let mut entries: Vec<Delivery> =
            known.chain(self.skips.into_values()).chain(self.failures).chain(unseen).collect();
        if cancelled.is_some() {
            // Deliveries on a queue will be skipped.
            let pending = entries.iter_mut().filter(|entry| entry.outcome.is_none());
            pending.for_each(|entry| entry.cause = Some(Cause::Cancelled));
        } else if stopped.is_some() {
            let pending = entries.iter_mut().filter(|entry| entry.outcome.is_none() && entry.requests() == 0);
            pending.for_each(|entry| entry.cause = Some(Cause::Stopped));
        }
        let heard = record.as_ref().map_or(0, |record| record.asked_at).max(self.heard);
        let heard = (heard > 0).then(|| moment(heard)).flatten();
        let is_complete = record.is_some() && entries.iter().all(|entry| entry.outcome.is_some());
        let folded = record.as_ref().map_or(0, |record| record.folded);
        let found = record.as_ref().and_then(|record| record.found);
        let report = Report::new(broadcast.clone(), entries).with_folded(folded).with_found(found);
        let report = report.with_stop(stopped.clone()).with_wave_outcomes(wave_outcomes);
        Recorded { broadcast: record, cancelled, stopped, found: self.found, heard, report, is_complete }
    }

    /// The time of the latest outcome after a call, of each wave.
    fn wave_outcomes(&self) -> BTreeMap<u16, OffsetDateTime> {
        let mut waves = BTreeMap::<u16, i64>::new();
        for (_, at, entry) in self.deliveries.values() {
            if let (Some(wave), Some(outcome)) = (entry.wave, entry.outcome)
                && outcome != Outcome::Skipped
            {
                let latest = waves.entry(wave).or_default();
                *latest = (*at).max(*latest);
            }
        }
        waves.into_iter().filter_map(|(wave, at)| Some((wave, moment(at)?))).collect()
    }
}

/// The second of a time in milliseconds since 1970.
fn moment(millis: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(millis / 1_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_whose_first_item_is_not_written_yet_is_not_read() {
        let broadcast = BroadcastId::try_from("b".to_owned()).unwrap();
        let part = PartId::derive(["prod", "web"]);
        let rows = vec!["x".repeat(1_000); 300];
        let bodies = chunk::write(&1, &rows).unwrap();
        let items = bodies.into_iter().enumerate().map(|(number, body)| Item {
            key: key::part(&broadcast, &part, number),
            body,
            expires: 0,
        });
        let items: Vec<Item> = items.collect();
        assert_eq!(items.len(), 3);
        let read = |items: &[Item]| whole::<u8, String>(items).unwrap();
        assert_eq!(read(&items), Some((1, rows)));
        assert_eq!(read(&items[1..]), None);
        assert_eq!(read(&[items[0].clone(), items[2].clone()]), None);
    }
}
