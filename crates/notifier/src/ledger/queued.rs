//! Which deliveries of a part are on the tasks queue, so that a repeated run of stage 2 does not queue them again.
//!
//! Written after they are queued, so that a crash in between queues them twice rather than never. A record has many
//! deliveries, and belongs to one message of the services queue: a new request for the same broadcast queues them again.

use std::collections::BTreeSet;
use std::pin::pin;

use futures_util::TryStreamExt as _;
use wire::{BroadcastId, DeliveryId, PartId};

use super::{Ledger, LedgerError, decode, key};

impl Ledger {
    /// Records that these deliveries of a part are on the tasks queue, by this run of stage 2: the id of
    /// the services queue's message, or a wave. A record can have up to 10,000.
    pub(crate) async fn note_queued(
        &self,
        broadcast: &BroadcastId,
        part: &PartId,
        run: &str,
        deliveries: &[DeliveryId],
    ) -> Result<(), LedgerError> {
        let (Some(inner), Some(first)) = (&self.0, deliveries.first()) else { return Ok(()) };
        let key = key::queued(broadcast, part, &PartId::derive([run]), first);
        Ok(inner.writes.ask(inner.item(key, &deliveries)?).await?)
    }

    /// The ids of these deliveries.
    pub(crate) async fn queued(
        &self,
        broadcast: &BroadcastId,
        part: &PartId,
        run: &str,
    ) -> Result<BTreeSet<String>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(BTreeSet::new()) };
        let range = key::queued_range(broadcast, part, &PartId::derive([run]));
        let mut all = BTreeSet::new();
        let mut items = pin!(inner.items(range));
        while let Some(item) = items.try_next().await? {
            all.extend(decode::<Vec<String>>(&item)?);
        }
        Ok(all)
    }
}
