//! The records of a broadcast that goes through its fleet in waves: that it was stopped, and pauses that somebody ended.
//!
//! Which container is called in which wave stands in the rows of the parts.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use wire::{BroadcastId, PartId};

use super::record::{BroadcastRecord, BroadcastRow, millis};
use super::{CANCEL_BELIEVED, Ledger, LedgerError, PartRecord, decode, key};
use crate::model::{Delivery, Member};
use crate::rollout::Stopped;

/// That a wave has begun, or that the pause after it was ended.
#[derive(Serialize, Deserialize)]
struct Dated {
    /// Time, in milliseconds since 1970.
    at: i64,
}

/// Why containers that have not been called are not called any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// The broadcast was cancelled.
    Cancelled,
    /// A wave had more errors than allowed.
    Stopped,
}

/// An expected delivery, and what it has come to.
#[derive(Clone, Debug)]
pub(crate) struct Progressed {
    /// As it was expected, with its wave.
    pub(crate) expected: Delivery,
    /// Its latest record.
    state: Option<Delivery>,
    /// Time of that record, in milliseconds since 1970, if the delivery has ended.
    pub(crate) at: Option<i64>,
}

impl Progressed {
    /// What is known of it, with its wave.
    pub(crate) fn latest(&self) -> &Delivery {
        self.state.as_ref().unwrap_or(&self.expected)
    }
}

impl Ledger {
    /// Records a part with its rows, if there is no record of it. Returns whether it is new, and the rows that are recorded.
    pub(crate) async fn begin_part(
        &self,
        broadcast: &BroadcastId,
        record: &PartRecord,
        rows: Vec<Delivery>,
    ) -> Result<(bool, Vec<Delivery>), LedgerError> {
        let Some(inner) = &self.0 else { return Ok((true, rows)) };
        // Of a long record, all items but the first are written before: they must not replace those of another run.
        if let Some((_, known)) = inner.read_part(broadcast, &record.id).await? {
            return Ok((false, known));
        }
        if inner.write_part(broadcast, record, &rows, true).await? {
            return Ok((true, rows));
        }
        let known = inner.read_part(broadcast, &record.id).await?;
        Ok((false, known.map(|(_, rows)| rows).unwrap_or_default()))
    }

