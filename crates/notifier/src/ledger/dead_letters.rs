//! What is known of deliveries, rewritten: by whoever sorts dead letters, and when a broadcast is cancelled.

use futures_util::future::try_join_all;
use wire::BroadcastId;

use super::{Ledger, LedgerError, PartRecord};
use crate::model::{Cause, Delivery, Member, Outcome, SkipReason};

impl Ledger {
    /// Records that the message of a delivery was given up, and what its last try came to. Whoever was told stays told.
    ///
    /// # Errors
    ///
    /// [`LedgerError`], when the store does not answer.
    pub(crate) async fn give_up(
        &self,
        broadcast: &BroadcastId,
        expected: Delivery,
        reason: &str,
    ) -> Result<(), LedgerError> {
        let state = self.state(broadcast, &expected.member).await?;
        if state.as_ref().is_some_and(Delivery::is_notified) {
            return Ok(());
        }
        self.settle(broadcast, given_up(expected, state, reason)).await
    }

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
        let known = self.state(broadcast, member).await?;
        let known = known.unwrap_or_else(|| Delivery { member: member.clone(), ..Delivery::default() });
        if known.is_notified() {
            return Ok(());
        }
        self.settle(broadcast, dropped(known, reason)).await
    }

    /// Records that a part of a cancelled broadcast is not looked into. Returns the deliveries that are skipped now: those
    /// that an earlier look expected and that have not ended.
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
            let skipped = cancelled(row, state.map_or(0, |state| state.requests()));
            self.settle(broadcast, skipped.clone()).await.map(|()| Some(skipped))
        });
        Ok(try_join_all(skipped).await?.into_iter().flatten().collect())
    }
}

/// An expected delivery that is not made, because its broadcast was cancelled after so many requests. Pure.
pub(crate) fn cancelled(expected: Delivery, requests: u32) -> Delivery {
    let reason = SkipReason::Cancelled;
    Delivery {
        outcome: Some(Outcome::Skipped),
        reason: Some(reason.to_string()),
        cause: Some(reason.cause()),
        attempts: Some(requests).filter(|requests| *requests > 0),
        status: None,
        latency: None,
        ..expected
    }
}

/// An expected delivery whose message was given up for this reason, after a last try that left it in this state. Pure.
///
/// What the last try came to says more than that no other follows: its cause and status stay.
pub(crate) fn given_up(expected: Delivery, state: Option<Delivery>, reason: &str) -> Delivery {
    let attempts = state.as_ref().and_then(|state| state.attempts);
    let given_up = match attempts.unwrap_or_default() {
        0 => "given up".to_owned(),
        1 => "given up after 1 try".to_owned(),
        tries => format!("given up after {tries} tries"),
    };
    // What is pending without a cause was only sent back to work.
    let last = state.and_then(|state| Some((state.reason?, state.cause?, state.status)));
    let (why, cause, status) = match last {
        Some((last, cause, status)) if reason.is_empty() || reason.ends_with(&last) => (last, cause, status),
        Some((last, cause, status)) => (format!("{last}; then: {reason}"), cause, status),
        None if reason.is_empty() => {
            ("no process finished its message in all its receives".to_owned(), Cause::GivenUp, None)
        }
        None => (reason.to_owned(), Cause::GivenUp, None),
    };
    Delivery {
        outcome: Some(Outcome::Failed),
        reason: Some(format!("{given_up}: {why}")),
        cause: Some(cause),
        attempts,
        status,
        ..expected
    }
}

/// The same entry, of which nothing more is to be expected. Dropping it twice says so once. Pure.
fn dropped(entry: Delivery, reason: &str) -> Delivery {
    let note = format!("dropped: {reason}");
    let reason = match entry.reason.as_deref().filter(|known| !known.is_empty()) {
        Some(known) if known.ends_with(&note) => known.to_owned(),
        Some(known) => format!("{known}; {note}"),
        None => note,
    };
    Delivery {
        outcome: entry.outcome.or(Some(Outcome::Failed)),
        reason: Some(reason),
        cause: Some(Cause::Dropped),
        ..entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(outcome: Option<Outcome>, reason: Option<&str>) -> Delivery {
        Delivery { outcome, reason: reason.map(str::to_owned), ..Delivery::default() }
    }

    #[test]
    fn what_is_dropped_keeps_its_outcome_and_says_so_once() {
        let rejected = entry(Some(Outcome::Rejected), Some("it answered 404"));
        let once = dropped(rejected, "retired");
        let expected = entry(Some(Outcome::Rejected), Some("it answered 404; dropped: retired"));
        assert_eq!(once, Delivery { cause: Some(Cause::Dropped), ..expected });
        assert_eq!(dropped(once.clone(), "retired"), once);
    }

    #[test]
    fn whoever_is_given_up_keeps_what_the_last_try_came_to() {
        let tried = Delivery {
            cause: Some(Cause::Answered),
            status: Some(503),
            attempts: Some(15),
            ..entry(None, Some("answered 503 Service Unavailable"))
        };
        let given_up = |state: &Delivery, reason| given_up(Delivery::default(), Some(state.clone()), reason);
        let failed = given_up(&tried, "not told after 3 tries: answered 503 Service Unavailable");
        let reason = Some("given up after 15 tries: answered 503 Service Unavailable".to_owned());
        assert_eq!(failed, Delivery { outcome: Some(Outcome::Failed), reason, ..tried.clone() });
        assert_eq!(given_up(&tried, ""), failed, "SQS moves a message without a reason");

        let other = given_up(&tried, "the stage panicked: boom").reason.unwrap();
        assert_eq!(
            other,
            "given up after 15 tries: answered 503 Service Unavailable; then: the stage panicked: boom"
        );
        let uncalled = given_up(&entry(None, Some("sent back to work")), "boom");
        assert_eq!(uncalled.reason.as_deref(), Some("given up: boom"));
        assert_eq!(uncalled.cause, Some(Cause::GivenUp));
    }

    #[test]
    fn what_was_pending_has_failed_when_it_is_dropped() {
        let dropped = dropped(entry(None, None), "retired");
        let expected = entry(Some(Outcome::Failed), Some("dropped: retired"));
        assert_eq!(dropped, Delivery { cause: Some(Cause::Dropped), ..expected });
    }
}
