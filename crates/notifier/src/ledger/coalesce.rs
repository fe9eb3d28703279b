//! The newest event of a key in a window, for all processes.

use futures_util::TryStreamExt as _;
use wire::Coalesce;

use super::{Ledger, LedgerError, key};

impl Ledger {
    /// Takes note of an event. Returns whether it is the newest of its key and window so far.
    pub(crate) async fn coalesce(&self, event: &Coalesce) -> Result<bool, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(true) };
        let Coalesce { key, window, version, .. } = event;
        inner.writes.ask(inner.raw(key::coalesced(key, *window, version), "{}".to_owned())).await?;
        let newest = inner.raw(key::newest(key, *window), version.clone());
        if inner.store.put_greater(newest).await? {
            return Ok(true);
        }
        // It may be the newest itself, in a message that is processed again.
        self.is_newest(event).await
    }

    /// Whether an event is the newest of its key and window.
    pub(crate) async fn is_newest(&self, event: &Coalesce) -> Result<bool, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(true) };
        let found = inner.store.get(vec![key::newest(&event.key, event.window)]).await?;
        Ok(found.into_iter().flatten().all(|newest| newest.body <= event.version))
    }

    /// Number of events of a key and window.
    pub(crate) async fn coalesced(&self, event: &Coalesce) -> Result<usize, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(0) };
        let items = inner.items(key::coalesced_range(&event.key, event.window));
        items.try_fold(0, async |count, _| Ok(count + 1)).await
    }
}