    /// Replaces the rows of a part.
    pub(crate) async fn replace_part(
        &self,
        broadcast: &BroadcastId,
        record: &PartRecord,
        rows: &[Delivery],
    ) -> Result<(), LedgerError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        inner.write_part(broadcast, record, rows, false).await.map(drop)
    }

    /// The expected deliveries of a part. Those up to this wave have their latest state.
    pub(crate) async fn progressed(
        &self,
        broadcast: &BroadcastId,
        part: &PartId,
        wave: u16,
    ) -> Result<Vec<Progressed>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(Vec::new()) };
        let rows = inner.read_part(broadcast, part).await?.map(|(_, rows)| rows).unwrap_or_default();
        let expected = rows.into_iter().filter(|row| row.outcome.is_none());
        let progressed = expected.map(async |expected| {
            if expected.wave.is_some_and(|of| of > wave) {
                return Ok(Progressed { expected, state: None, at: None });
            }
            let found = inner.stamped(broadcast, &expected.member).await?;
            let at = found.as_ref().filter(|found| found.entry.outcome.is_some()).map(|found| found.at);
            let zone = expected.zone.clone();
            let state = found.map(|found| Delivery { wave: expected.wave, zone, ..found.entry });
            Ok::<_, LedgerError>(Progressed { expected, state, at })
        });
        try_join_all(progressed).await
    }

    /// Records that a wave of a part begins, before its first delivery is queued. The first record stays.
    pub(crate) async fn begin_wave(
        &self,
        broadcast: &BroadcastId,
        part: &PartId,
        wave: u16,
    ) -> Result<(), LedgerError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let begun = Dated { at: millis(inner.clock.now()) };
        inner.store.put_new(inner.item(key::begun(broadcast, part, wave), &begun)?).await.map(drop)?;
        Ok(())
    }

    /// Whether the wave of a container has begun, which one of these parts expects.
    pub(crate) async fn has_begun(
        &self,
        broadcast: &BroadcastId,
        parts: impl IntoIterator<Item = &PartId>,
        member: &Member,
    ) -> Result<bool, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(false) };
        for part in parts {
            let Some((_, rows)) = inner.read_part(broadcast, part).await? else { continue };
            let is_meant = |row: &&Delivery| {
                (&row.member.task, &row.member.container) == (&member.task, &member.container)
            };
            let Some(wave) = rows.iter().find(is_meant).and_then(|row| row.wave) else { continue };
            if !self.begun(broadcast, part, &BTreeSet::from([wave])).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Which of these waves of a part have begun.
    pub(crate) async fn begun(
        &self,
        broadcast: &BroadcastId,
        part: &PartId,
        waves: &BTreeSet<u16>,
    ) -> Result<BTreeSet<u16>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(BTreeSet::new()) };
        let keys = waves.iter().map(|wave| key::begun(broadcast, part, *wave)).collect();
        let found = inner.store.get(keys).await?;
        Ok(waves.iter().zip(found).filter(|(_, found)| found.is_some()).map(|(wave, _)| *wave).collect())
    }

    /// Records that a broadcast was stopped. The first record stays; returns that one.
    pub(crate) async fn stop(
        &self,
        broadcast: &BroadcastId,
        stopped: Stopped,
    ) -> Result<Stopped, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(stopped) };
        if inner.store.put_new(inner.item(key::stop(broadcast), &stopped)?).await? {
            return Ok(stopped);
        }
        Ok(self.stopped(broadcast).await?.unwrap_or(stopped))
    }

    /// Records that the parts of a stopped broadcast, or of one of its clusters, that nobody has looked at have no container
    /// to call. Nothing else of its record changes.
    pub(crate) async fn close(&self, record: BroadcastRecord) -> Result<(), LedgerError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let (broadcast, cluster) = (record.id.clone(), record.cluster.clone());
        let Some((_, rows)) = inner.own(&broadcast, record.only_cluster()).await? else {
            return self.broadcast_unless_known(record, &[]).await;
        };
        let parts = rows.into_iter().filter_map(|row| match row {
            BroadcastRow::Part { id, service } => {
                Some(PartRecord { id, cluster: cluster.clone(), service, failure: None })
            }
            BroadcastRow::Skip(_) | BroadcastRow::Cluster(_) => None,
        });
        let parts: Vec<_> = parts.collect();
        try_join_all(parts.iter().map(|part| self.part_unless_known(&broadcast, part))).await.map(drop)
    }

    /// Why and at which wave a broadcast was stopped; `None` if it was not.
    pub async fn stopped(&self, broadcast: &BroadcastId) -> Result<Option<Stopped>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let found = inner.store.get(vec![key::stop(broadcast)]).await?;
        found.iter().flatten().next().map(decode).transpose()
    }

    /// Ends the pause after a wave; returns `false` if it was ended before.
    pub async fn continue_after(&self, broadcast: &BroadcastId, wave: u16) -> Result<bool, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(false) };
        let continued = Dated { at: millis(inner.clock.now()) };
        Ok(inner.store.put_new(inner.item(key::continued(broadcast, wave), &continued)?).await?)
    }

    /// Whether somebody has ended the pause after a wave.
    pub async fn is_continued(&self, broadcast: &BroadcastId, wave: u16) -> Result<bool, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(false) };
        let found = inner.store.get(vec![key::continued(broadcast, wave)]).await?;
        Ok(found.iter().any(Option::is_some))
    }

    /// Whether a broadcast was cancelled or stopped, from a cache that is at most a second old.
    pub(crate) async fn withheld(&self, broadcast: &BroadcastId) -> Result<Option<Withheld>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let second = inner.started.elapsed().as_secs() / CANCEL_BELIEVED.as_secs();
        // Concurrent callers share one read.
        inner
            .withheld
            .get_or_insert_async(&(broadcast.clone(), second), async {
                let found = inner.store.get(vec![key::cancel(broadcast), key::stop(broadcast)]).await?;
                let kinds = [Withheld::Cancelled, Withheld::Stopped];
                Ok(found.iter().zip(kinds).find(|(item, _)| item.is_some()).map(|(_, kind)| kind))
            })
            .await
    }

    /// Whether a broadcast was cancelled, from the same cache.
    pub async fn is_cancelled(&self, broadcast: &BroadcastId) -> Result<bool, LedgerError> {
        Ok(self.withheld(broadcast).await? == Some(Withheld::Cancelled))
    }
}
