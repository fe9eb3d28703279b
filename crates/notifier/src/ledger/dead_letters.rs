//! Records deliveries that end without another attempt: given up, dropped, or of a cancelled broadcast.

use futures_util::future::try_join_all;
use wire::BroadcastId;

use super::{Ledger, LedgerError, PartRecord};
use crate::model::Delivery;

impl Ledger {
    /// Records that the message of a delivery was given up, with the result of the last attempt, and returns that. Does
    /// nothing if the container was notified.
    pub(crate) async fn give_up(
        &self,
        broadcast: &BroadcastId,
        expected: Delivery,
        reason: &str,
    ) -> Result<Option<Delivery>, LedgerError> {
        let state = self.state(broadcast, &expected.member).await?;
        if state.as_ref().is_some_and(Delivery::is_notified) {
            return Ok(None);
        }
        let given_up = expected.given_up(state, reason);
        self.settle(broadcast, given_up.clone()).await?;
        Ok(Some(given_up))
    }

    /// Records that a part of a cancelled broadcast is not scanned. Returns the deliveries that are skipped now: those that
    /// an earlier scan expected and that have not ended.
    pub(crate) async fn cancel_part(
        &self,
        broadcast: &BroadcastId,
        record: &PartRecord,
    ) -> Result<Vec<Delivery>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(Vec::new()) };
        if inner.write_part(broadcast, record, &[], true).await? {
            return Ok(Vec::new());
        }
        let known = inner.read_part(broadcast, &record.id).await?;
        let rows = known.map(|(_, rows)| rows).unwrap_or_default();
        let skipped = rows.into_iter().filter(|row| row.outcome.is_none()).map(async |row| {
            let state = self.state(broadcast, &row.member).await?;
            if state.as_ref().is_some_and(|state| state.outcome.is_some()) {
                return Ok(None);
            }
            let skipped = row.cancelled(state.map_or(0, |state| state.requests()));
            self.settle(broadcast, skipped.clone()).await.map(|()| Some(skipped))
        });
        Ok(try_join_all(skipped).await?.into_iter().flatten().collect())
    }
}
