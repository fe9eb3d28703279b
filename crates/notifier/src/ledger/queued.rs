//! Which deliveries of a part are on the tasks queue: what a run of stage 2 that begins anew need not queue again.
//!
//! Written after they are there, so that a crash in between queues them twice rather than never. A record holds many
//! deliveries, and belongs to one message of the services queue: whoever asks for the same broadcast once more means it.

use std::collections::BTreeSet;

use wire::{BroadcastId, DeliveryId, PartId};

use super::{Ledger, LedgerError, decode, key};

impl Ledger {
    /// Records that these deliveries of a part are on the tasks queue, because of the services queue's message with this
    /// id. Up to 10,000 of them fit into one record.
    pub(crate) async fn note_queued(
        &self,
        broadcast: &BroadcastId,
        part: &PartId,
        message_id: &str,
        deliveries: &[DeliveryId],
    ) -> Result<(), LedgerError> {
        let (Some(inner), Some(first)) = (&self.0, deliveries.first()) else { return Ok(()) };
        let key = key::queued(broadcast, part, &PartId::derive([message_id]), first);
        Ok(inner.writes.ask(inner.item(key, &deliveries)?).await?)
    }

    /// The ids of the deliveries that are recorded as such.
    pub(crate) async fn queued(
        &self,
        broadcast: &BroadcastId,
        part: &PartId,
        message_id: &str,
    ) -> Result<BTreeSet<String>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(BTreeSet::new()) };
        let range = key::queued_range(broadcast, part, &PartId::derive([message_id]));
        let mut all = BTreeSet::new();
        for item in inner.all(range).await? {
            all.extend(decode::<Vec<String>>(&item)?);
        }
        Ok(all)
    }
}
