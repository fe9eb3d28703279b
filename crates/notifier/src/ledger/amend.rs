//! What is known of a delivery, rewritten by whoever sorts dead letters.

use wire::BroadcastId;

use super::{Ledger, LedgerError};
use crate::fleet::Member;
use crate::outcome::Outcome;
use crate::report::Entry;

impl Ledger {
    /// Records that nobody tries a delivery again, and why: its outcome stays, and one that was pending has failed.
    ///
    /// # Errors
    ///
    /// [`LedgerError`], when the store does not answer.
    pub async fn drop_delivery(
        &self,
        broadcast: &BroadcastId,
        member: &Member,
        reason: &str,
    ) -> Result<(), LedgerError> {
        if !self.is_kept() {
            return Ok(());
        }
        let known = self.standing(broadcast, member).await?.state;
        let known = known.unwrap_or_else(|| Entry { member: member.clone(), ..Entry::default() });
        self.settle(broadcast, dropped(known, reason)).await
    }
}

/// The same entry, of which nothing more is to be expected. Dropping it twice says so once. Pure.
fn dropped(entry: Entry, reason: &str) -> Entry {
    let note = format!("dropped: {reason}");
    let reason = match entry.reason.as_deref().filter(|known| !known.is_empty()) {
        Some(known) if known.ends_with(&note) => known.to_owned(),
        Some(known) => format!("{known}; {note}"),
        None => note,
    };
    Entry { outcome: entry.outcome.or(Some(Outcome::Failed)), reason: Some(reason), ..entry }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(outcome: Option<Outcome>, reason: Option<&str>) -> Entry {
        Entry { outcome, reason: reason.map(str::to_owned), ..Entry::default() }
    }

    #[test]
    fn what_is_dropped_keeps_its_outcome_and_says_so_once() {
        let rejected = entry(Some(Outcome::Rejected), Some("it answered 404"));
        let once = dropped(rejected, "retired");
        assert_eq!(once, entry(Some(Outcome::Rejected), Some("it answered 404; dropped: retired")));
        assert_eq!(dropped(once.clone(), "retired"), once);
    }

    #[test]
    fn what_was_pending_has_failed_when_it_is_dropped() {
        let dropped = dropped(entry(None, None), "retired");
        assert_eq!(dropped, entry(Some(Outcome::Failed), Some("dropped: retired")));
    }
}
